//! What was handed out, so that it is not handed out again: neither in the next seconds, nor when it settles.
//!
//! The poller reads every second several times: again and again while it is new, and a last time when it is settled. What was
//! seen of a second is therefore remembered until then, however much that is; only [`MAX_BYTES`] ends it sooner.

use std::collections::{BTreeMap, HashSet};
use std::hash::Hash;

use bson::oid::ObjectId;
use shared::{Timestamp, UserId};

use super::to_seconds;
use crate::storage::mongodb::document::{id_seconds, message_id};

/// How many bytes are remembered: of 14,000 messages a second all. Beyond that whole seconds are forgotten, and what is in them is
/// handed out once more when it settles, which does no harm. Those that would have to be remembered for longest go first, but
/// not those that are read at every poll.
const MAX_BYTES: usize = 20 * 1024 * 1024;

/// Something that the poller has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum ChangeKey {
    /// A message, by its id.
    Message(ObjectId),
    /// A message that was renewed, and when, in milliseconds.
    Renewal(ObjectId, i64),
    /// A marker as of a moment: who has read, and whose messages.
    Marker(UserId, UserId, Timestamp),
    /// A user's settings as of a moment, of a version.
    Settings(UserId, Timestamp, u64),
}

impl ChangeKey {
    /// The message, if it is one.
    pub(super) fn message(&self) -> Option<ObjectId> {
        match self {
            Self::Message(id) | Self::Renewal(id, _) => Some(*id),
            Self::Marker(..) | Self::Settings(..) => None,
        }
    }

    /// The second in which the poller reads it.
    fn second(&self) -> u32 {
        match self {
            Self::Message(id) => id_seconds(message_id(*id)),
            Self::Renewal(_, at) => to_seconds(*at),
            Self::Marker(_, _, at) | Self::Settings(_, at, _) => to_seconds(at.millis()),
        }
    }
}

/// What was seen in one second.
#[derive(Debug, Default)]
struct Second {
    /// Ids of messages without their time.
    messages: HashSet<[u8; 8]>,
    others: HashSet<ChangeKey>,
}

impl Second {
    fn contains(&self, key: &ChangeKey) -> bool {
        match key {
            ChangeKey::Message(id) => self.messages.contains(&rest(id)),
            other => self.others.contains(other),
        }
    }

    fn insert(&mut self, key: ChangeKey) -> bool {
        match key {
            ChangeKey::Message(id) => self.messages.insert(rest(&id)),
            other => self.others.insert(other),
        }
    }

    fn bytes(&self) -> usize {
        // Itself, in a tree that is not full.
        2 * size_of::<Self>() + bytes(&self.messages) + bytes(&self.others)
    }
}

/// An id without its time.
fn rest(id: &ObjectId) -> [u8; 8] {
    let mut rest = [0; 8];
    rest.copy_from_slice(&id.bytes()[4..]);
    rest
}

/// What a set takes: it is never fuller than seven eighths, and beside each place it has a byte.
fn bytes<T: Eq + Hash>(set: &HashSet<T>) -> usize {
    match set.capacity() {
        0 => 0,
        capacity => (capacity * 8 / 7).next_power_of_two() * (size_of::<T>() + 1),
    }
}

/// The last keys.
#[derive(Debug, Default)]
pub(super) struct SeenCache {
    seconds: BTreeMap<u32, Second>,
    /// What they take.
    bytes: usize,
    /// From this second on everything is read at every poll.
    recent: u32,
}

impl SeenCache {
    pub(super) fn contains(&self, key: &ChangeKey) -> bool {
        let second = self.seconds.get(&key.second());
        second.is_some_and(|second| second.contains(key))
    }

    /// Remembers one and returns whether it is new.
    pub(super) fn insert(&mut self, key: ChangeKey) -> bool {
        let mut before = 0;
        let second = match self.seconds.get_mut(&key.second()) {
            Some(second) => {
                before = second.bytes();
                second
            }
            None => self.seconds.entry(key.second()).or_default(),
        };
        let new = second.insert(key);
        self.bytes = self.bytes - before + second.bytes();
        while self.bytes > MAX_BYTES {
            let mut older = self.seconds.range(..self.recent);
            let last = older.next_back().or_else(|| self.seconds.first_key_value());
            let Some(last) = last.map(|(second, _)| *second) else {
                break;
            };
            self.forget(last);
        }
        new
    }

    /// Forgets what is complete: what lies before the second `settled` is not read again, and what lies between that and `recent`
    /// once.
    pub(super) fn advance(&mut self, settled: u32, recent: u32) {
        self.recent = recent;
        while let Some((&first, _)) = self.seconds.first_key_value()
            && first < settled
        {
            self.forget(first);
        }
    }

    fn forget(&mut self, second: u32) {
        let forgotten = self.seconds.remove(&second);
        self.bytes -= forgotten.map_or(0, |forgotten| forgotten.bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::mongodb::change_poller::{SETTLE_DELAY, recent, second, slices};

    fn id(second: i64, number: u32) -> ObjectId {
        let mut id = [0; 12];
        id[..4].copy_from_slice(&to_seconds(second * 1_000).to_be_bytes());
        id[8..].copy_from_slice(&number.to_be_bytes());
        ObjectId::from_bytes(id)
    }

    /// Reads so many messages a second for some seconds, polling once a second as the task does. Returns how often
    /// messages were new, and the most bytes that were remembered.
    fn follow(rate: u32, duration: i64) -> (u64, usize) {
        const BEGIN: i64 = 1_000_000;
        let (mut seen, mut new, mut most) = (SeenCache::default(), 0, 0);
        let mut polled = BEGIN * 1_000;
        let mut settled = second(polled - SETTLE_DELAY);
        for now in (BEGIN + 1..=BEGIN + duration + SETTLE_DELAY / 1_000 + 1).map(|second| second * 1_000) {
            for slice in slices::until(now, settled, polled) {
                let within = |(from, to): &(i64, i64)| {
                    let written = BEGIN..(BEGIN + duration).min(now / 1_000);
                    from.div_euclid(1_000).max(written.start)..to.div_euclid(1_000).min(written.end)
                };
                for second in slice.spans.iter().flat_map(within) {
                    let ids = (0..rate).map(|number| ChangeKey::Message(id(second, number)));
                    new += ids.map(|key| u64::from(seen.insert(key))).sum::<u64>();
                    most = most.max(seen.bytes);
                }
                (settled, polled) = (slice.settled, slice.polled);
                seen.advance(to_seconds(settled), recent(polled));
            }
        }
        (new, most)
    }

    #[test]
    fn thousands_a_second_are_new_once() {
        let (new, most) = follow(5_000, 80);
        assert_eq!(new, 400_000);
        assert!(most < MAX_BYTES / 2, "{most}");
    }

    #[test]
    fn beyond_the_limit_some_are_new_twice_and_none_every_second() {
        let (new, most) = follow(30_000, 42);
        assert!(most <= MAX_BYTES + MAX_BYTES / 8, "{most}");
        assert!((1_260_001..2 * 1_260_000).contains(&new), "{new}");
    }

    #[test]
    fn what_is_settled_is_forgotten() {
        let mut seen = SeenCache::default();
        let keys = [
            ChangeKey::Message(id(100, 1)),
            ChangeKey::Renewal(id(7, 1), 100_000),
            ChangeKey::Settings(UserId::from_bytes([1; 12]), Timestamp::from_millis(100_999), 1),
        ];
        for key in keys {
            assert!(seen.insert(key) && !seen.insert(key) && seen.contains(&key));
        }
        assert!(!seen.contains(&ChangeKey::Message(id(7, 1))));
        seen.advance(100, 200);
        assert!(keys.iter().all(|key| seen.contains(key)));
        seen.advance(101, 200);
        assert!(!keys.iter().any(|key| seen.contains(key)));
        assert_eq!(seen.bytes, 0);
    }
}
