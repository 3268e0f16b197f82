//! All that is wrong with the settings and can be seen without opening a database, listening, or creating anything.

use std::io::ErrorKind;

use super::error::RunError;
use super::load;
use crate::auth::secret::{self, SecretError};
use crate::config::Config;
use crate::storage;
use crate::transport::tcp::certificates::{self, Wrong};

/// What a start with these settings would refuse. Empty if nothing of that kind is wrong.
pub async fn check(config: &Config) -> Vec<RunError> {
    let mut wrong = Vec::new();
    wrong.extend(
        config
            .listen
            .named_twice()
            .map(|(name, why)| RunError::Setting { name, why }),
    );
    wrong.extend(storage::open::faults(config).await.into_iter().map(RunError::from));
    wrong.extend(load::client(config).await.err());
    wrong.extend(load::playground(config).err());
    wrong.extend(match load::tls_files(&config.listen) {
        // Nobody is asked for one.
        Ok(None) => Vec::new(),
        Ok(Some((certificate, key))) => match load::tls(config).await {
            Ok(_) => Vec::new(),
            Err(error) => all_or(move || certificates::faults(&certificate, &key), error).await,
        },
        Err(error) => vec![error],
    });
    wrong.extend(match config.tokens.keys.need_generated_secret() {
        true => kept_secret(config).err().into_iter().collect(),
        false => match load::keys(config).await {
            Ok(_) => Vec::new(),
            Err(error) => {
                let keys = config.tokens.keys.clone();
                let faults = move || keys.faults().into_iter().map(|wrong| (wrong.name, wrong.why)).collect();
                all_or(faults, error).await
            }
        },
    });
    wrong
}

/// All that is found wrong in files; `first`, with which a start would end, if that is nothing.
async fn all_or(find: impl FnOnce() -> Vec<Wrong> + Send + 'static, first: RunError) -> Vec<RunError> {
    let found = tokio::task::spawn_blocking(find).await.unwrap_or_default();
    match found.is_empty() {
        true => vec![first],
        false => found
            .into_iter()
            .map(|(name, why)| RunError::Setting { name, why })
            .collect(),
    }
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
