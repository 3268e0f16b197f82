//! The body of a request, which has to arrive in time.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::BoxError;
use axum::body::{Body, Bytes, HttpBody};
use bytes::BytesMut;
use futures_util::StreamExt;
use hyper::body::{Frame, SizeHint};
use tokio::time::Sleep;
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::link::Link;
use super::names::Name;
use super::packets::{Packets, SEPARATOR};

/// How long a whole body may take. The largest that is read has less than a megabyte, so this is a least rate too.
const BODY_TIMEOUT: Duration = Duration::from_secs(15);

/// How much of a body that nobody wants is still read, and how long: a client that is still sending would otherwise see
/// its connection break instead of the answer that says why.
const LINGER_LIMITS: (usize, Duration) = (8 << 20, Duration::from_secs(2));

/// A body that fails when it takes too long, or when what it is meant for has ended.
pub struct Bounded {
    body: Body,
    deadline: Pin<Box<Sleep>>,
    /// How much of it has come.
    read: Arc<AtomicUsize>,
    session: Option<(Link, Packets, Pin<Box<WaitForCancellationFutureOwned>>)>,
    /// Where in the name of its event a packet of the session is.
    name: Name,
}

/// Why a body was given up.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It took too long.
    #[error("the body did not arrive within {} seconds", BODY_TIMEOUT.as_secs())]
    TooSlow,
    /// Its session has ended, or sent what it may not.
    #[error("the session has ended")]
    Gone,
}

impl Bounded {
    /// Bounds a body in time.
    pub fn new(body: Body) -> Self {
        Self {
            body,
            deadline: Box::pin(tokio::time::sleep(BODY_TIMEOUT)),
            read: Arc::default(),
            session: None,
            name: Name::default(),
        }
    }

    /// How much of it has come, also when it is gone.
    pub(super) fn counted(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.read)
    }

    /// The same for a body of a session: it ends with that.
    pub fn of_session(body: Body, link: &Link) -> Self {
        let gone = link.gone().clone().cancelled_owned();
        let mut bounded = Self::new(body);
        bounded.session = Some((link.clone(), Packets::default(), Box::pin(gone)));
        bounded
    }
}

impl Bounded {
    /// Notes what was read, and the end. False if it may not be read any further.
    fn count_read(&mut self, read: &[u8], end: bool) -> bool {
        self.read.fetch_add(read.len(), Ordering::Relaxed);
        let end = end || self.body.is_end_stream();
        let Some((link, packets, _)) = &mut self.session else {
            return true;
        };
        let packet = |beginning: &[u8], bytes| link.packet(beginning, bytes);
        link.read(read.len()) && packets.read(read, packet) && (!end || packets.end(packet))
    }
}

/// A piece of a body with names of events that the library can read.
pub(super) fn readable(name: &mut Name, data: Bytes) -> Bytes {
    let mut changed: Option<BytesMut> = None;
    let mut at = 0;
    while let Some(byte) = data.get(at).copied() {
        if byte == SEPARATOR {
            *name = Name::default();
        } else if name.is_done() {
            match memchr::memchr(SEPARATOR, &data[at..]) {
                Some(next) => at += next,
                None => break,
            }
            continue;
        } else {
            let instead = name.byte(byte);
            if instead != byte {
                changed.get_or_insert_with(|| BytesMut::from(&data[..]))[at] = instead;
            }
        }
        at += 1;
    }
    changed.map_or(data, BytesMut::freeze)
}

impl HttpBody for Bounded {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
            // The library takes trailers for the end.
            let may = self.count_read(data.map_or(&[], |data| data), data.is_none());
            return Poll::Ready(match may {
                true => frame.map(|frame| {
                    let frame = frame.map_err(BoxError::from)?;
                    Ok(match self.session.is_some() {
                        true => frame.map_data(|data| readable(&mut self.name, data)),
                        false => frame,
                    })
                }),
                false => Some(Err(BodyError::Gone.into())),
            });
        }
        if self.deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(BodyError::TooSlow.into())));
        }
        if let Some((_, _, gone)) = &mut self.session
            && gone.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Some(Err(BodyError::Gone.into())));
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Bounded {
    fn drop(&mut self) {
        if self.body.is_end_stream() || self.deadline.is_elapsed() {
            return;
        }
        let rest = std::mem::take(&mut self.body);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tokio::time::timeout(
                LINGER_LIMITS.1,
                drain(rest, Arc::clone(&self.read)),
            ));
        }
    }
}

async fn drain(body: Body, read: Arc<AtomicUsize>) {
    let mut pieces = body.into_data_stream();
    let mut left = LINGER_LIMITS.0;
    while let Some(Ok(piece)) = pieces.next().await {
        read.fetch_add(piece.len(), Ordering::Relaxed);
        left = left.saturating_sub(piece.len());
        if left == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use axum::body::to_bytes;
    use axum::http::{HeaderMap, HeaderValue, header};
    use futures_util::stream;
    use http_body_util::StreamBody;

    use super::*;
    use crate::transport::tcp::client_address::ClientAddress;
    use crate::transport::tcp::link::Sessions;
    use crate::transport::tcp::registry::Registry;

    fn link() -> Link {
        let registry = Registry::with_defaults();
        let client = ClientAddress::of_proxy([127, 0, 0, 1].into());
        Link::new(&Sessions::new(&registry), client, None, None)
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_comes_ends() {
        let never = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
        let error = to_bytes(Body::new(Bounded::new(never)), 10).await.unwrap_err();
        assert!(error.to_string().contains("15 seconds"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_ends_with_its_session() {
        let never = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
        let link = link();
        link.is_gone();
        let bounded = Bounded::of_session(never, &link);
        let error = to_bytes(Body::new(bounded), 10).await.unwrap_err();
        assert!(error.to_string().contains("session"), "{error}");
    }

    #[tokio::test]
    async fn trailers_end_the_last_packet_too() {
        let link = link();
        let post = async || {
            let frames = [
                Frame::data(Bytes::from_static(b"40")),
                Frame::trailers(HeaderMap::from_iter([(header::AGE, HeaderValue::from(1))])),
            ];
            let body = StreamBody::new(stream::iter(frames.map(Ok::<_, std::io::Error>)));
            let mut body = Bounded::of_session(Body::new(body), &link);
            while let Some(Ok(_)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {}
        };
        for _ in 0..8 {
            post().await;
        }
        assert!(!link.gone().is_cancelled());
        post().await;
        assert!(link.gone().is_cancelled(), "it asked to connect nine times");
    }
}
