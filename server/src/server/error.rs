//! Why a server could not start, or ended badly.

use crate::auth::secret::SecretError;
use crate::storage::StoreError;
use crate::storage::open::OpenError;
use crate::transport::tcp::bind::BindError;

/// Why a server could not start, or ended badly.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A setting is wrong, and that was found before anything was begun.
    #[error("{name} is wrong: {why}")]
    Setting {
        /// The variable.
        name: &'static str,
        /// What is wrong, and what is allowed.
        why: String,
    },
    /// There is no secret to check tokens with.
    #[error("{0}")]
    Secret(SecretError),
    /// The configured store could not be opened.
    #[error("{store} can't be used: {cause}")]
    Open {
        /// Which one, and the setting that named it.
        store: &'static str,
        /// Why not.
        cause: StoreError,
    },
    /// A part of the server failed, and the rest was stopped.
    #[error("a part of the server failed: {0}")]
    Part(&'static str),
    /// The store failed at the start.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The address could not be listened on.
    #[error(transparent)]
    Listen(BindError),
}

impl From<OpenError> for RunError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Setting { name, why } => Self::Setting { name, why },
            OpenError::Store { store, cause } => Self::Open { store, cause },
        }
    }
}

impl From<BindError> for RunError {
    fn from(error: BindError) -> Self {
        match error {
            BindError::Setting { name, why } => Self::Setting { name, why },
            other => Self::Listen(other),
        }
    }
}
