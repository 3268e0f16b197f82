//! Telling developers about mistakes in how their client uses the server: the event `dev_hint`, once for each connection and kind, and
//! a line in the log once a minute.
//!
//! Where hints are off there is nothing of this but a look at an empty option. What was sent twice without an id is found in a
//! table of fixed size that holds no text.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use axum::http::{Uri, header};
use shared::events::{self, DevHint, HintCode};
use shared::{Timestamp, UserId};
use socketioxide::socket::Socket;
use tokio::time::Instant;

use super::emit;
use crate::outage::SeldomEach;

/// Messages that are remembered: a newer one takes the place of an older one.
const REMEMBERED: usize = 1_024;

/// Within so many seconds the same text is taken for a repetition.
const REPEATED_WITHIN: u64 = 10;

/// The bits of an entry that say in which second it was made; the others are of a hash.
const SECOND_BITS: u64 = 0xff_ffff;

/// What clients send that wait for a room to be joined, as other servers have it.
const OF_ROOMS: [&str; 6] = ["join", "join_room", "joinRoom", "join-room", "subscribe", "room"];

/// What was said in the log.
static SAID: SeldomEach = SeldomEach::new();

/// What all connections share.
pub struct DevHints {
    begun: Instant,
    hasher: RandomState,
    recent: Box<[AtomicU64]>,
}

impl Default for DevHints {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            hasher: RandomState::new(),
            recent: (0..REMEMBERED).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl DevHints {
    /// Whether the same was sent a moment ago. It is remembered.
    fn is_repeated(&self, message: (UserId, &str, &str)) -> bool {
        let hash = self.hasher.hash_one(message);
        let second = (self.begun.elapsed().as_secs() + 1) & SECOND_BITS;
        let place = usize::try_from(hash % REMEMBERED as u64).unwrap_or_default();
        let before = self.recent[place].swap(hash & !SECOND_BITS | second, Ordering::Relaxed);
        let is_same = before & !SECOND_BITS == hash & !SECOND_BITS && before != 0;
        is_same && second.wrapping_sub(before & SECOND_BITS) <= REPEATED_WITHIN
    }
}

/// What one connection was told.
pub struct Hints {
    shared: Arc<DevHints>,
    user: UserId,
    said: AtomicU8,
}

impl Hints {
    /// Of a connection of this user that was told nothing.
    pub fn new(shared: &Arc<DevHints>, user: UserId) -> Arc<Self> {
        Arc::new(Self {
            shared: Arc::clone(shared),
            user,
            said: AtomicU8::new(0),
        })
    }

    /// Looks at a message: whether it asks for an answer, and has an id for the case that it is sent again.
    pub fn look_at_message(&self, socket: &Socket, asks: bool, receiver: &str, text: &str, id: Option<&str>) {
        if !asks {
            self.say(socket, HintCode::NoAcknowledgement);
        }
        if id.is_none() && self.shared.is_repeated((self.user, receiver, text)) {
            self.say(socket, HintCode::NoClientMessageId);
        }
    }

    /// Looks at the name of an event that the server does not take.
    pub fn look_at_unknown(&self, socket: &Socket, event: &str) {
        let is_servers = event.starts_with("receive_message")
            || [
                events::MESSAGE_SENT,
                events::MESSAGES_DELIVERED,
                events::MESSAGES_READ,
                events::CONVERSATION_UPDATED,
                events::PRESENCE,
                events::DEV_HINT,
            ]
            .contains(&event);
        if is_servers || OF_ROOMS.contains(&event) {
            self.say(socket, HintCode::ForeignEvent);
        }
    }

    fn say(&self, socket: &Socket, code: HintCode) {
        let bit = 1 << code as u8;
        if self.said.fetch_or(bit, Ordering::Relaxed) & bit != 0 {
            return;
        }
        let message = words(code, self.user);
        if let Some(since_last_line) = SAID.due(code.as_str()) {
            tracing::info!(
                code = code.as_str(), connection = %socket.id, user = %self.user, since_last_line,
                "dev_hint: {message}"
            );
        }
        emit::event(socket, events::DEV_HINT, &DevHint { code, message });
    }
}

/// How a connection was made, to be looked at once its client knows that it is connected.
#[derive(Clone)]
pub struct FirstLook {
    hints: Arc<Hints>,
    token_ends: bool,
    at: Timestamp,
}

impl FirstLook {
    /// At a connection that was made at this time.
    pub fn new(hints: Arc<Hints>, token_ends: bool, at: Timestamp) -> Self {
        Self { hints, token_ends, at }
    }

    /// Looks at the end of its token, and at its client.
    pub fn look(&self, socket: &Socket) {
        if !self.token_ends {
            self.hints.say(socket, HintCode::TokenWithoutEnd);
        }
        if is_outdated(&socket.req_parts().uri, self.at) && !is_of_others(socket) {
            self.hints.say(socket, HintCode::OutdatedClient);
        }
    }
}

fn words(code: HintCode, user: UserId) -> String {
    match code {
        HintCode::NoAcknowledgement => {
            "send_message asked for no acknowledgement, so this client can't know whether its message is stored: use emitWithAck, \
             or give emit a function as its last argument"
                .to_owned()
        }
        HintCode::NoClientMessageId => {
            "the same text came twice in a short time without clientMessageId, and is stored twice: a client that repeats messages \
             (the option retries does) gives each an id of its own, and the same one when it repeats it"
                .to_owned()
        }
        HintCode::ForeignEvent => format!(
            "this event is none that a client sends: nothing is joined or asked for by it. Messages for this user come by themselves; \
             listen with socket.on(\"{}\"). What is for others is never sent here",
            events::receive_message(user)
        ),
        HintCode::TokenWithoutEnd => {
            "the token has no exp, so whoever finds it can use it for ever: let your backend give each an end, and the client \
             ask for a new one in the function auth"
                .to_owned()
        }
        HintCode::OutdatedClient => {
            "the client seems to be socket.io-client before 4.8 (by the parameter t of its requests); newer ones choose other \
             transports when one fails and have mended faults: npm install socket.io-client@4"
                .to_owned()
        }
    }
}

/// Whether the parameter `t` of an address is written as socket.io-client wrote it before 4.8: the time in milliseconds, in seven signs of
/// 64.
fn is_outdated(address: &Uri, now: Timestamp) -> bool {
    const SIGNS: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";
    const LENGTH: usize = 7;
    /// The clock of a client can be wrong; what is no time is far from any.
    const CLOSE_MS: i64 = 24 * 60 * 60 * 1_000;
    let query = address.query().unwrap_or_default();
    let Some(t) = query.split('&').find_map(|pair| pair.strip_prefix("t=")) else {
        return false;
    };
    let t = t.split('.').next().unwrap_or_default();
    let values = t
        .chars()
        .map(|sign| SIGNS.find(sign).and_then(|value| i64::try_from(value).ok()));
    let time = values
        .into_iter()
        .try_fold(0_i64, |time, value| Some(time * 64 + value?));
    t.len() == LENGTH && time.is_some_and(|time| (time - now.millis()).abs() < CLOSE_MS)
}

/// Whether another library is known to write that parameter so as well.
fn is_of_others(socket: &Socket) -> bool {
    let agent = socket.req_parts().headers.get(header::USER_AGENT);
    let agent = agent.map(|agent| String::from_utf8_lossy(agent.as_bytes()).to_ascii_lowercase());
    agent.is_some_and(|agent| ["okhttp", "dart", "java"].iter().any(|other| agent.contains(other)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_times_of_old_clients_are_taken_for_such() {
        let at = |t: &str| {
            format!("/socket.io/?EIO=4&transport=polling&t={t}")
                .parse::<Uri>()
                .unwrap()
        };
        // 2026-11-27T21:24:22.000Z, as socket.io-client 4.7 writes it.
        let now = Timestamp::from_millis(1_795_814_662_000);
        assert!(is_outdated(&at("Q8B5W_m"), now) || is_outdated(&at(&yeast(now)), now));
        assert!(is_outdated(&at(&format!("{}.1", yeast(now))), now));
        for t in [
            "",
            "1795814662",
            "1795814662.123",
            "kq3zc8f1",
            "abcdefg",
            "-------",
            "é",
        ] {
            let address = format!("/?t={t}").parse::<Uri>().unwrap_or_default();
            assert!(!is_outdated(&address, now), "{t}");
        }
        assert!(!is_outdated(&"/socket.io/".parse().unwrap(), now));
    }

    fn yeast(at: Timestamp) -> String {
        let signs: Vec<char> = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"
            .chars()
            .collect();
        let mut left = usize::try_from(at.millis()).unwrap();
        let mut written = Vec::new();
        while left > 0 {
            written.insert(0, signs[left % 64]);
            left /= 64;
        }
        written.into_iter().collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_repetition_is_found_while_it_is_one() {
        let hints = DevHints::default();
        let user = UserId::from_bytes([1; 12]);
        assert!(!hints.is_repeated((user, "b", "text")));
        assert!(hints.is_repeated((user, "b", "text")) && !hints.is_repeated((user, "c", "text")));
        assert!(!hints.is_repeated((UserId::from_bytes([2; 12]), "b", "text")));
        tokio::time::advance(std::time::Duration::from_secs(REPEATED_WITHIN + 2)).await;
        assert!(!hints.is_repeated((user, "b", "text")));
    }
}
