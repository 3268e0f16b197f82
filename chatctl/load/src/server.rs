//! The server under load: where it is, and connections to it, encrypted if its address says so.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use anyhow::Context as _;
use chatctl_client::http::Http;
use chatctl_client::tls;
use http::Uri;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_tungstenite::MaybeTlsStream;

/// A connection to the server.
pub type Stream = MaybeTlsStream<TcpStream>;

/// Where the server is, looked up once.
#[derive(Debug, Clone)]
pub struct Server {
    /// Its address.
    pub address: SocketAddr,
    /// Its name and port, as in the `Host` header.
    pub authority: String,
    /// The path below which everything is; empty, or without a slash at its end.
    pub base: String,
    socket_url: String,
    /// None where connections are not encrypted.
    tls: Option<Tls>,
}

/// What encrypts connections, and the name that the server must prove to have.
#[derive(Clone)]
struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Server {
    /// Looks up a server, and asks it where its Socket.IO listens.
    ///
    /// # Errors
    /// If it can't be asked, its URL is no `http://` or `https://` one, or its host has no address.
    pub fn of(http: &Http) -> anyhow::Result<Self> {
        let server = Self::at(http.url())?;
        let place: Uri = http.socket_url()?.parse().context("where Socket.IO listens")?;
        Ok(server.listening(place.path()))
    }

    fn listening(self, path: &str) -> Self {
        let scheme = if self.tls.is_some() { "wss" } else { "ws" };
        let socket_url = format!("{scheme}://{}{path}?EIO=4&transport=websocket", self.authority);
        Self { socket_url, ..self }
    }

    /// Looks up a server whose Socket.IO is where it usually is, without asking it.
    ///
    /// # Errors
    /// If its URL is no `http://` or `https://` one, or its host has no address.
    pub fn at(url: &str) -> anyhow::Result<Self> {
        let uri: Uri = url.parse().with_context(|| format!("{url} is no URL"))?;
        let (tls, usual_port) = match uri.scheme_str() {
            Some("http") => (None, 80),
            Some("https") => (Some(tls::config()), 443),
            _ => anyhow::bail!("{url} begins with neither http:// nor https://"),
        };
        let host = uri.host().with_context(|| format!("{url} names no host"))?;
        let port = uri.port_u16().unwrap_or(usual_port);
        let bare = host.trim_matches(['[', ']']);
        let address = (bare, port)
            .to_socket_addrs()
            .and_then(|mut found| found.next().ok_or_else(|| io::Error::other("it has no address")))
            .with_context(|| format!("{host} can't be looked up"))?;
        let authority = format!("{host}:{port}");
        let base = uri.path().trim_end_matches('/').to_owned();
        let tls = match tls {
            Some(config) => Some(Tls {
                connector: config.into(),
                name: bare
                    .to_owned()
                    .try_into()
                    .with_context(|| format!("{host} is no name of a server"))?,
            }),
            None => None,
        };
        let server = Self {
            address,
            authority,
            base: base.clone(),
            socket_url: String::new(),
            tls,
        };
        Ok(server.listening(&format!("{base}/socket.io/")))
    }

    /// Where Socket.IO listens, with the query that opens a WebSocket.
    pub(super) fn socket_url(&self) -> &str {
        &self.socket_url
    }

    /// A connection on which nothing was said yet.
    ///
    /// # Errors
    /// If it can't be made, or is not safe.
    pub async fn connect(&self) -> io::Result<Stream> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        // Thousands of connections that end together would otherwise use up the local ports for a minute.
        stream.set_zero_linger()?;
        match &self.tls {
            None => Ok(MaybeTlsStream::Plain(stream)),
            Some(Tls { connector, name }) => {
                let stream = connector.connect(name.clone(), stream).await?;
                Ok(MaybeTlsStream::Rustls(stream))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_looked_up() {
        let server = Server::at("http://127.0.0.1:5000").unwrap();
        assert_eq!(server.address, "127.0.0.1:5000".parse().unwrap());
        assert_eq!(
            server.socket_url,
            "ws://127.0.0.1:5000/socket.io/?EIO=4&transport=websocket"
        );
        let safe = Server::at("https://127.0.0.1/api").unwrap();
        assert_eq!(safe.address, "127.0.0.1:443".parse().unwrap());
        assert_eq!(
            safe.socket_url,
            "wss://127.0.0.1:443/api/socket.io/?EIO=4&transport=websocket"
        );
        for wrong in ["ftp://127.0.0.1", "127.0.0.1:5000", "http://"] {
            assert!(Server::at(wrong).is_err(), "{wrong}");
        }
    }
}
