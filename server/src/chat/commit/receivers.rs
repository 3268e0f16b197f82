//! What a receiver's connections can take: whoever sends more is refused, before the receiver's connection has to be
//! ended.
//!
//! A connection buffers what its client has not read yet, and ends when that is too much. So before a message is
//! stored, it is looked at how much waits for its receiver. As long as the receiver reads, everything passes. Once
//! [`WINDOW`] bytes wait, each sender may add as much as is still free of [`ROOM`], and no more, counting what of
//! theirs was delivered since the receiver fell back. So one who floods fills half of the room, and there is room for
//! a friend's messages, which come after at most that much of the flood.

use std::collections::{HashMap, VecDeque};

use shared::UserId;

/// Bytes that may wait for a receiver who reads.
const WINDOW: usize = 64 * 1024;

/// Bytes that may wait for one connection of a receiver, in its buffer and on the way there. What is told of other
/// things than messages has the rest of the buffer.
const ROOM: usize = 768 * 1024;

/// Receivers who fell back that are looked at for each batch, to forget those who have read everything since.
const LOOKED_AT: usize = 2;

/// What is on its way to each receiver.
#[derive(Default)]
pub(super) struct Receivers {
    loads: HashMap<UserId, Load>,
    /// Those who fell back; some may have recovered.
    behind: VecDeque<UserId>,
}

/// What is on its way to one receiver.
struct Load {
    /// All of it.
    total: Part,
    /// Of the first sender, which nearly always is the only one, and of the others.
    first: (UserId, Part),
    others: HashMap<UserId, Part>,
    /// Whether it is in `behind`.
    behind: bool,
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
    /// Lets a message of so many bytes pass, or returns false if its receiver can't take it. `backlog` is what waits
    /// in the receiver's fullest buffer now.
    pub(super) fn admit(&mut self, receiver: UserId, sender: UserId, bytes: usize, backlog: usize) -> bool {
        let load = self.loads.entry(receiver).or_insert_with(|| Load {
            total: Part::default(),
            first: (sender, Part::default()),
            others: HashMap::new(),
            behind: false,
        });
        let reads = backlog <= WINDOW;
        if reads {
            load.forget_buffered();
        }
        let free = ROOM.saturating_sub(backlog + load.total.under_way);
        let part = load.part(sender);
        let admitted = bytes <= free && (reads || part.under_way + part.buffered + bytes <= free);
        if admitted {
            part.under_way += bytes;
            load.total.under_way += bytes;
        } else {
            self.tidy(receiver, sender);
        }
        admitted
    }

    /// A message that passed was delivered, or was not stored. `backlog` is what waits in the receiver's fullest
    /// buffer now.
    pub(super) fn done(&mut self, receiver: UserId, sender: UserId, bytes: usize, backlog: usize) {
        let Some(load) = self.loads.get_mut(&receiver) else {
            return;
        };
        let part = load.part(sender);
        part.under_way -= bytes;
        if backlog > WINDOW {
            part.buffered += bytes;
            load.total.buffered += bytes;
            if !std::mem::replace(&mut load.behind, true) {
                self.behind.push_back(receiver);
            }
        }
        load.total.under_way -= bytes;
        if backlog <= WINDOW {
            load.forget_buffered();
        }
        self.tidy(receiver, sender);
    }

    /// Forgets what is kept of some who have read everything, and to whom nobody has sent since.
    pub(super) fn look(&mut self, backlog: impl Fn(UserId) -> usize) {
        for _ in 0..LOOKED_AT.min(self.behind.len()) {
            let Some(receiver) = self.behind.pop_front() else {
                return;
            };
            let Some(load) = self.loads.get_mut(&receiver) else {
                continue;
            };
            if backlog(receiver) > WINDOW {
                self.behind.push_back(receiver);
                continue;
            }
            load.behind = false;
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
        if load.total == Part::default() && !load.behind {
            self.loads.remove(&receiver);
        } else if load.others.get(&sender) == Some(&Part::default()) {
            load.others.remove(&sender);
        }
    }
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

    /// A receiver with a buffer.
    #[derive(Default)]
    struct Buffer {
        receivers: Receivers,
        /// Bytes in it.
        backlog: usize,
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
            self.receivers.admit(VICTIM, sender, BYTES, self.backlog)
        }

        fn deliver(&mut self, sender: UserId) {
            self.backlog += BYTES;
            self.receivers.done(VICTIM, sender, BYTES, self.backlog);
        }

        fn keeps_nothing(&mut self) -> bool {
            let backlog = self.backlog;
            (0..4).for_each(|_| self.receivers.look(|_| backlog));
            self.receivers.loads.is_empty() && self.receivers.behind.is_empty()
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
        assert!((ROOM * 2 / 5..=ROOM * 3 / 5).contains(&(passed * BYTES)), "{passed}");
        // However often it is tried, and although the receiver reads now and then.
        for _ in 0..10 {
            assert_eq!(buffer.flood(FLOODER, 100), 0);
            assert_eq!(buffer.flood(FRIEND, 3), 3);
        }
        assert!(buffer.backlog < ROOM);
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
        assert!(passed * BYTES <= ROOM, "{passed}");
        (0..passed).for_each(|_| buffer.deliver(FLOODER));
        assert!(buffer.backlog <= ROOM);
        assert!(!buffer.send(FLOODER));
    }

    #[test]
    fn nothing_is_kept_of_those_who_were_refused() {
        let mut buffer = Buffer {
            backlog: 2 * ROOM,
            ..Buffer::default()
        };
        for sender in 0..100 {
            assert!(!buffer.send(UserId::from_bytes([sender; 12])));
        }
        assert!(buffer.keeps_nothing());
    }
}
