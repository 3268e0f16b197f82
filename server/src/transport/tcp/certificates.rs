//! The certificate that the server shows, and its key: read from files, and read again when these change.
//!
//! A new pair is for new connections; those that are open go on with what they began with. A pair that can't be used changes
//! nothing but the log.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, ServerConfig, version};
use shared::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock;

/// How often it is looked whether the files are others.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// Within this time before its end, and after it, a certificate is warned of once a day.
const SHORT: Duration = Duration::from_secs(14 * 86_400);
const DAY: Duration = Duration::from_secs(86_400);

/// The setting that is wrong, and why.
pub type Wrong = (&'static str, String);

/// A certificate and its key, as they are now.
pub struct Certificates {
    certificate: PathBuf,
    key: PathBuf,
    /// Held to take or to replace it.
    current: RwLock<Arc<CertifiedKey>>,
}

/// What tells a file from another one of the same name: through links, so that a link that is set anew counts.
type Stamp = Option<(u64, u64, u64, i64, i64)>;

impl Certificates {
    /// Reads them.
    ///
    /// # Errors
    /// One of them can't be read or used, or they do not belong together. The words never repeat the key.
    pub fn read(certificate: &Path, key: &Path) -> Result<Arc<Self>, Wrong> {
        Ok(Arc::new(Self {
            current: RwLock::new(Arc::new(pair(certificate, key)?)),
            certificate: certificate.to_owned(),
            key: key.to_owned(),
        }))
    }

    /// What a listener needs to speak TLS 1.2 and 1.3 with them. Clients of HTTP/2 are told to speak HTTP/1.1.
    ///
    /// # Errors
    /// The library has no chance to draw keys from.
    pub fn config(self: &Arc<Self>) -> Result<Arc<ServerConfig>, Error> {
        server_config(Arc::clone(self) as Arc<dyn ResolvesServerCert>).map(Arc::new)
    }

    /// Reads them again when they change, or when `reload` says so, until `stop` is cancelled.
    pub async fn watch(self: Arc<Self>, mut reload: watch::Receiver<u64>, stop: CancellationToken) {
        let mut tick = tokio::time::interval(CHECK_INTERVAL);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut read = self.stamps().await;
        let mut seen = read;
        let mut end = tokio::time::interval(DAY);
        loop {
            let asked = tokio::select! {
                () = stop.cancelled() => return,
                _ = end.tick() => {
                    self.say_end();
                    continue;
                }
                _ = tick.tick() => false,
                Ok(()) = reload.changed() => true,
            };
            let now = self.stamps().await;
            // Two files are not replaced in one step: what still changes is left until it has been the same twice.
            let is_at_rest = std::mem::replace(&mut seen, now) == now;
            if asked || (now != read && is_at_rest) {
                read = now;
                self.read_again().await;
                end.reset_immediately();
            }
        }
    }

    async fn stamps(&self) -> [Stamp; 2] {
        let paths = [self.certificate.clone(), self.key.clone()];
        let looked = tokio::task::spawn_blocking(move || paths.each_ref().map(|path| stamp(path)));
        looked.await.unwrap_or_default()
    }

    async fn read_again(&self) {
        let (certificate, key) = (self.certificate.clone(), self.key.clone());
        let read = tokio::task::spawn_blocking(move || pair(&certificate, &key)).await;
        match read {
            Ok(Ok(pair)) => {
                *self.current.write() = Arc::new(pair);
                tracing::info!(certificate = %self.certificate.display(), "the certificate was read again; new connections get it");
            }
            Ok(Err((name, why))) => tracing::error!(
                "the new certificate can't be used, and the old one is shown as before: {name} is wrong: {why}"
            ),
            // The panic was logged where it happened.
            Err(_) => tracing::error!("the new certificate can't be used, and the old one is shown as before"),
        }
    }

    /// Logs until when the certificate holds, as a warning if that is soon.
    fn say_end(&self) {
        let Some(ends) = ends(&self.current.read()) else {
            return;
        };
        let certificate = self.certificate.display();
        match ends.millis().saturating_sub(clock::now().millis()) {
            left if left <= 0 => {
                tracing::error!(%certificate, %ends, "the certificate has ended, and clients refuse it; replace the files")
            }
            left if left <= SHORT.as_millis() as i64 => {
                tracing::warn!(%certificate, %ends, "the certificate ends soon; replace the files before");
            }
            _ => tracing::info!(%certificate, %ends, "the certificate holds"),
        }
    }
}

/// Until when the server's own certificate holds.
fn ends(pair: &CertifiedKey) -> Option<Timestamp> {
    let (_, certificate) = x509_parser::parse_x509_certificate(pair.cert.first()?).ok()?;
    let seconds = certificate.validity().not_after.timestamp();
    Some(Timestamp::from_millis(seconds.saturating_mul(1_000)))
}

/// TLS 1.2 and 1.3 with the certificates of a resolver, for HTTP/1.1.
pub(super) fn server_config(certificates: Arc<dyn ResolvesServerCert>) -> Result<ServerConfig, Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A client that comes back need not be proven the certificate again: that is most of what a handshake costs.
    config.ticketer = ring::Ticketer::new()?;
    Ok(config)
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read()))
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Certificates").field(&self.certificate).finish()
    }
}

fn stamp(path: &Path) -> Stamp {
    let found = fs::metadata(path).ok()?;
    Some((
        found.dev(),
        found.ino(),
        found.size(),
        found.mtime(),
        found.mtime_nsec(),
    ))
}

/// All that is wrong with the two files, not only the first of it.
pub fn faults(certificate: &Path, key: &Path) -> Vec<Wrong> {
    let Err(first) = pair(certificate, key) else {
        return Vec::new();
    };
    // Of a certificate that can't be read, the key was not looked at.
    let second = (first.0 == "TLS_CERT").then(|| private_key(key).err()).flatten();
    [Some(first), second].into_iter().flatten().collect()
}

/// A certificate with the ones that lead to its authority, and its key.
fn pair(certificate: &Path, key: &Path) -> Result<CertifiedKey, Wrong> {
    let of_certificate = |why: &str| ("TLS_CERT", format!("{} {why}", certificate.display()));
    let of_key = |why: &str| ("TLS_KEY", format!("{} {why}", key.display()));
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(certificate).and_then(|chain| chain.collect());
    let chain = chain.map_err(|error| of_certificate(&unreadable(&error, "certificate")))?;
    if chain.is_empty() {
        return Err(of_certificate(
            "holds no certificate; it is PEM, the server's own one first",
        ));
    }
    let private = private_key(key)?;
    CertifiedKey::from_der(chain, private, &ring::default_provider()).map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            of_key("is the key of another certificate than the first one in TLS_CERT")
        }
        Error::InvalidCertificate(_) => of_certificate("holds a certificate that can't be read"),
        other => of_key(&format!("can't be used: {other}")),
    })
}

fn private_key(key: &Path) -> Result<PrivateKeyDer<'static>, Wrong> {
    let why = |error| format!("{} {}", key.display(), unreadable(&error, "private key"));
    PrivateKeyDer::from_pem_file(key).map_err(|error| ("TLS_KEY", why(error)))
}

fn unreadable(error: &pem::Error, what: &str) -> String {
    match error {
        pem::Error::Io(cause) => format!("can't be read: {cause}"),
        pem::Error::NoItemsFound => format!("holds no {what}; it is PEM"),
        _ => format!("is no PEM of a {what}"),
    }
}
