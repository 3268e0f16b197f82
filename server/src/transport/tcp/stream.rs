//! The bytes of a TCP connection, counted on their way.

use std::io::{self, Read as _};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::connection::Connection;
use super::frames::Frames;
use super::intake::FREE_BYTES;
use super::link::Link;
use super::unserved;

/// An accepted connection, read and written by the owner of this.
pub struct Stream {
    connection: Arc<Connection>,
    /// Whether a write failed after the connection had become a WebSocket, see [`Stream::write_failed`].
    broken: AtomicBool,
    /// Whether the client has said all it will, or can't be read any more.
    read_to_the_end: AtomicBool,
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

/// Bytes of a buffer that a connection may keep for messages to come without being charged for it: twice the largest event.
const MAX_KEPT: usize = 2 * shared::limits::EVENT_BYTES;

/// How long a connection that the server closes is still read, see [`linger`].
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);

/// Reads and drops what a client sends while what it was sent last is on its way. If bytes were left unread, the kernel
/// would signal the client that the connection broke, and drop what it has not yet sent: answers would be lost.
async fn linger(connection: Arc<Connection>) {
    let reading = async {
        let mut dropped = [0; 4_096];
        while connection.tcp.readable().await.is_ok() {
            match connection.tcp.try_read(&mut dropped) {
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
    /// Wraps a connection.
    pub fn new(connection: Arc<Connection>) -> Self {
        Self {
            connection,
            broken: AtomicBool::new(false),
            read_to_the_end: AtomicBool::new(false),
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
        while let Some(instead) = &mut self.instead {
            let connection = &self.connection;
            let written = match connection.tcp.poll_write_ready(cx) {
                Poll::Pending => {
                    connection.block();
                    return Poll::Pending;
                }
                Poll::Ready(ready) => ready.and_then(|()| connection.tcp.try_write(instead)),
            };
            match written {
                Ok(bytes) => {
                    connection.wrote(bytes);
                    instead.advance(bytes);
                    if instead.is_empty() {
                        self.instead = None;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    self.instead = None;
                    return Poll::Ready(self.write_failed(error, 0).map(drop));
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Reads what is there. Less than was asked for is all: the next read waits until there is more, instead of trying in vain.
fn try_read(tcp: &TcpStream, buf: &mut [u8]) -> io::Result<usize> {
    let mut read = None;
    let waits = tcp.try_io(Interest::READABLE, || {
        let bytes = (&*SockRef::from(tcp)).read(buf)?;
        read = Some(bytes);
        match 0 < bytes && bytes < buf.len() {
            // Nothing else signals that to the runtime.
            true => Err(io::ErrorKind::WouldBlock.into()),
            false => Ok(()),
        }
    });
    match (read, waits) {
        (Some(bytes), _) => Ok(bytes),
        (None, Err(error)) => Err(error),
        (None, Ok(())) => Ok(0),
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.broken.load(Ordering::Relaxed) {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_pause(cx));
            ready!(self.connection.tcp.poll_read_ready(cx))?;
            let unfilled = buf.initialize_unfilled();
            match try_read(&self.connection.tcp, unfilled) {
                Ok(bytes) => {
                    if bytes == 0 {
                        self.read_to_the_end.store(true, Ordering::Relaxed);
                    }
                    if self.count_read(&mut unfilled[..bytes]) {
                        buf.advance(bytes);
                    }
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    self.read_to_the_end.store(true, Ordering::Relaxed);
                    return Poll::Ready(Err(error));
                }
            }
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if *self.read_to_the_end.get_mut() || *self.broken.get_mut() || self.connection.is_ended() {
            return;
        }
        // After the runtime has ended there is nobody to wait for.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let _ = SockRef::from(&self.connection.tcp).shutdown(Shutdown::Write);
            let lingering = linger(Arc::clone(&self.connection));
            self.connection.registry().lingering.spawn_on(lingering, &runtime);
        }
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
        let stream = self.get_mut();
        let connection = &stream.connection;
        let whole = || data.iter().map(|part| part.len()).sum::<usize>();
        loop {
            match connection.tcp.poll_write_ready(cx) {
                Poll::Pending => {
                    connection.block();
                    return Poll::Pending;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(stream.write_failed(error, whole())),
                Poll::Ready(Ok(())) => {}
            }
            match connection.tcp.try_write_vectored(data) {
                Ok(bytes) => {
                    connection.wrote(bytes);
                    stream.left = whole() - bytes;
                    return Poll::Ready(Ok(bytes));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(stream.write_failed(error, whole())),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_instead(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(match SockRef::from(&self.connection.tcp).shutdown(Shutdown::Write) {
            Err(error) if error.kind() != io::ErrorKind::NotConnected => Err(error),
            _ => Ok(()),
        })
    }
}
