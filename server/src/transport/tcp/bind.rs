//! From `HOST` and `PORT`, `LISTEN` and `ADMIN_LISTEN` to sockets that listen, and which of them is to be changed if there is none.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket, UnixListener, lookup_host};

use super::socket::Socket;
use super::socket_file::{self, SocketFile};
use crate::config::{Endpoint, Host, Listen, UNIX};

/// Connections that may wait to be accepted, unless the system allows fewer (`net.core.somaxconn`). With a short queue
/// a client that comes in a crowd waits a second for its next attempt.
const BACKLOG: u32 = 4_096;

/// Why nothing listens. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// A setting names what this machine does not have, or what is not for this program.
    #[error("{name} is wrong: {why}")]
    Setting {
        /// The variable.
        name: &'static str,
        /// What is wrong, and what is right.
        why: String,
    },
    /// Another program listens there. Trying again later can help.
    #[error("{setting} is in use at {address}; end the program that listens there, or choose another {what}")]
    Taken {
        /// The variable, with what it says.
        setting: String,
        /// Where.
        address: String,
        /// What to choose.
        what: &'static str,
    },
    /// Something else.
    #[error("can't listen on {address}: {cause}")]
    Other {
        /// Where.
        address: String,
        /// Why not.
        cause: io::Error,
    },
}

/// Where the endpoint comes from, for what is said of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Given {
    HostAndPort,
    Listen,
    AdminListen,
}

/// An address that was taken and is not listened on: a client that connects is refused.
pub struct Bound {
    taken: Taken,
    endpoint: Endpoint,
    given: Given,
}

enum Taken {
    Tcp(TcpSocket),
    Unix { path: PathBuf, mode: u32 },
}

/// Takes connections.
pub enum Listener {
    /// At an address.
    Tcp(TcpListener),
    /// At a file, which goes with it.
    Unix(UnixListener, SocketFile),
}

/// Where connections are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// At an address.
    Tcp(SocketAddr),
    /// At a file.
    Unix(PathBuf),
}

impl Address {
    /// Whether only programs of this machine can connect.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Listener {
    /// Waits for a connection, and returns where it comes from.
    pub(super) async fn accept(&self) -> io::Result<(Socket, IpAddr)> {
        match self {
            Self::Tcp(listener) => {
                let (tcp, peer) = listener.accept().await?;
                Ok((Socket::Tcp(tcp), peer.ip()))
            }
            Self::Unix(listener, _) => Ok((Socket::Unix(listener.accept().await?.0), UNIX)),
        }
    }

    /// Where it listens.
    fn address(&self) -> io::Result<Address> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Address::Tcp),
            Self::Unix(_, file) => Ok(Address::Unix(file.path().to_owned())),
        }
    }
}

impl Bound {
    /// Begins to listen, and returns where. That, too, fails if another program does by now.
    pub fn listen(self) -> Result<(Listener, Address), BindError> {
        let listening = match self.taken {
            Taken::Tcp(socket) => socket.listen(BACKLOG).map(Listener::Tcp),
            Taken::Unix { path, mode } => {
                socket_file::listen(&path, mode).map(|(listener, file)| Listener::Unix(listener, file))
            }
        };
        listening
            .and_then(|listener| {
                let address = listener.address()?;
                Ok((listener, address))
            })
            .map_err(|error| explain(error, &self.endpoint, self.given))
    }
}

/// Takes what is configured: where clients are served, and where administration is, if it is.
pub async fn bind(listen: &Listen) -> Result<(Vec<Bound>, Option<Bound>), BindError> {
    let mode = listen.listen_mode;
    let given = match listen.listen.is_empty() {
        true => Given::HostAndPort,
        false => Given::Listen,
    };
    if let Some((name, why)) = listen.named_twice() {
        return Err(BindError::Setting { name, why });
    }
    let mut bound = Vec::new();
    for endpoint in &listen.places().0 {
        bound.push(bind_one(endpoint, given, mode).await?);
    }
    let administration = match listen.administration() {
        Some(endpoint) => Some(bind_one(&endpoint, Given::AdminListen, mode).await?),
        None => None,
    };
    Ok((bound, administration))
}

async fn bind_one(endpoint: &Endpoint, given: Given, mode: u32) -> Result<Bound, BindError> {
    let taken = match endpoint {
        Endpoint::Tcp(host, port) => Taken::Tcp(bind_tcp(endpoint, host, *port, given).await?),
        Endpoint::Unix(path) => {
            socket_file::check(path)
                .await
                .map_err(|error| explain(error, endpoint, given))?;
            let path = path.clone();
            Taken::Unix { path, mode }
        }
    };
    Ok(Bound {
        taken,
        endpoint: endpoint.clone(),
        given,
    })
}

/// Of several addresses that a name has, the first one counts that can be used, IPv4 first.
async fn bind_tcp(endpoint: &Endpoint, host: &Host, port: u16, given: Given) -> Result<TcpSocket, BindError> {
    let addresses: Vec<SocketAddr> = match host {
        // The first takes both kinds, where the system has both.
        Host::All => vec![
            (Ipv6Addr::UNSPECIFIED, port).into(),
            (Ipv4Addr::UNSPECIFIED, port).into(),
        ],
        Host::Address(address) => vec![(*address, port).into()],
        Host::Name(name) => {
            let found = lookup_host((name.as_str(), port))
                .await
                .map_err(|error| BindError::Setting {
                    name: given.of_host(),
                    why: format!("the name {name} can't be looked up ({error}); write an address of this machine"),
                })?;
            let (four, six): (Vec<SocketAddr>, _) = found.partition(SocketAddr::is_ipv4);
            four.into_iter().chain(six).collect()
        }
    };
    let mut failed = None;
    for address in addresses {
        match bind_to(address, *host == Host::All) {
            Ok(socket) => return Ok(socket),
            // Else another program would get what is meant for this one at the next address.
            Err(error) if error.kind() == ErrorKind::AddrInUse => return Err(explain(error, endpoint, given)),
            Err(error) => failed = Some(error),
        }
    }
    let failed = failed.unwrap_or_else(|| ErrorKind::AddrNotAvailable.into());
    Err(explain(failed, endpoint, given))
}

fn bind_to(address: SocketAddr, all: bool) -> io::Result<TcpSocket> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    if all && address.is_ipv6() {
        SockRef::from(&socket).set_only_v6(false)?;
    }
    // So that a server that was restarted need not wait for its last connections to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

impl Given {
    fn of_host(self) -> &'static str {
        match self {
            Self::HostAndPort => "HOST",
            Self::Listen => "LISTEN",
            Self::AdminListen => "ADMIN_LISTEN",
        }
    }

    fn of_port(self) -> &'static str {
        match self {
            Self::HostAndPort => "PORT",
            other => other.of_host(),
        }
    }
}

fn explain(error: io::Error, endpoint: &Endpoint, given: Given) -> BindError {
    let setting = |name, why| BindError::Setting { name, why };
    match (endpoint, error.kind()) {
        (Endpoint::Tcp(host, port), ErrorKind::AddrInUse) => BindError::Taken {
            setting: match given {
                Given::HostAndPort => format!("PORT={port}"),
                other => format!("{}={endpoint}", other.of_port()),
            },
            address: host.to_string(),
            what: match given {
                Given::AdminListen => "ADMIN_LISTEN, such as 127.0.0.1:0 for a free port, or off",
                _ => "port",
            },
        },
        (Endpoint::Unix(path), ErrorKind::AddrInUse) => BindError::Taken {
            setting: given.of_host().to_owned(),
            address: path.display().to_string(),
            what: "file",
        },
        (Endpoint::Unix(_), _) => setting(given.of_host(), format!("can't listen on {endpoint}: {error}")),
        (Endpoint::Tcp(_, port), ErrorKind::PermissionDenied) => setting(
            given.of_port(),
            format!("this process may not listen on port {port}; choose one above 1023, such as 5000"),
        ),
        (Endpoint::Tcp(host, _), ErrorKind::AddrNotAvailable | ErrorKind::Unsupported) => setting(
            given.of_host(),
            format!("this machine has no address {host}; write one that it has, or 0.0.0.0 for all"),
        ),
        (Endpoint::Tcp(host, _), _) => BindError::Other {
            address: host.to_string(),
            cause: error,
        },
    }
}
