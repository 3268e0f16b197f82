//! Failures of a database, and the one place where they become what a caller sees of them.
//!
//! Each trait whose calls can fail in more ways has an error of its own beside it ([`AppendError`](super::AppendError),
//! [`MarkError`](super::MarkError), [`ChangesError`](super::ChangesError)), which holds this one for the rest. The words for
//! clients are in [`crate::error`].

use std::time::Duration;

use crate::metrics::METRICS;

/// A failure of the database. The texts are for the log, not for clients.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It can't be reached, has no primary, or its disk is full: trying again later can help.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// It answered something that trying again won't change.
    #[error("the store failed: {0}")]
    Failed(String),
    /// An index of another program keeps a document out. Clients may see its name.
    #[error("the unique index {0}, which is not this server's, keeps a document out")]
    ForeignIndex(String),
    /// A validator that another program gave a collection keeps a document out.
    #[error("a validator of the database, which is not this server's, keeps a document out")]
    Validator,
}

impl StoreError {
    /// Nothing was answered in time. What was asked for may happen all the same.
    pub fn no_answer_within(limit: Duration) -> Self {
        METRICS.store_errors.count(1);
        Self::Unavailable(format!("no answer within {limit:?}"))
    }

    /// Counts it, where a database or its driver reports it.
    pub(super) fn counted(self) -> Self {
        // The places of `metrics::STORE_ERRORS`.
        METRICS.store_errors.count(match self {
            Self::Unavailable(_) => 0,
            Self::Failed(_) => 2,
            Self::ForeignIndex(_) => 3,
            Self::Validator => 4,
        });
        self
    }

    /// The store is closed, or a part of it has ended.
    pub(super) fn closed() -> Self {
        Self::Unavailable("it is closed".to_owned())
    }

    /// The outcomes of `count` items that failed together.
    pub(super) fn for_each<T, E: From<Self>>(&self, count: usize) -> Vec<Result<T, E>> {
        std::iter::repeat_with(|| Err(self.clone().into()))
            .take(count)
            .collect()
    }
}
