//! One kept HTTP connection that reads histories.
//!
//! It speaks to `hyper` itself, not through `reqwest` as the other requests do: that made a page a quarter dearer for this program
//! (350 instead of 260 µs of CPU time in a debug build), which shares the processors with the server that it measures.

use std::sync::Arc;

use anyhow::Context as _;
use chatctl_load::server::Server;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use memchr::memmem::Finder;
use shared::UserId;

/// What a connection that ends means.
const BROKE: &str = "the connection broke while it was read: the server was stopped or killed, or the network is gone";
/// What begins a message's document, in every server's JSON.
const MESSAGE: &[u8] = br#""_id":""#;

/// A connection.
#[derive(Debug)]
pub(super) struct HistoryReader {
    requests: SendRequest<Empty<Bytes>>,
    authority: String,
    base: String,
    bearer: Arc<str>,
    finder: Finder<'static>,
}

/// What an answer held.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct HistoryRead {
    /// Messages.
    pub(super) messages: u64,
    /// Bytes of JSON.
    pub(super) bytes: u64,
}

impl HistoryReader {
    /// Connects, with the value of the `Authorization` header.
    ///
    /// # Errors
    /// If that fails.
    pub(super) async fn connect(server: &Server, bearer: &Arc<str>) -> anyhow::Result<Self> {
        let (requests, connection) = handshake(TokioIo::new(server.connect().await?)).await?;
        // It ends with the reader; an error shows in the request that it breaks.
        tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(Self {
            requests,
            authority: server.authority.clone(),
            base: server.base.clone(),
            bearer: Arc::clone(bearer),
            finder: Finder::new(MESSAGE),
        })
    }

    /// Reads the history between two users to its end, with this query (with its `?`, or empty).
    ///
    /// # Errors
    /// If the connection breaks, or the answer is not 200.
    pub(super) async fn read(&mut self, a: UserId, b: UserId, query: &str) -> anyhow::Result<HistoryRead> {
        let request = Request::get(format!("{}/chat/history/{a}/{b}{query}", self.base))
            .header(HOST, &self.authority)
            .header(AUTHORIZATION, &*self.bearer)
            .body(Empty::new())?;
        self.requests.ready().await.context(BROKE)?;
        let mut answer = self.requests.send_request(request).await.context(BROKE)?;
        anyhow::ensure!(
            answer.status() == StatusCode::OK,
            "the server answered {}",
            answer.status()
        );
        let mut counter = Counter::new(&self.finder);
        while let Some(frame) = answer.frame().await {
            if let Some(data) = frame.context(BROKE)?.data_ref() {
                counter.add(data);
            }
        }
        Ok(counter.read)
    }
}

/// Counts messages in a body that comes in pieces.
struct Counter<'a> {
    finder: &'a Finder<'static>,
    /// The end of what came so far, too short to hold what is looked for.
    tail: Vec<u8>,
    read: HistoryRead,
}

impl<'a> Counter<'a> {
    fn new(finder: &'a Finder<'static>) -> Self {
        Self {
            finder,
            tail: Vec::with_capacity(2 * MESSAGE.len()),
            read: HistoryRead::default(),
        }
    }

    fn add(&mut self, piece: &[u8]) {
        let keep = MESSAGE.len() - 1;
        // One that began in the last piece ends within the first bytes of this one.
        self.tail.extend_from_slice(&piece[..piece.len().min(keep)]);
        let split = self.finder.find_iter(&self.tail).count();
        let whole = self.finder.find_iter(piece).count();
        self.read.messages += (split + whole) as u64;
        self.read.bytes += piece.len() as u64;
        if piece.len() >= keep {
            self.tail.clear();
            self.tail.extend_from_slice(&piece[piece.len() - keep..]);
        } else {
            self.tail.drain(..self.tail.len().saturating_sub(keep));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_counted_wherever_the_pieces_break() {
        let body = br#"[{"_id":"1","message":"a"},{"_id":"2","message":"\"_id\":\""},{"_id":"3"}]"#;
        let finder = Finder::new(MESSAGE);
        for size in 1..=body.len() {
            let mut counter = Counter::new(&finder);
            body.chunks(size).for_each(|piece| counter.add(piece));
            let expected = HistoryRead {
                messages: 3,
                bytes: body.len() as u64,
            };
            assert_eq!(counter.read, expected, "pieces of {size}");
        }
    }
}
