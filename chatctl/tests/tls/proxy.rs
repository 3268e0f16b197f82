//! What stands before a server in production: it ends TLS and passes on what is inside, byte for byte.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// Whose certificate a proxy shows as its own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shows {
    /// One for this machine, which the authority has signed.
    Signed,
    /// The authority's.
    Authority,
}

/// A proxy that lives as long as the process.
pub(crate) struct Proxy {
    address: SocketAddr,
    folder: TempDir,
}

impl Proxy {
    /// Starts one before the server at this address.
    pub(crate) fn start(server: SocketAddr, shows: Shows) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let (authority, config) = certificates(shows);
        std::fs::write(folder.path().join("authority.pem"), authority).expect("the authority can be written");
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        listener.set_nonblocking(true).expect("the port can be polled");
        let address = listener.local_addr().expect("it is bound");
        let (listening, listens) = channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime can be made").block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("the port can be polled");
                let _ = listening.send(());
                let acceptor = TlsAcceptor::from(Arc::new(config));
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(pass(acceptor.clone(), stream, server));
                }
            });
        });
        listens.recv().expect("the proxy listens");
        Self { address, folder }
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The file with the certificate of the authority.
    pub(crate) fn authority(&self) -> std::path::PathBuf {
        Path::new(self.folder.path()).join("authority.pem")
    }
}

/// One connection, until either side ends it. How it ends is the business of its two ends.
async fn pass(acceptor: TlsAcceptor, stream: TcpStream, server: SocketAddr) {
    let _ = stream.set_nodelay(true);
    let Ok(mut inside) = acceptor.accept(stream).await else {
        return;
    };
    if let Ok(mut server) = TcpStream::connect(server).await {
        let _ = server.set_nodelay(true);
        let _ = tokio::io::copy_bidirectional(&mut inside, &mut server).await;
    }
}

/// An authority, as PEM, and what a server needs that shows such a certificate.
fn certificates(shows: Shows) -> (String, ServerConfig) {
    let key = KeyPair::generate().expect("keys can be made");
    let own_key = key.serialize_der();
    let mut authority = CertificateParams::default();
    // Without a name of its own its certificates would look as if they had signed themselves.
    authority
        .distinguished_name
        .push(DnType::CommonName, "authority of a test");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = authority.self_signed(&key).expect("the authority signs itself");
    let pem = certificate.pem();
    let issuer = Issuer::new(authority, key);
    let key = KeyPair::generate().expect("keys can be made");
    let leaf = CertificateParams::new(["127.0.0.1".to_owned()]).expect("the name is one");
    let leaf = leaf.signed_by(&key, &issuer).expect("the authority signs");
    let (shown, key) = match shows {
        Shows::Signed => (CertificateDer::from(leaf), key.serialize_der()),
        Shows::Authority => (CertificateDer::from(certificate), own_key),
    };
    let chain = vec![shown];
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(chain, key);
    (pem, config.expect("the key fits"))
}
