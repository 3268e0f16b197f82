//! What makes connections safe: TLS as `rustls` speaks it, with the certificate authorities that the machine trusts, or those that
//! `SSL_CERT_FILE` and `SSL_CERT_DIR` name instead.

use std::sync::{Arc, LazyLock};

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};

/// The configuration of every connection of this process. The authorities are read once, when it is asked for first.
pub fn config() -> Arc<ClientConfig> {
    static CONFIG: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| {
        let mut roots = RootCertStore::empty();
        // What can't be read is left out; a connection that needed it says that it trusts nobody who signed.
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Arc::new(config)
    });
    Arc::clone(&CONFIG)
}
