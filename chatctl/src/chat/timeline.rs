//! What was seen already, and from where each conversation is caught up after a pause.

use std::collections::{HashSet, VecDeque};

use shared::{Message, MessageId, Timestamp, UserId};

use crate::client::http::Page;

/// Ids and times are given before the commit, so a message can appear behind a newer one. Catching up starts this many
/// milliseconds before the newest message seen; what comes twice is dropped.
const WINDOW: i64 = 30_000;
/// Messages remembered so that they are not shown twice.
const SEEN: usize = 20_000;
/// Conversations caught up after a pause: those that were active last.
const CONVERSATIONS: usize = 50;

/// What one user has seen.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    seen: HashSet<MessageId>,
    order: VecDeque<MessageId>,
    /// The most recently active one is last.
    conversations: VecDeque<Conversation>,
}

/// One conversation's recent past.
#[derive(Debug)]
struct Conversation {
    with: UserId,
    /// Nothing lies before `recent`.
    whole: bool,
    /// The first is the newest that is older than the window, the starting point for catching up.
    recent: VecDeque<(MessageId, Timestamp)>,
    /// The newest time seen, in milliseconds.
    newest: i64,
}

impl Timeline {
    /// Notes a message of the conversation with `with`. False if it was seen before.
    pub(crate) fn see(&mut self, with: UserId, message: &Message) -> bool {
        if !self.seen.insert(message.id) {
            return false;
        }
        self.order.push_back(message.id);
        if self.order.len() > SEEN
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        if let Some(at) = message.created_at {
            self.conversation(with).push(message.id, at);
        }
        true
    }

    /// Whether a message was seen.
    pub(crate) fn has_seen(&self, id: MessageId) -> bool {
        self.seen.contains(&id)
    }

    /// Notes the newest messages of a conversation, and whether they are all of it.
    pub(crate) fn open(&mut self, with: UserId, newest: &[Message], whole: bool) {
        self.conversation(with).whole |= whole;
        for message in newest {
            self.see(with, message);
        }
    }

    /// What to fetch for catching up with each conversation, the most recently active one first.
    pub(crate) fn gaps(&self) -> Vec<(UserId, Page)> {
        let gaps = self.conversations.iter().rev().filter_map(|c| Some((c.with, c.gap()?)));
        gaps.collect()
    }

    fn conversation(&mut self, with: UserId) -> &mut Conversation {
        let known = self
            .conversations
            .iter()
            .position(|conversation| conversation.with == with);
        let conversation = known
            .and_then(|index| self.conversations.remove(index))
            .unwrap_or(Conversation {
                with,
                whole: false,
                recent: VecDeque::new(),
                newest: 0,
            });
        if self.conversations.len() >= CONVERSATIONS {
            self.conversations.pop_front();
        }
        self.conversations.push_back(conversation);
        self.conversations.back_mut().expect("one was just pushed")
    }
}

impl Conversation {
    fn push(&mut self, id: MessageId, at: Timestamp) {
        self.recent.push_back((id, at));
        self.newest = self.newest.max(at.millis());
        let edge = self.newest - WINDOW;
        while self.recent.len() > SEEN || self.recent.get(1).is_some_and(|(_, at)| at.millis() <= edge) {
            self.recent.pop_front();
            self.whole = false;
        }
    }

    fn gap(&self) -> Option<Page> {
        // As long as everything is inside the window, only the beginning is a safe start.
        let edge = self.newest - WINDOW;
        if self.whole && self.recent.front().is_none_or(|(_, at)| at.millis() > edge) {
            return Some(Page::All);
        }
        self.recent.front().map(|(id, _)| Page::After(*id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: UserId = UserId::from_bytes([1; 12]);

    fn message(number: u8, second: i64) -> Message {
        Message {
            id: id(number),
            sender: None,
            receiver: None,
            message: None,
            created_at: Some(Timestamp::from_millis(second * 1_000)),
            updated_at: None,
            version: None,
        }
    }

    fn id(number: u8) -> MessageId {
        MessageId::from_bytes([number; 12])
    }

    #[test]
    fn a_message_is_new_once() {
        let mut timeline = Timeline::default();
        assert!(timeline.see(PEER, &message(1, 0)));
        assert!(!timeline.see(PEER, &message(1, 0)));
    }

    #[test]
    fn catching_up_begins_before_the_window() {
        let mut timeline = Timeline::default();
        timeline.open(
            PEER,
            &[message(1, 0), message(2, 5), message(3, 60), message(4, 70)],
            false,
        );
        assert_eq!(timeline.gaps(), [(PEER, Page::After(id(2)))]);
        // One that was committed late changes nothing.
        timeline.see(PEER, &message(5, 50));
        assert_eq!(timeline.gaps(), [(PEER, Page::After(id(2)))]);
    }

    #[test]
    fn a_young_conversation_is_fetched_from_its_beginning() {
        let mut timeline = Timeline::default();
        timeline.open(PEER, &[], true);
        assert_eq!(timeline.gaps(), [(PEER, Page::All)]);
        timeline.see(PEER, &message(1, 0));
        timeline.see(PEER, &message(2, 10));
        assert_eq!(timeline.gaps(), [(PEER, Page::All)]);
        timeline.see(PEER, &message(3, 45));
        assert_eq!(timeline.gaps(), [(PEER, Page::After(id(2)))]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut timeline = Timeline::default();
        for number in 0..u32::try_from(SEEN).unwrap() + 10 {
            let mut bytes = [0; 12];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            let with = UserId::from_bytes(bytes);
            let mut message = message(0, 0);
            message.id = MessageId::from_bytes(bytes);
            timeline.see(with, &message);
        }
        assert_eq!(timeline.seen.len(), SEEN);
        assert_eq!(timeline.order.len(), SEEN);
        assert_eq!(timeline.conversations.len(), CONVERSATIONS);
    }
}
