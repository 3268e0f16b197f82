//! From `HOST` and `PORT` to a socket that listens, and which of the two is to be changed if there is none.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket, lookup_host};

use crate::config::Host;

/// Connections that may wait to be accepted, unless the system allows fewer (`net.core.somaxconn`). With a short queue
/// a client that comes in a crowd waits a second for its next attempt.
const BACKLOG: u32 = 4_096;

/// Why nothing listens. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// There is no such address here.
    #[error("{0}")]
    Host(String),
    /// The port is not for this program.
    #[error("{0}")]
    Port(String),
    /// Another program listens there. Trying again later can help.
    #[error("PORT={port} is in use at {address}; end the program that listens there, or choose another port")]
    Taken {
        /// The port.
        port: u16,
        /// The address.
        address: String,
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

/// An address that was taken and is not listened on: a client that connects is refused.
pub struct Bound {
    socket: TcpSocket,
    host: Host,
    port: u16,
}

impl Bound {
    /// Begins to listen, and returns where. That, too, fails if another program does by now.
    pub fn listen(self) -> Result<(TcpListener, SocketAddr), BindError> {
        let listening = self.socket.listen(BACKLOG);
        listening
            .and_then(|listener| {
                let address = listener.local_addr()?;
                Ok((listener, address))
            })
            .map_err(|error| explain(error, &self.host, self.port))
    }
}

/// Takes an address. Of several that a name has, the first one counts that can be used, IPv4 first.
pub async fn bind(host: &Host, port: u16) -> Result<Bound, BindError> {
    let addresses: Vec<SocketAddr> = match host {
        // The first takes both kinds, where the system has both.
        Host::All => vec![
            (Ipv6Addr::UNSPECIFIED, port).into(),
            (Ipv4Addr::UNSPECIFIED, port).into(),
        ],
        Host::Address(address) => vec![(*address, port).into()],
        Host::Name(name) => {
            let found = lookup_host((name.as_str(), port)).await.map_err(|error| {
                BindError::Host(format!(
                    "the name {name} can't be looked up ({error}); write an address of this machine"
                ))
            })?;
            let (four, six): (Vec<SocketAddr>, _) = found.partition(SocketAddr::is_ipv4);
            four.into_iter().chain(six).collect()
        }
    };
    let mut failed = None;
    for address in addresses {
        match bind_to(address, *host == Host::All) {
            Ok(socket) => {
                return Ok(Bound {
                    socket,
                    host: host.clone(),
                    port,
                });
            }
            // Else another program would get what is meant for this one at the next address.
            Err(error) if error.kind() == ErrorKind::AddrInUse => return Err(explain(error, host, port)),
            Err(error) => failed = Some(error),
        }
    }
    let failed = failed.unwrap_or_else(|| ErrorKind::AddrNotAvailable.into());
    Err(explain(failed, host, port))
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

fn explain(error: io::Error, host: &Host, port: u16) -> BindError {
    let address = host.to_string();
    match error.kind() {
        ErrorKind::AddrInUse => BindError::Taken { port, address },
        ErrorKind::PermissionDenied => BindError::Port(format!(
            "this process may not listen on port {port}; choose one above 1023, such as 5000"
        )),
        ErrorKind::AddrNotAvailable | ErrorKind::Unsupported => BindError::Host(format!(
            "this machine has no address {address}; write one that it has, or 0.0.0.0 for all"
        )),
        _ => BindError::Other { address, cause: error },
    }
}
