//! TLS on an accepted connection: its handshake, bounded in time and number, and its bytes, charged as those without TLS are.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ServerConfig;
use shared::error::ErrorBody;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::connection::Connection;
use super::intake::FREE_BYTES;
use super::raw::Raw;
use super::stream::{Carrier, Stream, linger};
use crate::error;

/// How long a client may take for its handshake, waiting for its turn included.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The same on a place that is kept for probes.
const RESERVED_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(2);

/// How often a client looks whether its address has room for one more handshake.
const TURN_INTERVAL: Duration = Duration::from_millis(50);

/// Most bytes that wait in TLS for the kernel to take them; what goes beyond waits where it did before.
const UNSENT_BYTES: usize = 32 << 10;

/// What the first byte of TLS is.
const HANDSHAKE_RECORD: u8 = 22;

/// Lets a client begin TLS. Nothing if it does not within the time that it has, or speaks something else.
pub(super) async fn accept(connection: Arc<Connection>, config: Arc<ServerConfig>) -> Option<Stream> {
    let limit = match connection.is_reserved() {
        true => RESERVED_HANDSHAKE_TIMEOUT,
        false => HANDSHAKE_TIMEOUT,
    };
    let accepted = tokio::time::timeout(limit, begin(&connection, config)).await;
    match accepted {
        Ok(Ok(stream)) => return stream,
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake did not end in time"),
    }
    connection.registry().count_refused_handshake();
    None
}

async fn begin(connection: &Arc<Connection>, config: Arc<ServerConfig>) -> io::Result<Option<Stream>> {
    let mut first = [0];
    if connection.socket.peek(&mut first).await? == 0 {
        return Ok(None);
    }
    if first[0] != HANDSHAKE_RECORD {
        refuse(connection).await?;
        return Ok(None);
    }
    while !connection.begin_handshake() {
        tokio::time::sleep(TURN_INTERVAL).await;
    }
    let raw = Raw::tls(Arc::clone(connection));
    let begun = TlsAcceptor::from(config).accept_with(raw, |session| session.set_buffer_limit(Some(UNSENT_BYTES)));
    match begun.into_fallible().await {
        Ok(mut stream) => {
            stream.get_mut().0.handshake = None;
            let mut tls = Box::new(Tls {
                stream,
                sent: 0,
                sealed: FREE_BYTES + 1,
            });
            let may = tls.count_sealed();
            Ok(may.then(|| Stream::over(Arc::clone(connection), Carrier::Tls(tls))))
        }
        Err((error, _)) => {
            // The alert that says why is on its way.
            let _ = connection.socket.shutdown(std::net::Shutdown::Write);
            linger(Arc::clone(connection)).await;
            Err(error)
        }
    }
}

/// Says to a client that speaks no TLS what to do instead.
async fn refuse(connection: &Arc<Connection>) -> io::Result<()> {
    let error = error::invalid_request("this port speaks TLS only: connect with https or wss");
    let body = serde_json::to_string(&ErrorBody { error })?;
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json; charset=utf-8\r\nCache-Control: no-store\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut raw = Raw::new(Arc::clone(connection));
    raw.write_all(answer.as_bytes()).await?;
    raw.shutdown().await?;
    linger(Arc::clone(connection)).await;
    Ok(())
}

/// A connection over TLS.
pub(super) struct Tls {
    stream: TlsStream<Raw>,
    /// What TLS took and may not have given to the kernel yet.
    sent: usize,
    /// What was read and TLS still holds.
    sealed: usize,
}

impl Tls {
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
