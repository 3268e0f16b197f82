//! All that is wrong with the settings and can be seen without opening a database, listening, or creating anything.

use std::io::ErrorKind;

use super::error::RunError;
use super::load;
use crate::auth::secret::{self, SecretError};
use crate::config::Config;
use crate::storage;

/// What a start with these settings would refuse. Empty if nothing of that kind is wrong.
pub async fn check(config: &Config) -> Vec<RunError> {
    let mut wrong = Vec::new();
    wrong.extend(storage::open::faults(config).await.into_iter().map(RunError::from));
    wrong.extend(load::client(config).await.err());
    wrong.extend(match load::tls_files(&config.listen) {
        // Nobody is asked for one.
        Ok(None) => None,
        Ok(Some(_)) => load::tls(config).await.err(),
        Err(error) => Some(error),
    });
    wrong.extend(match config.tokens.keys.need_generated_secret() {
        true => kept_secret(config).err(),
        false => load::keys(config).await.err(),
    });
    wrong
}

/// The secret of the data directory can be read, if it is there and counts. The start creates one that is not.
fn kept_secret(config: &Config) -> Result<(), RunError> {
    match std::fs::read(config.data_dir.join(secret::FILE)) {
        Err(error) if error.kind() != ErrorKind::NotFound && error.kind() != ErrorKind::NotADirectory => {
            Err(RunError::Secret(SecretError::File(error)))
        }
        _ => Ok(()),
    }
}
