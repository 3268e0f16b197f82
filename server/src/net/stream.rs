//! A TCP stream that can be ended from outside.
//!
//! The Socket.IO library can leave a namespace but not end the transport under it, and a writer that is stuck on a
//! client that no longer reads waits for ever. Shutting the TCP stream down wakes it and starts the ordinary cleaning.

use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

/// An accepted connection, and its place among those the server holds.
pub struct Stream(Arc<Connection>);

struct Connection {
    tcp: TcpStream,
    /// Given back when the connection is closed, also if it became a WebSocket.
    _place: OwnedSemaphorePermit,
}

/// A handle to end a connection; it does not keep it open.
#[derive(Clone)]
pub struct Hangup(Weak<Connection>);

impl Stream {
    /// Wraps an accepted connection.
    pub fn new(tcp: TcpStream, place: OwnedSemaphorePermit) -> Self {
        Self(Arc::new(Connection { tcp, _place: place }))
    }

    /// A handle to end this connection.
    pub fn hangup(&self) -> Hangup {
        Hangup(Arc::downgrade(&self.0))
    }
}

impl Hangup {
    /// Ends the connection in both directions; what was not sent yet is lost.
    pub fn hang_up(&self) {
        if let Some(connection) = self.0.upgrade() {
            // It fails only if the peer was faster.
            let _ = SockRef::from(&connection.tcp).shutdown(Shutdown::Both);
        }
    }

    /// Whether there still is a connection to end.
    pub fn is_open(&self) -> bool {
        self.0.strong_count() > 0
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let tcp = &self.0.tcp;
        loop {
            ready!(tcp.poll_read_ready(cx))?;
            match tcp.try_read(buf.initialize_unfilled()) {
                Ok(bytes) => {
                    buf.advance(bytes);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(data)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let tcp = &self.0.tcp;
        loop {
            ready!(tcp.poll_write_ready(cx))?;
            match tcp.try_write_vectored(data) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(match SockRef::from(&self.0.tcp).shutdown(Shutdown::Write) {
            Err(error) if error.kind() != io::ErrorKind::NotConnected => Err(error),
            _ => Ok(()),
        })
    }
}
