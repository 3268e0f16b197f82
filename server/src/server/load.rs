//! What a server reads and opens before it takes connections.

use std::path::PathBuf;
use std::sync::Arc;

use jwt::settings::WrongSetting;

use super::entrances::{Keeper, Tls};
use super::error::RunError;
use crate::auth::KeyStore;
use crate::auth::keys::{self, KeysError};
use crate::auth::secret::SecretError;
use crate::chat::MessageIdGenerator;
use crate::clock::now;
use crate::config::{Config, Listen, Playground};
use crate::storage::Store;
use crate::storage::open::{OpenError, Opened};
use crate::transport::client_files::ClientFiles;
use crate::transport::tcp::acme::Acme;
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

/// Reads the certificate and its key, or begins to have one made out, if there is to be any.
pub(super) async fn tls(config: &Config) -> Result<Option<Tls>, RunError> {
    let wrong = |(name, why)| RunError::Setting { name, why };
    let files = tls_files(&config.listen)?;
    let read = match (files, config.listen.tls_acme_domain.is_empty()) {
        (None, true) => return Ok(None),
        (Some((certificate, key)), _) => {
            tokio::task::spawn_blocking(move || {
                let certificates = Certificates::read(&certificate, &key)?;
                let config = certificates.config().map_err(|error| ("TLS_CERT", error.to_string()))?;
                let keeper = Keeper::Files(certificates);
                Ok(Tls { keeper, config })
            })
            .await
        }
        (None, false) => {
            let (listen, data_dir) = (config.listen.clone(), config.data_dir.clone());
            tokio::task::spawn_blocking(move || {
                let (acme, config) = Acme::new(&listen, &data_dir)?;
                let keeper = Keeper::Acme(Box::new(acme));
                Ok(Tls { keeper, config })
            })
            .await
        }
    };
    let read = read.unwrap_or_else(|panic| Err(("TLS_CERT", panic.to_string())));
    read.map(Some).map_err(wrong)
}

/// The files of the certificate and its key, if they are set: both, and not beside ACME.
pub(super) fn tls_files(listen: &Listen) -> Result<Option<(PathBuf, PathBuf)>, RunError> {
    let wrong = |name, why: &str| {
        let why = why.to_owned();
        Err(RunError::Setting { name, why })
    };
    match (&listen.tls_cert, &listen.tls_key) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) if !listen.tls_acme_domain.is_empty() => wrong(
            "TLS_ACME_DOMAIN",
            "TLS_CERT and TLS_KEY are set, too; keep one of the two ways",
        ),
        (Some(certificate), Some(key)) => Ok(Some((certificate.clone(), key.clone()))),
        (Some(_), None) => wrong("TLS_KEY", "it is not set, but TLS_CERT is; set both"),
        (None, Some(_)) => wrong("TLS_CERT", "it is not set, but TLS_KEY is; set both"),
    }
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

/// Says who may use the playground, if anybody may.
pub(super) fn playground(config: &Config) -> Result<(), RunError> {
    match config.playground() {
        Playground::Open if !config.has_secret() => Err(RunError::Setting {
            name: "PLAYGROUND",
            why: "its users' tokens are signed with a secret, and there are only public keys; set JWT_SECRET as well, or \
                  PLAYGROUND=false"
                .to_owned(),
        }),
        Playground::Open => {
            tracing::warn!("PLAYGROUND is on: whoever reaches /playground can be one of its two users, and read what they write");
            Ok(())
        }
        Playground::OfThisMachine | Playground::Off => Ok(()),
    }
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
