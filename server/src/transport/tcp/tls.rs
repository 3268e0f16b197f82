//! The bytes of a connection over TLS, charged as those without TLS are.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_rustls::server::TlsStream;

use super::intake::FREE_BYTES;
use super::raw::Raw;

/// Most bytes that wait in TLS for the kernel to take them; what goes beyond waits where it did before.
pub(super) const UNSENT_BYTES: usize = 32 << 10;

/// A connection over TLS.
pub(super) struct Tls {
    stream: TlsStream<Raw>,
    /// What TLS took and may not have given to the kernel yet.
    sent: usize,
    /// What was read and TLS still holds.
    sealed: usize,
}

impl Tls {
    /// Of a handshake that is done. Nothing if the connection is to be read from no more.
    pub(super) fn new(mut stream: TlsStream<Raw>) -> Option<Self> {
        stream.get_mut().0.handshake = None;
        let mut tls = Self {
            stream,
            sent: 0,
            // So that what the handshake was charged is given back.
            sealed: FREE_BYTES + 1,
        };
        tls.count_sealed().then_some(tls)
    }

    /// Whether the client has said all it will.
    pub(super) fn at_end(&self) -> bool {
        self.stream.get_ref().0.at_end
    }

    /// Sends what waits, and says that nothing more comes.
    pub(super) async fn shutdown(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if !self.count_sealed() {
            return Poll::Ready(Ok(()));
        }
        match polled {
            // Many clients end without the farewell of TLS. HTTP and WebSockets know by themselves whether all has come.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            polled => polled,
        }
    }

    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, data: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, data);
        if let Poll::Ready(Ok(bytes)) = polled {
            self.sent += bytes;
        }
        self.count_sent();
        polled
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.count_sent();
        polled
    }

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.count_sent();
        polled
    }

    /// Charges the part of a record that has come, and records that were opened and not read yet. False if the connection is to be
    /// read from no more.
    fn count_sealed(&mut self) -> bool {
        let (raw, session) = self.stream.get_ref();
        let partial = raw.records.as_ref().map_or(0, |records| records.partial());
        let opened = if session.wants_read() { 0 } else { raw.last_read };
        let before = std::mem::replace(&mut self.sealed, partial + opened);
        self.sealed.max(before) <= FREE_BYTES || self.sealed == before || raw.connection.seal(self.sealed)
    }

    /// Takes what the kernel has off its charge: all of it, or all but what TLS may hold at most.
    fn count_sent(&mut self) {
        let (raw, session) = self.stream.get_ref();
        let waits = if session.wants_write() { UNSENT_BYTES } else { 0 };
        let gone = self.sent.saturating_sub(waits);
        if gone > 0 {
            self.sent -= gone;
            raw.connection.wrote(gone);
        }
    }
}
