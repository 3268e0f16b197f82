//! Who may have how much under way: a bound for all, in messages and in bytes, and a share of it for each sender.
//!
//! A sender may have as much as is still free, and no more: one who floods fills half of the room, two fill two thirds,
//! and so on. So all of the room can be used by many, and there is always as much free as one of those who flood has,
//! which is plenty for everybody else. (Switches share their buffers between ports like this.)

use std::collections::HashMap;

use shared::UserId;

/// An amount of what is under way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    /// Messages.
    pub(crate) messages: usize,
    /// Their bytes.
    pub(crate) bytes: usize,
}

/// Room that is kept when nothing is under way; what a flood of senders needed beyond that is given back.
const KEPT_CAPACITY: usize = 8_192;

/// What is under way, in all and of each sender.
pub(crate) struct Shares {
    limit: Amount,
    used: Amount,
    /// Those who have something under way.
    senders: HashMap<UserId, Amount>,
}

impl Shares {
    pub(crate) fn new(limit: Amount) -> Self {
        Self {
            limit,
            used: Amount::default(),
            senders: HashMap::new(),
        }
    }

    /// Charges a message to its sender, or returns false if the sender's share is used up.
    pub(crate) fn charge(&mut self, sender: UserId, bytes: usize) -> bool {
        let free = Amount {
            messages: self.limit.messages - self.used.messages,
            bytes: self.limit.bytes - self.used.bytes,
        };
        if free.messages == 0 || bytes > free.bytes {
            return false;
        }
        let share = self.senders.entry(sender).or_default();
        if share.messages >= free.messages || share.bytes + bytes > free.bytes {
            return false;
        }
        for amount in [share, &mut self.used] {
            amount.messages += 1;
            amount.bytes += bytes;
        }
        true
    }

    /// Takes back what was charged for a message.
    pub(crate) fn release(&mut self, sender: UserId, bytes: usize) {
        let Some(share) = self.senders.get_mut(&sender) else {
            return;
        };
        for amount in [&mut *share, &mut self.used] {
            amount.messages -= 1;
            amount.bytes -= bytes;
        }
        if share.messages == 0 {
            self.senders.remove(&sender);
        }
        if self.senders.is_empty() && self.senders.capacity() > KEPT_CAPACITY {
            self.senders = HashMap::new();
        }
    }

    /// What is under way in all.
    pub(crate) fn used(&self) -> Amount {
        self.used
    }

    /// Whether nothing is under way.
    pub(crate) fn is_empty(&self) -> bool {
        self.used.messages == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Amount = Amount {
        messages: 120,
        bytes: 12_000,
    };

    fn user(number: u8) -> UserId {
        UserId::from_bytes([number; 12])
    }

    /// How many messages of this size each gets, when all of them want more than there is.
    fn flood(shares: &mut Shares, senders: std::ops::Range<u8>, bytes: usize) -> Vec<usize> {
        let mut taken = vec![0; senders.len()];
        for _ in 0..LIMIT.messages {
            for (index, sender) in senders.clone().enumerate() {
                taken[index] += usize::from(shares.charge(user(sender), bytes));
            }
        }
        taken
    }

    #[test]
    fn a_flood_leaves_room_for_others() {
        for bytes in [1, 100] {
            let mut shares = Shares::new(LIMIT);
            assert_eq!(flood(&mut shares, 0..1, bytes), [60]);
            assert!(shares.charge(user(9), bytes), "somebody else");
        }
        assert_eq!(flood(&mut Shares::new(LIMIT), 0..2, 1), [40, 40]);
        assert_eq!(flood(&mut Shares::new(LIMIT), 0..9, 1), [12; 9]);
    }

    #[test]
    fn bytes_are_bounded_as_messages_are() {
        let mut shares = Shares::new(LIMIT);
        assert_eq!(flood(&mut shares, 0..1, 600), [10]);
        assert!(!shares.charge(user(1), 6_001), "more than is free");
        assert!(shares.charge(user(1), 6_000));
        assert!(!shares.charge(user(2), 1), "all of the bytes are used");
    }

    #[test]
    fn what_is_released_is_free_again() {
        let mut shares = Shares::new(LIMIT);
        for _ in 0..1_000 {
            assert_eq!(flood(&mut shares, 0..3, 10), [30; 3]);
            for sender in 0..3 {
                (0..30).for_each(|_| shares.release(user(sender), 10));
            }
            assert!(shares.is_empty() && shares.senders.is_empty() && shares.used == Amount::default());
        }
    }
}
