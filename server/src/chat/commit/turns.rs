//! What waits, in the order in which it is taken: senders take turns.
//!
//! This is deficit round robin. Each sender with something waiting has a queue of its own and a place in a ring; whose
//! turn it is may take out as many bytes as a turn is worth, and what a large item lacks is saved for the next turn.
//! So a sender with one message waits for one turn of the others, however many messages they have. Putting in and
//! taking out cost the same whether one sender waits or thousands do.

use std::collections::{HashMap, VecDeque};

use shared::UserId;
use slab::Slab;

/// Bytes that a turn is worth: a few ordinary messages.
const TURN_BYTES: usize = 1_024;

/// Room that is kept when nothing waits; what a flood needed beyond that is given back.
const KEPT_CAPACITY: usize = 8_192;

/// How much is taken at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Portion {
    /// Most items.
    pub(crate) items: usize,
    /// Bytes after which nothing more is taken.
    pub(crate) bytes: usize,
    /// The same for a single sender, so that what is answered to one, and delivered to one, stays small enough to be
    /// buffered.
    pub(crate) sender_bytes: usize,
}

/// Items that wait, each of a sender.
pub(crate) struct Turns<T> {
    items: Slab<Item<T>>,
    /// Those of whom something waits.
    senders: HashMap<UserId, Line>,
    /// The same ones, whose turn is next first.
    ring: VecDeque<UserId>,
    /// Counts the portions, see [`Line::portion`].
    portion: u64,
}

struct Item<T> {
    value: T,
    bytes: usize,
    /// The next one of the same sender.
    next: Option<usize>,
}

/// What waits of one sender.
struct Line {
    first: usize,
    last: usize,
    /// Bytes that may be taken out in this turn.
    credit: usize,
    /// The portion that something was last taken into, and the bytes of it that are of this sender.
    portion: u64,
    taken: usize,
}

impl<T> Turns<T> {
    pub(crate) fn new() -> Self {
        Self {
            items: Slab::new(),
            senders: HashMap::new(),
            ring: VecDeque::new(),
            portion: 0,
        }
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// How much waits.
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// Puts an item after all others of its sender.
    pub(crate) fn enqueue(&mut self, sender: UserId, bytes: usize, value: T) {
        let last = self.items.insert(Item {
            value,
            bytes,
            next: None,
        });
        match self.senders.get_mut(&sender) {
            Some(line) => {
                self.items[line.last].next = Some(last);
                line.last = last;
            }
            None => {
                let line = Line {
                    first: last,
                    last,
                    credit: 0,
                    portion: 0,
                    taken: 0,
                };
                self.senders.insert(sender, line);
                self.ring.push_back(sender);
            }
        }
    }

    /// Takes out what comes next. Empty only if nothing waits.
    pub(crate) fn dequeue(&mut self, most: Portion) -> Vec<T> {
        let mut taken = Vec::with_capacity(self.items.len().min(most.items));
        let mut bytes = 0;
        let mut sated = Vec::new();
        self.portion += 1;
        while taken.len() < most.items && bytes < most.bytes {
            let Some(sender) = self.ring.pop_front() else { break };
            let Some(line) = self.senders.get_mut(&sender) else {
                continue;
            };
            if line.portion != self.portion {
                (line.portion, line.taken) = (self.portion, 0);
            }
            line.credit += TURN_BYTES;
            let after = loop {
                let next = self.items[line.first].bytes;
                if line.taken >= most.sender_bytes {
                    break After::Sated;
                }
                if line.credit < next || taken.len() == most.items || bytes >= most.bytes {
                    break After::Waits;
                }
                let item = self.items.remove(line.first);
                line.credit -= item.bytes;
                line.taken += item.bytes;
                bytes += item.bytes;
                taken.push(item.value);
                match item.next {
                    Some(next) => line.first = next,
                    None => break After::Gone,
                }
            };
            match after {
                After::Gone => {
                    self.senders.remove(&sender);
                }
                After::Waits => self.ring.push_back(sender),
                After::Sated => {
                    line.credit = 0;
                    sated.push(sender);
                }
            }
        }
        self.ring.extend(sated);
        self.give_back();
        taken
    }

    /// Takes out everything, in no particular order.
    pub(crate) fn clear(&mut self) -> Vec<T> {
        self.senders.clear();
        self.ring.clear();
        let all = self.items.drain().map(|item| item.value).collect();
        self.give_back();
        all
    }

    fn give_back(&mut self) {
        if self.items.is_empty() && self.items.capacity() > KEPT_CAPACITY {
            self.items = Slab::new();
            self.senders = HashMap::new();
            self.ring = VecDeque::new();
        }
    }
}

/// Where a sender is after a turn.
enum After {
    /// Nothing more of them waits.
    Gone,
    /// Back in the ring.
    Waits,
    /// They have all they may have of this portion.
    Sated,
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Portion = Portion {
        items: usize::MAX,
        bytes: usize::MAX,
        sender_bytes: usize::MAX,
    };

    fn user(number: u8) -> UserId {
        UserId::from_bytes([number; 12])
    }

    #[test]
    fn one_message_waits_for_one_turn_of_a_flood() {
        let mut turns = Turns::new();
        (0..1_000).for_each(|index| turns.enqueue(user(1), TURN_BYTES, (1, index)));
        turns.enqueue(user(2), TURN_BYTES, (2, 0));
        let taken = turns.dequeue(Portion { items: 3, ..ALL });
        assert_eq!(taken, [(1, 0), (2, 0), (1, 1)]);
    }

    #[test]
    fn the_order_of_a_sender_is_kept() {
        let mut turns = Turns::new();
        let sizes = [100, 40_000, 1, 1_024, 9_000];
        for index in 0..300_usize {
            for sender in 0..5 {
                turns.enqueue(user(sender), sizes[(index + usize::from(sender)) % 5], (sender, index));
            }
        }
        let mut seen = [0; 5];
        while !turns.is_empty() {
            let taken = turns.dequeue(Portion {
                items: 7,
                bytes: 50_000,
                sender_bytes: 45_000,
            });
            assert!(!taken.is_empty());
            for (sender, index) in taken {
                assert_eq!(index, seen[usize::from(sender)]);
                seen[usize::from(sender)] += 1;
            }
        }
        assert_eq!(seen, [300; 5]);
    }

    #[test]
    fn turns_are_worth_bytes() {
        let mut turns = Turns::new();
        (0..100).for_each(|_| turns.enqueue(user(1), 16 * TURN_BYTES, 1));
        (0..100).for_each(|_| turns.enqueue(user(2), TURN_BYTES, 2));
        let taken = turns.dequeue(Portion { items: 34, ..ALL });
        assert_eq!(taken.iter().filter(|sender| **sender == 1).count(), 2);
    }

    #[test]
    fn a_portion_is_bounded_in_bytes_for_all_and_for_each() {
        let mut turns = Turns::new();
        for sender in 1..=3 {
            (0..100).for_each(|_| turns.enqueue(user(sender), TURN_BYTES, sender));
        }
        let portion = Portion {
            bytes: 50 * TURN_BYTES,
            sender_bytes: 10 * TURN_BYTES,
            ..ALL
        };
        let taken = turns.dequeue(portion);
        for sender in 1..=3 {
            assert_eq!(taken.iter().filter(|one| **one == sender).count(), 10);
        }
        let portion = Portion {
            bytes: 20 * TURN_BYTES,
            ..portion
        };
        assert_eq!(turns.dequeue(portion).len(), 20);
        assert_eq!(turns.clear().len(), 250);
        assert!(turns.dequeue(portion).is_empty());
    }
}
