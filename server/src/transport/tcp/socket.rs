//! The kernel's side of a connection: of TCP, or of a socket in the file system.

use std::io::{self, IoSlice, Read as _};
use std::net::{IpAddr, Shutdown};
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};

use crate::config::UNIX;

/// How long sent data may stay unacknowledged before the kernel ends the connection: a reader that has stalled would
/// otherwise hold its writer for ever. As long as a Socket.IO ping and its answer may take.
const STALL_TIMEOUT: Duration = Duration::from_secs(45);

/// Bytes that the kernel takes beyond what is on its way to the client: what waits longer waits here, where it is charged.
const UNSENT_BYTES: u32 = 128 << 10;

/// A socket of an accepted connection.
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Does the same with either kind.
macro_rules! either {
    ($socket:expr, $stream:ident => $work:expr) => {
        match $socket {
            Socket::Tcp($stream) => $work,
            Socket::Unix($stream) => $work,
        }
    };
}

impl Socket {
    /// Sets what the kernel is to do by itself.
    pub(super) fn tune(&self) -> io::Result<()> {
        let Self::Tcp(tcp) = self else {
            // The reader is a process of this machine: nothing is on its way, and it can't go away without a sign.
            return Ok(());
        };
        tcp.set_nodelay(true)?;
        let socket = SockRef::from(tcp);
        socket.set_tcp_user_timeout(Some(STALL_TIMEOUT))?;
        socket.set_tcp_notsent_lowat(UNSENT_BYTES)?;
        socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(STALL_TIMEOUT))
    }

    pub(super) async fn readable(&self) -> io::Result<()> {
        either!(self, stream => stream.readable().await)
    }

    /// Looks at what comes first, without reading it. Waits until something comes; 0 is the end.
    pub(super) async fn peek(&self, first: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.peek(first).await,
            Self::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    pub(super) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_read_ready(cx))
    }

    pub(super) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_write_ready(cx))
    }

    pub(super) fn try_write_vectored(&self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        either!(self, stream => stream.try_write_vectored(data))
    }

    /// Reads what is there. Less than was asked for is all: the next read waits until there is more, instead of trying in vain.
    pub(super) fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut read = None;
        let reading = || {
            let bytes = (&*self.handle()).read(buf)?;
            read = Some(bytes);
            match 0 < bytes && bytes < buf.len() {
                // Nothing else signals that to the runtime.
                true => Err(io::ErrorKind::WouldBlock.into()),
                false => Ok(()),
            }
        };
        let waits = either!(self, stream => stream.try_io(Interest::READABLE, reading));
        match (read, waits) {
            (Some(bytes), _) => Ok(bytes),
            (None, Err(error)) => Err(error),
            (None, Ok(())) => Ok(0),
        }
    }

    pub(super) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match self.handle().shutdown(how) {
            Err(error) if error.kind() != io::ErrorKind::NotConnected => Err(error),
            _ => Ok(()),
        }
    }

    fn handle(&self) -> SockRef<'_> {
        either!(self, stream => SockRef::from(stream))
    }
}

/// An address as the log shows it.
pub(super) fn shown(address: IpAddr) -> String {
    match address {
        UNIX => "unix".to_owned(),
        address => address.to_string(),
    }
}
