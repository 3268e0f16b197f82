//! What a server reads and opens before it takes connections.

use std::sync::Arc;

use jwt::settings::WrongSetting;

use super::entrances::Tls;
use super::error::RunError;
use crate::auth::KeyStore;
use crate::auth::keys::{self, KeysError};
use crate::auth::secret::SecretError;
use crate::chat::MessageIdGenerator;
use crate::clock::now;
use crate::config::{Config, Listen};
use crate::storage::Store;
use crate::storage::open::{OpenError, Opened};
use crate::transport::client_files::ClientFiles;
use crate::transport::tcp::certificates::Certificates;

/// Loads the keys that tokens are checked with.
pub(super) async fn keys(config: &Config) -> Result<Arc<KeyStore>, RunError> {
    let config = config.clone();
    let loaded = tokio::task::spawn_blocking(move || {
        let keys = keys::load(&config)?;
        Ok(KeyStore::new(&config, keys)?)
    })
    .await;
    let loaded = loaded.unwrap_or_else(|panic| Err(SecretError::File(panic.into()).into()));
    loaded.map_err(|error| match error {
        KeysError::Setting(WrongSetting { name, why }) => RunError::Setting { name, why },
        KeysError::Secret(error @ SecretError::DataDir(..)) => RunError::Setting {
            name: "DATA_DIR",
            why: error.to_string(),
        },
        KeysError::Secret(error @ SecretError::File(_)) => RunError::Secret(error),
    })
}

/// Reads the certificate and its key, if there are to be any.
pub(super) async fn tls(listen: &Listen) -> Result<Option<Tls>, RunError> {
    let wrong = |(name, why)| RunError::Setting { name, why };
    let (certificate, key) = match (&listen.tls_cert, &listen.tls_key) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
        (Some(_), None) => {
            return Err(wrong((
                "TLS_KEY",
                "it is not set, but TLS_CERT is; set both".to_owned(),
            )));
        }
        (None, Some(_)) => {
            return Err(wrong((
                "TLS_CERT",
                "it is not set, but TLS_KEY is; set both".to_owned(),
            )));
        }
    };
    let read = tokio::task::spawn_blocking(move || Certificates::read(&certificate, &key)).await;
    let certificates = read
        .unwrap_or_else(|panic| Err(("TLS_CERT", panic.to_string())))
        .map_err(wrong)?;
    let config = certificates
        .config()
        .map_err(|error| wrong(("TLS_CERT", error.to_string())))?;
    Ok(Some(Tls { certificates, config }))
}

/// Reads the files of the client, if there are to be any.
pub(super) async fn client(config: &Config) -> Result<ClientFiles, RunError> {
    let Some(folder) = config.client_dist.clone() else {
        return Ok(ClientFiles::default());
    };
    let read = tokio::task::spawn_blocking(move || ClientFiles::read(&folder)).await;
    let name = "CLIENT_DIST";
    read.unwrap_or_else(|panic| Err(panic.to_string()))
        .map_err(|why| RunError::Setting { name, why })
}

/// Waits for the store to be opened, and begins the lease and the message ids on it. Also returns the database and its hosts, for people.
pub(super) async fn store(
    opening: impl Future<Output = Result<Opened, OpenError>>,
) -> Result<(Arc<dyn Store>, MessageIdGenerator, Option<String>), RunError> {
    let Opened { store, database } = opening.await?;
    let begun = async {
        store.heartbeat(now()).await?;
        store.newest().await
    };
    match begun.await {
        Ok(newest) => Ok((store, MessageIdGenerator::new(Arc::new(now), newest), database)),
        Err(error) => {
            // Why it could not begin says more than how closing went.
            let _ = store.close(now()).await;
            Err(error.into())
        }
    }
}
