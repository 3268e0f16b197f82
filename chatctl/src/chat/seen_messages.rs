//! Which messages were seen already.

use std::collections::{HashSet, VecDeque};

use shared::MessageId;

/// Messages remembered so that they are not shown twice.
const MAX_SEEN: usize = 20_000;

/// The messages seen last.
#[derive(Debug, Default)]
pub(crate) struct SeenMessages {
    ids: HashSet<MessageId>,
    order: VecDeque<MessageId>,
}

impl SeenMessages {
    /// Notes a message. False if it was seen before.
    pub(crate) fn insert(&mut self, id: MessageId) -> bool {
        if !self.ids.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > MAX_SEEN
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }

    /// Whether a message was seen.
    pub(crate) fn contains(&self, id: MessageId) -> bool {
        self.ids.contains(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_new_once_and_memory_is_bounded() {
        let mut seen = SeenMessages::default();
        let id = |number: u32| {
            let mut bytes = [0; 12];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            MessageId::from_bytes(bytes)
        };
        let most = u32::try_from(MAX_SEEN).unwrap();
        assert!((0..most + 10).all(|number| seen.insert(id(number))));
        assert!(!seen.insert(id(most)));
        assert!(seen.contains(id(10)) && !seen.contains(id(9)));
        assert_eq!((seen.ids.len(), seen.order.len()), (MAX_SEEN, MAX_SEEN));
    }
}
