//! What a receiver's connections can take: a sender of more is refused, before the receiver's connection has to be
//! ended.
//!
//! A connection buffers what its client has not read yet, and is ended when that is too much. So before a message is
//! stored, the queue asks how much waits for its receiver. As long as the receiver reads, nearly everything passes.
//! Once the receiver falls back, each sender may add as much as is still free of the room, and no more, counting
//! what of theirs was delivered since. So one who floods fills half of the room, and there is room for a friend's
//! messages, which come after at most that much of the flood.
//!
//! A sender is a receiver, too: of answers, and of a copy for each further connection.

use std::collections::{HashMap, VecDeque};

use shared::UserId;

use crate::delivery::Buffered;
use crate::delivery::budget::{CONNECTION_BYTES, USER_BYTES};

/// Bytes that may wait for one connection, in its buffer and on the way there. What is sent beside
/// messages has the rest of the buffer.
const ROOM_BYTES: usize = CONNECTION_BYTES / 4 * 3;

/// The same for all connections of a receiver; each has a copy.
const USER_ROOM_BYTES: usize = USER_BYTES / 4 * 3;

/// A receiver reads if no more than one part in so many of the room is used.
const READING_FRACTION: usize = 8;

/// A single sender may fill this many times as much as is then left free, as long as the receiver reads: what is on
/// its way will soon be read.
const READERS_SHARE: usize = 3;

/// Receivers who fell back that are checked again for each batch, to forget those who have read everything since.
const MAX_RECHECKED: usize = 16;

/// What is on its way to each receiver.
#[derive(Default)]
pub(super) struct Receivers {
    loads: HashMap<UserId, Load>,
    /// Those who fell back; some may have recovered.
    fallen_back: VecDeque<UserId>,
}

/// What is on its way to one receiver.
struct Load {
    /// All of it.
    total: Part,
    /// Of the first sender, which nearly always is the only one, and of the others.
    first: (UserId, Part),
    others: HashMap<UserId, Part>,
    /// Bytes that may wait for a receiver who reads, and how many wait, as far as is known.
    reading: usize,
    waits: usize,
    /// Whether it is in `fallen_back`.
    has_fallen_back: bool,
}

/// Bytes on their way to one receiver.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Part {
    /// In batches, not in a buffer yet.
    under_way: usize,
    /// Put into buffers since the receiver fell back.
    buffered: usize,
}

impl Receivers {
    /// Lets a message of so many bytes pass, or returns false if its receiver can't take it. `buffered` is what waits
    /// for the receiver now.
    pub(super) fn admit(&mut self, receiver: UserId, sender: UserId, bytes: usize, buffered: Buffered) -> bool {
        let load = self.loads.entry(receiver).or_insert_with(|| Load {
            total: Part::default(),
            first: (sender, Part::default()),
            others: HashMap::new(),
            reading: 0,
            waits: 0,
            has_fallen_back: false,
        });
        let room = room(buffered);
        load.reading = room / READING_FRACTION;
        load.waits = buffered.bytes;
        let reads = load.waits <= load.reading;
        if reads {
            load.forget_buffered();
        }
        let free = room.saturating_sub(buffered.bytes + load.total.under_way);
        let part = load.part(sender);
        let share = match reads {
            // Answers to oneself take no room from others: a client may have as many under way as requests.
            _ if sender == receiver => usize::MAX,
            true => READERS_SHARE * free,
            false => free,
        };
        let admitted = bytes <= free && part.under_way + part.buffered + bytes <= share;
        // Nothing is buffered for a user who is not there.
        let admitted = admitted || buffered.connections == 0;
        if admitted {
            part.under_way += bytes;
            load.total.under_way += bytes;
        } else {
            self.tidy(receiver, sender);
        }
        admitted
    }

    /// A message that passed will not be stored.
    pub(super) fn withdraw(&mut self, receiver: UserId, sender: UserId, bytes: usize) {
        if let Some(load) = self.loads.get_mut(&receiver) {
            load.part(sender).under_way -= bytes;
            load.total.under_way -= bytes;
            self.tidy(receiver, sender);
        }
    }

    /// A message that passed was delivered, or was not stored.
    pub(super) fn done(&mut self, receiver: UserId, sender: UserId, bytes: usize) {
        let Some(load) = self.loads.get_mut(&receiver) else {
            return;
        };
        // How much the receiver has read since is seen when a sender sends again.
        load.waits += bytes;
        let waits = load.waits > load.reading;
        let part = load.part(sender);
        part.under_way -= bytes;
        part.buffered += if waits { bytes } else { 0 };
        load.total.under_way -= bytes;
        load.total.buffered += if waits { bytes } else { 0 };
        if waits && !std::mem::replace(&mut load.has_fallen_back, true) {
            self.fallen_back.push_back(receiver);
        }
        self.tidy(receiver, sender);
    }

    /// Forgets what is kept of some who have read everything, and to whom nothing was sent since.
    pub(super) fn recheck(&mut self, buffered: impl Fn(UserId) -> Buffered) {
        for _ in 0..MAX_RECHECKED.min(self.fallen_back.len()) {
            let Some(receiver) = self.fallen_back.pop_front() else {
                return;
            };
            let Some(load) = self.loads.get_mut(&receiver) else {
                continue;
            };
            load.waits = buffered(receiver).bytes;
            if load.waits > load.reading {
                self.fallen_back.push_back(receiver);
                continue;
            }
            load.has_fallen_back = false;
            load.forget_buffered();
            if load.total == Part::default() {
                self.loads.remove(&receiver);
            }
        }
    }

    /// Keeps nothing of a sender or a receiver that says nothing.
    fn tidy(&mut self, receiver: UserId, sender: UserId) {
        let Some(load) = self.loads.get_mut(&receiver) else {
            return;
        };
        if load.total == Part::default() && !load.has_fallen_back {
            self.loads.remove(&receiver);
        } else if load.others.get(&sender) == Some(&Part::default()) {
            load.others.remove(&sender);
        }
    }
}

/// What may wait for each connection of a receiver.
fn room(buffered: Buffered) -> usize {
    ROOM_BYTES.min(USER_ROOM_BYTES / (buffered.connections + 1))
}

impl Load {
    fn part(&mut self, sender: UserId) -> &mut Part {
        let free = self.first.1 == Part::default() && !self.others.contains_key(&sender);
        if free {
            self.first.0 = sender;
        }
        if self.first.0 == sender {
            return &mut self.first.1;
        }
        self.others.entry(sender).or_default()
    }

    fn forget_buffered(&mut self) {
        if self.total.buffered == 0 {
            return;
        }
        self.total.buffered = 0;
        self.first.1.buffered = 0;
        self.others.retain(|_, part| {
            part.buffered = 0;
            part.under_way > 0
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VICTIM: UserId = UserId::from_bytes([0; 12]);
    const FLOODER: UserId = UserId::from_bytes([1; 12]);
    const FRIEND: UserId = UserId::from_bytes([2; 12]);
    const BYTES: usize = 1_000;

    /// A receiver with connections that are sent the same.
    struct Buffer {
        receivers: Receivers,
        /// Bytes that wait for each.
        backlog: usize,
        connections: usize,
    }

    impl Default for Buffer {
        fn default() -> Self {
            Self {
                receivers: Receivers::default(),
                backlog: 0,
                connections: 1,
            }
        }
    }

    impl Buffer {
        /// Sends as much as passes, up to `most` messages, as batches of 100; returns how many passed.
        fn flood(&mut self, sender: UserId, most: usize) -> usize {
            let mut passed = 0;
            while passed < most {
                let batch = (0..100.min(most - passed)).filter(|_| self.send(sender));
                let batch = batch.count();
                (0..batch).for_each(|_| self.deliver(sender));
                passed += batch;
                if batch == 0 {
                    break;
                }
            }
            passed
        }

        fn send(&mut self, sender: UserId) -> bool {
            self.receivers.admit(VICTIM, sender, BYTES, self.buffered())
        }

        fn deliver(&mut self, sender: UserId) {
            self.backlog += BYTES;
            self.receivers.done(VICTIM, sender, BYTES);
        }

        fn buffered(&self) -> Buffered {
            Buffered {
                bytes: self.backlog,
                connections: self.connections,
            }
        }

        fn keeps_nothing(&mut self) -> bool {
            let buffered = self.buffered();
            (0..4).for_each(|_| self.receivers.recheck(|_| buffered));
            self.receivers.loads.is_empty() && self.receivers.fallen_back.is_empty()
        }
    }

    #[test]
    fn whoever_reads_is_sent_everything() {
        let mut buffer = Buffer::default();
        for _ in 0..100 {
            assert_eq!(buffer.flood(FLOODER, 100), 100);
            buffer.backlog = 0;
        }
        assert!(buffer.keeps_nothing());
    }

    #[test]
    fn a_flood_leaves_room_for_a_friend() {
        let mut buffer = Buffer::default();
        let passed = buffer.flood(FLOODER, usize::MAX);
        assert!(
            (ROOM_BYTES * 2 / 5..=ROOM_BYTES * 3 / 5).contains(&(passed * BYTES)),
            "{passed}"
        );
        // However often it is tried, and although the receiver reads now and then.
        for _ in 0..10 {
            assert_eq!(buffer.flood(FLOODER, 100), 0);
            assert_eq!(buffer.flood(FRIEND, 3), 3);
        }
        assert!(buffer.backlog < ROOM_BYTES);
        assert!(!buffer.keeps_nothing());
        buffer.backlog = 0;
        assert!(buffer.flood(FLOODER, 100) == 100, "all was read");
        buffer.backlog = 0;
        assert!(buffer.keeps_nothing());
    }

    #[test]
    fn what_is_on_its_way_counts_before_it_arrives() {
        let mut buffer = Buffer::default();
        let passed = (0..10_000).filter(|_| buffer.send(FLOODER)).count();
        assert!(passed * BYTES <= ROOM_BYTES, "{passed}");
        (0..passed).for_each(|_| buffer.deliver(FLOODER));
        assert!(buffer.backlog <= ROOM_BYTES);
        assert!(!buffer.send(FLOODER));
    }

    #[test]
    fn many_connections_have_less_room_each() {
        let mut buffer = Buffer {
            connections: 32,
            ..Buffer::default()
        };
        buffer.flood(FLOODER, usize::MAX);
        assert_eq!(buffer.flood(FRIEND, 3), 3);
        assert!(buffer.backlog * (buffer.connections + 1) < USER_BYTES);
    }

    #[test]
    fn whoever_is_away_has_no_buffer() {
        let mut buffer = Buffer {
            connections: 0,
            ..Buffer::default()
        };
        assert!((0..10_000).all(|_| buffer.send(FLOODER)));
        (0..10_000).for_each(|_| buffer.deliver(FLOODER));
        buffer.backlog = 0;
        assert!(buffer.keeps_nothing());
    }

    #[test]
    fn nothing_is_kept_of_those_who_were_refused() {
        let mut buffer = Buffer {
            backlog: 2 * ROOM_BYTES,
            ..Buffer::default()
        };
        for sender in 0..100 {
            assert!(!buffer.send(UserId::from_bytes([sender; 12])));
        }
        assert!(buffer.keeps_nothing());
    }
}
