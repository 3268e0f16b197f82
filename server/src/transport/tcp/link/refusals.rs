//! Asking to connect, and what a `connect_error` says beside its message: the library writes `44{"message":"…"}`, and has no way
//! to say more.
//!
//! So why a session is refused is noted in its [`Link`] before the library is told to refuse it, and the packet gets its `data`
//! on its way out, in the frames of a WebSocket or in the answer to a poll. A session that waits for no such packet is not
//! looked at.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::{self, Body};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use shared::WireError;

use super::super::end_reason::EndReason;
use super::super::packets::SEPARATOR;
use super::Link;
use crate::delivery::budget::OverBudget;
use crate::error;

/// How often a session may ask to connect, beside the times that it was refused. Once is enough, but clients whose users
/// connect twice in a row say it twice.
const MAX_CONNECTS: usize = 8;

/// What a packet that refuses has beside its `data` and the name of its namespace: `44/,{"message":"Authentication error","data":}`.
const PACKET_BYTES: usize = 46;

/// How the packet begins, and in the one namespace.
const REFUSES: &[u8] = b"44";
const REFUSES_HERE: &[u8] = b"44{";

/// The first byte of a frame that is a text, whole.
const WHOLE_TEXT: u8 = 0x81;

/// The refusals of one session that are on their way to its client.
#[derive(Default)]
pub(in super::super) struct Refusals {
    /// How many there are, in whichever namespace.
    count: AtomicUsize,
    /// The `data` of those in the one namespace, where one attempt ends before the next one begins: they come out in the order
    /// in which they were noted. Held to put one in or take it out.
    data: Mutex<VecDeque<Box<[u8]>>>,
}

impl Refusals {
    /// Notes one, and returns the bytes of its packet.
    fn note(&self, error: &WireError) -> usize {
        let data = data(error);
        let bytes = PACKET_BYTES + data.len();
        self.data.lock().push_back(data);
        self.count.fetch_add(1, Ordering::Release);
        bytes
    }

    /// Notes one in a namespace that does not exist.
    fn note_elsewhere(&self) -> usize {
        self.count.fetch_add(1, Ordering::Release);
        PACKET_BYTES + elsewhere().len()
    }

    /// Whether any is on its way.
    pub(in super::super) fn any(&self) -> bool {
        self.count.load(Ordering::Acquire) > 0
    }

    /// The packet with its `data`, if it is one of these.
    fn complete(&self, packet: &[u8]) -> Option<Vec<u8>> {
        if !packet.starts_with(REFUSES) {
            return None;
        }
        let data = match packet.starts_with(REFUSES_HERE) {
            true => self.data.lock().pop_front()?,
            false => elsewhere(),
        };
        // The library refuses names that are no namespaces by itself; those were not counted.
        let less = |count: usize| count.checked_sub(1);
        let _ = self.count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        let message = packet.strip_suffix(b"}")?;
        Some([message, b",\"data\":", &data, b"}"].concat())
    }

    /// What is about to be written to a WebSocket, with all that it lacks. `begun` bytes of it belong to a frame of which a part was
    /// written before; after them come whole frames.
    pub(in super::super) fn frames(&self, written: &[u8], begun: usize) -> Vec<u8> {
        let (begun, mut rest) = written.split_at(begun.min(written.len()));
        let mut completed = begun.to_vec();
        while let Some((head, payload)) = frame(rest) {
            let (frame, after) = rest.split_at(head + payload.len());
            let packet = Some(payload).filter(|_| frame[0] == WHOLE_TEXT);
            match packet.and_then(|packet| self.complete(packet)) {
                Some(packet) => {
                    completed.extend(self::head(packet.len()));
                    completed.extend(packet);
                }
                None => completed.extend(frame),
            }
            rest = after;
        }
        completed.extend(rest);
        completed
    }

    /// The packets of a poll.
    fn packets(&self, packets: &[u8]) -> Vec<u8> {
        let mut completed = Vec::with_capacity(packets.len());
        for (number, packet) in packets.split(|byte| *byte == SEPARATOR).enumerate() {
            if number > 0 {
                completed.push(SEPARATOR);
            }
            match self.complete(packet) {
                Some(packet) => completed.extend(packet),
                None => completed.extend(packet),
            }
        }
        completed
    }
}

impl Link {
    /// Counts packets that ask to connect. False, and the end of the session, if it asked too often: the library has a task
    /// for each of them, before anything of ours.
    pub(in super::super) fn asks_to_connect(&self, packets: usize) -> bool {
        let may = packets == 0 || self.0.connects.fetch_add(packets, Ordering::Relaxed) + packets <= MAX_CONNECTS;
        if !may {
            self.end(EndReason::Connects);
        }
        may
    }

    /// It is about to be refused for this, and may ask again.
    pub fn is_refused(&self, error: &WireError) {
        self.0.connects.fetch_sub(1, Ordering::Relaxed);
        // A client that does not read what it is refused for is ended, and has no use for it.
        let _ = self.charge(self.0.refusals.note(error));
    }

    /// It is about to be refused in a namespace of so long a name, which does not exist.
    ///
    /// # Errors
    /// If it does not read; it is then ended.
    pub fn is_refused_elsewhere(&self, name: usize) -> Result<(), OverBudget> {
        self.charge(name + self.0.refusals.note_elsewhere())
    }

    /// What it is refused for and was not told yet.
    pub(in super::super) fn refusals(&self) -> &Refusals {
        &self.0.refusals
    }
}

/// The answer to a poll with all that its packets lack.
pub(in super::super) async fn complete_answer(answer: Response, link: &Link) -> Response {
    if answer.status() != StatusCode::OK {
        return answer;
    }
    let (mut head, body) = answer.into_parts();
    // It lies in memory as a whole.
    let Ok(packets) = body::to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    head.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(head, Body::from(link.refusals().packets(&packets)))
}

fn data(error: &WireError) -> Box<[u8]> {
    // It has no map with keys that are no texts, which is all that can fail.
    serde_json::to_vec(error).unwrap_or_else(|_| b"{}".to_vec()).into()
}

fn elsewhere() -> Box<[u8]> {
    data(&error::invalid_namespace())
}

/// The length of the head of the first frame, and its payload, if all of it is there. What a server sends is not masked.
fn frame(frames: &[u8]) -> Option<(usize, &[u8])> {
    let (head, length) = match *frames.get(1)? & 127 {
        126 => (4, u64::from(u16::from_be_bytes(frames.get(2..4)?.try_into().ok()?))),
        127 => (10, u64::from_be_bytes(frames.get(2..10)?.try_into().ok()?)),
        length => (2, u64::from(length)),
    };
    let end = head + usize::try_from(length).ok()?;
    Some((head, frames.get(head..end)?))
}

/// The head of a frame with a text of this length.
fn head(length: usize) -> Vec<u8> {
    let mut head = vec![WHOLE_TEXT];
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ 0..126), _) => head.push(length),
        (_, Ok(length)) => {
            head.push(126);
            head.extend(length.to_be_bytes());
        }
        _ => {
            head.push(127);
            head.extend((length as u64).to_be_bytes());
        }
    }
    head
}

#[cfg(test)]
mod tests {
    use shared::ErrorCode;

    use super::*;

    fn expired() -> WireError {
        WireError::new(ErrorCode::TokenExpired, "it has \"expired\"")
    }

    fn framed(payload: &str) -> Vec<u8> {
        [head(payload.len()), payload.as_bytes().to_vec()].concat()
    }

    const EXPIRED: &str = r#"44{"message":"No","data":{"code":"token_expired","message":"it has \"expired\""}}"#;

    #[test]
    fn packets_get_their_data_in_the_order_in_which_it_was_noted() {
        let refusals = Refusals::default();
        refusals.note(&WireError::new(ErrorCode::TokenInvalid, "one"));
        refusals.note(&expired());
        let packets = refusals.packets(b"2\x1e44{\"message\":\"No\"}\x1e42[\"44{\"]\x1e44{\"message\":\"No\"}");
        let first = r#"44{"message":"No","data":{"code":"token_invalid","message":"one"}}"#;
        let expected = format!("2\x1e{first}\x1e42[\"44{{\"]\x1e{EXPIRED}");
        assert_eq!(String::from_utf8(packets).unwrap(), expected);
        assert!(!refusals.any());
        let plain = b"44{\"message\":\"No\"}";
        assert_eq!(refusals.packets(plain), plain, "nothing was noted for it");
    }

    #[test]
    fn another_namespace_takes_nothing_from_this_one() {
        let refusals = Refusals::default();
        refusals.note(&expired());
        refusals.note_elsewhere();
        let packets = refusals.packets(b"44/x,{\"message\":\"Invalid namespace\"}\x1e44{\"message\":\"No\"}");
        let packets = String::from_utf8(packets).unwrap();
        let (elsewhere, here) = packets.split_once('\x1e').unwrap();
        assert!(
            elsewhere.contains(r#""data":{"code":"invalid_namespace","#),
            "{elsewhere}"
        );
        assert_eq!(here, EXPIRED);
    }

    #[test]
    fn frames_are_completed_wherever_they_stand() {
        let refusals = Refusals::default();
        refusals.note(&expired());
        let long = "x".repeat(70_000);
        let written = [
            b"the rest of one".to_vec(),
            framed("2"),
            framed(&long),
            framed("44{\"message\":\"No\"}"),
            framed(&"y".repeat(200)),
            vec![0x88, 2, 3, 232],
        ];
        let mut expected = written.clone();
        expected[3] = framed(EXPIRED);
        assert_eq!(refusals.frames(&written.concat(), written[0].len()), expected.concat());
    }
}
