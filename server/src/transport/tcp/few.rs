//! Clients that refuse long answers: python-engineio takes 16 packets of one poll, and reconnects for ever if it is given more.
//!
//! The library has no bound but bytes. So what it gives such a client at once, of a burst as well as of what was missed, is given
//! in parts, one a poll. What waits for the next poll stays charged to the session.

use axum::body::{self, Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::link::Link;
use super::packets::SEPARATOR;

/// Most packets of one answer.
const MAX_PACKETS: usize = 16;

/// Whether a client is one of them: those of Python say what they are made with (`python-requests`, `Python/3 aiohttp/3`).
pub(super) fn takes_few(headers: &HeaderMap) -> bool {
    let agent = headers.get(header::USER_AGENT).map_or(&[][..], HeaderValue::as_bytes);
    agent.len() >= 6 && agent.windows(6).any(|word| word.eq_ignore_ascii_case(b"python"))
}

/// As many packets of an answer as the client takes; the rest is kept for its next poll.
pub(super) async fn first_packets(answer: Response, link: &Link) -> Response {
    if answer.status() != StatusCode::OK {
        return answer;
    }
    let (mut head, body) = answer.into_parts();
    // It lies in memory as a whole.
    let Ok(packets) = body::to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    head.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(head, Body::from(first(packets, link)))
}

/// The next part of what was kept.
pub(super) fn next_packets(rest: Bytes, link: &Link) -> Response {
    let text = HeaderValue::from_static("text/plain; charset=UTF-8");
    ([(header::CONTENT_TYPE, text)], Body::from(first(rest, link))).into_response()
}

fn first(packets: Bytes, link: &Link) -> Bytes {
    let Some(end) = memchr::memchr_iter(SEPARATOR, &packets).nth(MAX_PACKETS - 1) else {
        return packets;
    };
    match link.keep_rest(packets.slice(end + 1..)) {
        Ok(()) => packets.slice(..end),
        Err(_) => packets,
    }
}
