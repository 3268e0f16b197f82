//! Bytes that were read of clients and wait for the rest of what they are part of.
//!
//! The head of a request waits for its end, a body for its answer, a message of a WebSocket for its last frame. The first
//! [`FREE_BYTES`] bytes of a connection are counted by nobody else. What goes beyond is charged to its sender, an address or
//! a user, and to all. An owner may hold no more than what is still free, and a connection no more than an eighth of what
//! its owner may hold besides (dynamic thresholds, as in [`budget`](crate::delivery::budget)): many that hold much get less each, one
//! owner never takes more than half, and those that hold most leave room for nearly as much of one more.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::delivery::budget::{Share, Shares};

/// Bytes of a connection that are counted by nobody else: as much as is allocated for one that sends a single byte.
pub(super) const FREE_BYTES: usize = 8 << 10;

/// Most bytes beyond [`FREE_BYTES`] of each connection.
pub(super) const INTAKE_BYTES: usize = 32 << 20;

/// Largest head of a request in bytes, and as much as is read ahead.
pub(super) const HEADER_BYTES: usize = 32 * 1024;

/// What a connection holds may take one part in so many of what is still free.
const CONNECTION_SHARE: usize = 8;

/// The end of a request's head.
const HEAD_END: &[u8; 4] = b"\r\n\r\n";

/// What all connections hold, and each owner's.
pub(super) struct Intake<K> {
    all: Arc<Share>,
    owners: Shares<K>,
}

impl<K> Default for Intake<K> {
    fn default() -> Self {
        Self {
            all: Arc::default(),
            owners: Shares::default(),
        }
    }
}

impl<K: Hash + Eq> Intake<K> {
    /// A charge of nothing yet.
    pub(super) fn of(&self, owner: K) -> Charge {
        Charge {
            all: Arc::clone(&self.all),
            owner: self.owners.of(owner),
            bytes: 0,
        }
    }
}

/// What one connection holds, until this is dropped.
pub(super) struct Charge {
    all: Arc<Share>,
    owner: Arc<Share>,
    bytes: usize,
}

impl Charge {
    /// Says how much it is now. False if it is more than it may be.
    pub(super) fn set(&mut self, bytes: usize) -> bool {
        let signed = |bytes| isize::try_from(bytes).unwrap_or(isize::MAX);
        let more = signed(bytes) - signed(self.bytes);
        self.bytes = bytes;
        let of_owner = self.owner.change(more);
        let free = INTAKE_BYTES.saturating_sub(self.all.change(more));
        more <= 0 || bytes.saturating_mul(CONNECTION_SHARE) <= free.saturating_sub(of_owner)
    }
}

/// Charges what goes beyond [`FREE_BYTES`] of so many bytes to their owner, if they have one. False if it may not wait.
pub(super) fn charge(charge: &mut Option<Charge>, bytes: usize, owner: impl FnOnce() -> Option<Charge>) -> bool {
    if bytes <= FREE_BYTES {
        *charge = None;
        return true;
    }
    if charge.is_none() {
        *charge = owner();
    }
    charge.as_mut().is_none_or(|charge| charge.set(bytes - FREE_BYTES))
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// How much waits of one session, and its charge.
#[derive(Default)]
pub(super) struct Waits {
    bytes: usize,
    charge: Option<Charge>,
}

impl Waits {
    /// Changes how much waits. False if it is more than may wait.
    pub(super) fn change(&mut self, to: impl FnOnce(usize) -> usize, owner: impl FnOnce() -> Option<Charge>) -> bool {
        self.bytes = to(self.bytes);
        charge(&mut self.charge, self.bytes, owner)
    }
}

/// How much was read of requests that are not answered yet, and where in it a head ended.
#[derive(Default)]
pub(super) struct Requests {
    /// All of it.
    bytes: usize,
    /// Up to the end of the first head; 0 if there was none.
    first: usize,
    /// Since the end of the last head.
    rest: usize,
    /// How much of [`HEAD_END`] came last.
    matched: usize,
    /// What is read of the body of the request that was answered last, and how much of that was taken off.
    body: Option<(Arc<AtomicUsize>, usize)>,
}

impl Requests {
    /// Counts what was read, and returns how much waits.
    pub(super) fn read(&mut self, read: &[u8]) -> usize {
        self.drop_body();
        let mut at = 0;
        self.rest += read.len();
        while at < read.len() {
            if self.matched == 0 {
                match memchr::memchr(HEAD_END[0], &read[at..]) {
                    Some(next) => at += next,
                    None => break,
                }
            }
            self.matched = match read[at] {
                byte if byte == HEAD_END[self.matched] => self.matched + 1,
                byte => usize::from(byte == HEAD_END[0]),
            };
            at += 1;
            if self.matched == HEAD_END.len() {
                self.matched = 0;
                self.rest = read.len() - at;
                if self.first == 0 {
                    self.first = self.bytes + at;
                }
            }
        }
        self.bytes += read.len();
        self.bytes
    }

    /// How much waits, as of the last read.
    pub(super) fn waits(&self) -> usize {
        self.bytes
    }

    /// The rest of a body whose request was answered is read and dropped, and does not wait.
    fn drop_body(&mut self) {
        let Some((read, taken)) = &mut self.body else { return };
        let dropped = read.load(Ordering::Relaxed) - *taken;
        *taken += dropped;
        self.bytes = self.bytes.saturating_sub(dropped);
        self.rest = self.rest.min(self.bytes);
        self.first = self.first.saturating_sub(dropped);
    }

    /// A request was answered, of whose body, if it has one, `body` counts what is read. What was read after it still waits:
    /// it is the beginning of the next one. Returns how much that is.
    pub(super) fn answered(&mut self, body: Option<Arc<AtomicUsize>>) -> usize {
        let rest = match &body {
            // Heads that are complete are answered at once.
            None => self.rest,
            Some(body) => self.bytes.saturating_sub(self.first + body.load(Ordering::Relaxed)),
        };
        self.body = body.map(|body| {
            let taken = body.load(Ordering::Relaxed);
            (body, taken)
        });
        // No more than this is read ahead.
        self.bytes = rest.min(HEADER_BYTES);
        self.first = 0;
        self.rest = self.rest.min(self.bytes);
        self.bytes
    }

    /// Whether the head of one request is all that was read since the last answer.
    pub(super) fn is_one_head(&self) -> bool {
        self.first > 0 && self.first == self.bytes && self.rest == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    #[test]
    fn what_comes_after_an_answered_request_still_waits() {
        let mut requests = Requests::default();
        assert_eq!(requests.read(GET), GET.len());
        assert!(requests.is_one_head());
        assert_eq!(requests.answered(None), 0);
        let two = [GET, &GET[..20]].concat();
        for piece in two.chunks(3) {
            requests.read(piece);
        }
        assert!(!requests.is_one_head());
        assert_eq!(requests.answered(None), 20);
        requests.read(&GET[20..]);
        assert!(requests.is_one_head());
        assert_eq!(requests.answered(None), 0);
        // A body that looks like a head's end.
        requests.read(&[GET, b"ab\r\n\r\n", &GET[..20]].concat());
        assert_eq!(requests.answered(Some(Arc::new(AtomicUsize::new(6)))), 20);
    }

    #[test]
    fn the_rest_of_a_body_that_is_dropped_does_not_wait() {
        let mut requests = Requests::default();
        let body = Arc::new(AtomicUsize::new(0));
        requests.read(&[GET, &[b'x'; 1_000]].concat());
        assert_eq!(requests.answered(Some(Arc::clone(&body))), 1_000);
        for _ in 0..1_000 {
            body.fetch_add(1_000, Ordering::Relaxed);
            assert!(requests.read(&[b'x'; 1_000]) <= 1_000);
        }
        body.fetch_add(1_000, Ordering::Relaxed);
        requests.read(GET);
        assert_eq!(requests.answered(None), 0);
    }

    #[test]
    fn heads_that_were_read_ahead_are_no_single_head() {
        let mut requests = Requests::default();
        requests.read(&[GET, GET, b"\x81\x80frames\r\n\r\n"].concat());
        assert_eq!(requests.answered(None), 0);
        assert!(!requests.is_one_head());
        requests.read(&[GET, b"\x81\x80frames\r\n\r\n"].concat());
        assert!(!requests.is_one_head());
    }

    #[test]
    fn many_that_hold_much_leave_room_for_others() {
        let intake = Intake::<u8>::default();
        let mut held: Vec<Charge> = (0..1_500).map(|_| intake.of(1)).collect();
        // What is ended is given back.
        held.retain_mut(|one| one.set(28 << 10));
        assert!(held.len() < 1_500);
        assert!(intake.owners.of(1).get() <= INTAKE_BYTES / 2);
        assert!(intake.of(1).set(20 << 10), "less than the others");
        assert!(intake.of(2).set(INTAKE_BYTES / 24));
        drop(held);
        assert_eq!(intake.all.get(), 0);
    }
}
