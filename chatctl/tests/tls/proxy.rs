//! What stands before a server in production: it ends TLS and passes on what is inside, byte for byte.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;

use testkit::certificate::Issued;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A proxy that lives as long as the process.
pub(crate) struct Proxy {
    address: SocketAddr,
}

impl Proxy {
    /// Starts one before the server at this address, which shows this certificate.
    pub(crate) fn start(server: SocketAddr, shown: &Issued) -> Self {
        let config = config(shown);
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
        Self { address }
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.address)
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

fn config(shown: &Issued) -> ServerConfig {
    let chain = vec![CertificateDer::from_pem_slice(shown.certificate.as_bytes()).expect("PEM")];
    let key = PrivateKeyDer::from_pem_slice(shown.key.as_bytes()).expect("PEM");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(chain, key);
    config.expect("the key fits")
}
