//! A certificate that an authority makes out to this server by ACME, and renews: the library asks for it, and answers the authority's
//! question (TLS-ALPN-01) through the same port that clients use.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

use futures_util::StreamExt;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore, ServerConfig, version};
use rustls_acme::caches::DirCache;
use rustls_acme::{AcmeConfig, AcmeState, EventOk};
use tokio_util::sync::CancellationToken;

use super::certificates::{Wrong, server_config};
use crate::config::Listen;

/// What the authority's own question speaks, and nobody else.
pub(super) const CHALLENGE: &[u8] = rustls_acme::acme::ACME_TLS_ALPN_NAME;

/// The folder in the data directory that keeps account and certificate.
const FOLDER: &str = "acme";

/// Asks for a certificate and renews it.
pub struct Acme {
    state: AcmeState<io::Error>,
    domains: String,
}

impl Acme {
    /// As configured, and what a listener needs to show its certificate.
    ///
    /// # Errors
    /// The folder can't be made, or the library has no chance to draw keys from.
    pub fn new(listen: &Listen, data_dir: &Path) -> Result<(Self, Arc<ServerConfig>), Wrong> {
        let folder = data_dir.join(FOLDER);
        // Keys are in it.
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(|error| ("DATA_DIR", format!("{} can't be created: {error}", folder.display())))?;
        let wrong = |error: rustls::Error| ("TLS_ACME_DOMAIN", error.to_string());
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&version::TLS13, &version::TLS12])
            .map_err(wrong)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let state = AcmeConfig::new_with_client_config(&listen.tls_acme_domain, Arc::new(client))
            .contact(&listen.tls_acme_contact)
            .directory(&listen.tls_acme_directory)
            .cache(DirCache::new(folder))
            .state();
        let mut config = server_config(state.resolver()).map_err(wrong)?;
        config.alpn_protocols.push(CHALLENGE.to_vec());
        let domains = listen.tls_acme_domain.join(", ");
        Ok((Self { state, domains }, Arc::new(config)))
    }

    /// Asks, renews and logs how that goes, until `stop` is cancelled. What fails is tried again, later each time.
    pub async fn run(mut self, stop: CancellationToken) {
        let domains = &self.domains;
        while let Some(Some(event)) = stop.run_until_cancelled(self.state.next()).await {
            match event {
                Ok(EventOk::DeployedCachedCert) => {
                    tracing::info!(domains, "acme: the certificate that was kept is shown")
                }
                Ok(EventOk::DeployedNewCert) => tracing::info!(domains, "acme: a new certificate is shown"),
                Ok(EventOk::CertCacheStore | EventOk::AccountCacheStore) => {
                    tracing::debug!(domains, "acme: something was kept in DATA_DIR")
                }
                Err(error) => tracing::error!(
                    domains, %error,
                    "acme: no certificate was made out; the one before is shown as long as it holds, and it is tried again"
                ),
            }
        }
    }
}
