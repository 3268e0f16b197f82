//! What is said over a connection, counted on its way: over TLS as without.

use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::connection::Connection;
use super::end_reason::EndReason;
use super::frames::Frames;
use super::intake::FREE_BYTES;
use super::link::Link;
use super::raw::Raw;
use super::tls::Tls;
use super::unserved;

/// An accepted connection, read and written by the owner of this.
pub struct Stream {
    connection: Arc<Connection>,
    /// What carries it; nothing once it lingers.
    carrier: Option<Carrier>,
    /// Whether a write failed after the connection had become a WebSocket, see [`Stream::write_failed`].
    broken: AtomicBool,
    /// Follows the messages, once it is a WebSocket.
    frames: Frames,
    /// How much of the last one has come, if it is not complete.
    held: usize,
    /// The end of a pause, in which nothing is read.
    pause: Option<Pin<Box<Sleep>>>,
    /// How much of what was to be written last was not: the next write begins with that.
    left: usize,
    /// What is written instead of what was given, see [`Refusals`](super::link), and has not been yet.
    instead: Option<Bytes>,
}

/// How bytes come and go.
pub(super) enum Carrier {
    Plain(Raw),
    Tls(Box<Tls>),
}

/// Bytes of a buffer that a connection may keep for messages to come without being charged for it: twice the largest event.
const MAX_KEPT: usize = 2 * shared::limits::EVENT_BYTES;

/// How long a connection that the server closes is still read, see [`linger`].
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);

/// Reads and drops what a client sends while what it was sent last is on its way. If bytes were left unread, the kernel
/// would signal the client that the connection broke, and drop what it has not yet sent: answers would be lost.
pub(super) async fn linger(connection: Arc<Connection>) {
    let reading = async {
        let mut dropped = [0; 4_096];
        while connection.socket.readable().await.is_ok() {
            match connection.socket.try_read(&mut dropped) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    };
    // A client that goes on sending is cut off.
    let _ = tokio::time::timeout(LINGER_TIMEOUT, reading).await;
}

impl Stream {
    /// Wraps a connection without TLS.
    pub fn new(connection: Arc<Connection>) -> Self {
        let raw = Raw::new(Arc::clone(&connection));
        Self::over(connection, Carrier::Plain(raw))
    }

    pub(super) fn over(connection: Arc<Connection>, carrier: Carrier) -> Self {
        Self {
            connection,
            carrier: Some(carrier),
            broken: AtomicBool::new(false),
            frames: Frames::default(),
            held: 0,
            pause: None,
            left: 0,
            instead: None,
        }
    }

    /// Counts what was read. False if the connection is to be read from no more.
    fn count_read(&mut self, read: &mut [u8]) -> bool {
        let connection = &self.connection;
        connection.received();
        let Some(link) = connection.link() else {
            return connection.read(read);
        };
        let seen = self.frames.read(read);
        if !link.read(read.len()) || !link.asks_to_connect(seen.connects) {
            return false;
        }
        // Whoever sends pings and reads no answer would have the library keep them all.
        if seen.pongs > 0 && link.account().charge(seen.pongs).is_err() {
            connection.end(EndReason::Unread);
            return false;
        }
        if seen.unannounced > 0 && !link.attached(seen.unannounced) {
            unserved::say(unserved::PARSER);
        }
        let before = std::mem::replace(&mut self.held, self.frames.held());
        if before == 0 && self.held == 0 {
            return true;
        }
        if seen.completed || before == 0 || self.held == 0 {
            connection.begin_message(self.held > 0);
        }
        // What is long is kept for long: it stays charged.
        let kept = Some(self.frames.kept()).filter(|kept| *kept > MAX_KEPT).unwrap_or(0);
        before.max(self.held) <= FREE_BYTES || connection.hold(self.held.max(kept))
    }

    /// Waits until the session may be read.
    fn poll_pause(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(left) = self.connection.link().and_then(Link::paused) {
            let pause = self.pause.get_or_insert_with(|| Box::pin(tokio::time::sleep(left)));
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        self.pause = None;
        Poll::Ready(())
    }

    /// A WebSocket whose client is gone takes what is written and ends when it is read: the Socket.IO library keeps a
    /// session for ten seconds whose first packet could not be written, but ends one at once that can't be read.
    fn write_failed(&self, error: io::Error, bytes: usize) -> io::Result<usize> {
        if !self.connection.is_upgraded() {
            return Err(error);
        }
        self.broken.store(true, Ordering::Relaxed);
        // Wakes the reader, should it wait.
        self.connection.shut_down();
        Ok(bytes)
    }

    /// Writes what the data becomes when the refusals in it are complete. All of it is taken at once, which is little: what can't be
    /// written yet is, when it is flushed.
    fn poll_write_completed(&mut self, cx: &mut Context<'_>, data: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if ready!(self.poll_instead(cx)).is_ok()
            && let Some(link) = self.connection.link()
        {
            let data: Vec<u8> = data.iter().flat_map(|part| part.iter().copied()).collect();
            let begun = std::mem::take(&mut self.left);
            self.instead = Some(link.refusals().frames(&data, begun).into());
            // Whoever writes flushes.
            let _ = self.poll_instead(cx);
        }
        Poll::Ready(Ok(data.iter().map(|part| part.len()).sum()))
    }

    /// Writes what is to be written instead, all of it.
    fn poll_instead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(mut instead) = self.instead.take() {
            match self.poll_carrier(cx, &[io::IoSlice::new(&instead)]) {
                Poll::Pending => {
                    self.instead = Some(instead);
                    return Poll::Pending;
                }
                Poll::Ready(Ok(bytes)) => {
                    instead.advance(bytes);
                    self.instead = Some(instead).filter(|instead| !instead.is_empty());
                }
                Poll::Ready(Err(error)) => return Poll::Ready(self.write_failed(error, 0).map(drop)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Writes, whatever carries it, and takes what went out off its charge.
    fn poll_carrier(&mut self, cx: &mut Context<'_>, data: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self.carrier.as_mut().ok_or_else(gone)? {
            Carrier::Plain(raw) => {
                let written = ready!(Pin::new(raw).poll_write_vectored(cx, data));
                Poll::Ready(written.inspect(|bytes| self.connection.wrote(*bytes)))
            }
            Carrier::Tls(tls) => tls.poll_write(cx, data),
        }
    }
}

/// What a stream is asked after it was dropped, which nobody does.
fn gone() -> io::Error {
    io::ErrorKind::NotConnected.into()
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.broken.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_pause(cx));
        let before = buf.filled().len();
        ready!(match self.carrier.as_mut().ok_or_else(gone)? {
            Carrier::Plain(raw) => Pin::new(raw).poll_read(cx, buf),
            Carrier::Tls(tls) => tls.poll_read(cx, buf),
        })?;
        if !self.count_read(&mut buf.filled_mut()[before..]) {
            buf.set_filled(before);
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let Some(carrier) = self.carrier.take() else { return };
        let at_end = match &carrier {
            Carrier::Plain(raw) => raw.at_end,
            Carrier::Tls(tls) => tls.at_end(),
        };
        if at_end || *self.broken.get_mut() || self.connection.is_ended() {
            return;
        }
        // After the runtime has ended there is nobody to wait for.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let connection = Arc::clone(&self.connection);
        let lingering = async move {
            // What TLS still holds goes out, then its own farewell, then that of TCP.
            if let Carrier::Tls(mut tls) = carrier {
                let _ = tokio::time::timeout(LINGER_TIMEOUT, tls.shutdown()).await;
            }
            let _ = connection.socket.shutdown(Shutdown::Write);
            linger(connection).await;
        };
        self.connection.registry().lingering.spawn_on(lingering, &runtime);
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(data)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.instead.is_some() || self.connection.link().is_some_and(|link| link.refusals().any()) {
            return self.poll_write_completed(cx, data);
        }
        let whole = data.iter().map(|part| part.len()).sum::<usize>();
        match ready!(self.poll_carrier(cx, data)) {
            Ok(bytes) => {
                self.left = whole - bytes;
                Poll::Ready(Ok(bytes))
            }
            Err(error) => Poll::Ready(self.write_failed(error, whole)),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_instead(cx))?;
        let flushed = match self.carrier.as_mut().ok_or_else(gone)? {
            Carrier::Plain(_) => return Poll::Ready(Ok(())),
            Carrier::Tls(tls) => ready!(tls.poll_flush(cx)),
        };
        Poll::Ready(flushed.or_else(|error| self.write_failed(error, 0).map(drop)))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.carrier.as_mut().ok_or_else(gone)? {
            Carrier::Plain(raw) => Pin::new(raw).poll_shutdown(cx),
            Carrier::Tls(tls) => tls.poll_shutdown(cx),
        }
    }
}
