//! The bytes of a connection as the kernel has them: what a client without TLS says, or its TLS records.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection::Connection;
use super::records::Records;

/// Most bytes that a client may send until its TLS handshake is done; one takes some 2,000.
const HANDSHAKE_BYTES: usize = 32 << 10;

/// The bytes of an accepted connection.
pub(super) struct Raw {
    pub(super) connection: Arc<Connection>,
    /// Whether the client has said all it will, or can't be read any more.
    pub(super) at_end: bool,
    /// How many bytes the last read brought.
    pub(super) last_read: usize,
    /// Follows the records, if it speaks TLS.
    pub(super) records: Option<Records>,
    /// How much of the bytes of a handshake has come, until that is done.
    pub(super) handshake: Option<usize>,
}

impl Raw {
    /// Of a connection without TLS.
    pub(super) fn new(connection: Arc<Connection>) -> Self {
        Self {
            connection,
            at_end: false,
            last_read: 0,
            records: None,
            handshake: None,
        }
    }

    /// Of a connection that begins with a TLS handshake.
    pub(super) fn tls(connection: Arc<Connection>) -> Self {
        Self {
            records: Some(Records::default()),
            handshake: Some(0),
            ..Self::new(connection)
        }
    }

    fn count(&mut self, read: &[u8]) -> io::Result<()> {
        self.last_read = read.len();
        if let Some(records) = &mut self.records {
            records.read(read);
        }
        match &mut self.handshake {
            None => Ok(()),
            Some(bytes) => {
                *bytes += read.len();
                match *bytes <= HANDSHAKE_BYTES {
                    true => Ok(()),
                    false => Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "its TLS handshake is too long",
                    )),
                }
            }
        }
    }
}

impl AsyncRead for Raw {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.connection.socket.poll_read_ready(cx))?;
            let unfilled = buf.initialize_unfilled();
            match self.connection.socket.try_read(unfilled) {
                Ok(bytes) => {
                    self.at_end |= bytes == 0;
                    self.count(&unfilled[..bytes])?;
                    buf.advance(bytes);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    self.at_end = true;
                    return Poll::Ready(Err(error));
                }
            }
        }
    }
}

impl AsyncWrite for Raw {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(data)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let connection = &self.connection;
        loop {
            match connection.socket.poll_write_ready(cx) {
                Poll::Pending => {
                    connection.block();
                    return Poll::Pending;
                }
                Poll::Ready(ready) => ready?,
            }
            match connection.socket.try_write_vectored(data) {
                Ok(bytes) => {
                    connection.moves(bytes);
                    return Poll::Ready(Ok(bytes));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
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
        Poll::Ready(self.connection.socket.shutdown(Shutdown::Write))
    }
}
