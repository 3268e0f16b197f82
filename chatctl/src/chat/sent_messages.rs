//! One's own messages on the screen, and how far each has come.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use shared::{Message, MessageId, Timestamp};

use crate::ticks::{Position, Reach, Tick};

/// Messages whose position is remembered.
const MAX_POSITIONS: usize = 20_000;
/// Own messages that are remembered as not read.
const MAX_UNREAD: usize = 1_000;
/// Whoever reads a message within this time of its sending reads along: the line above the typed one tells it.
const READING_ALONG_WINDOW: Duration = Duration::from_secs(3);

/// What was shown of the open conversation.
#[derive(Debug, Default)]
pub(crate) struct SentMessages {
    reach: Reach,
    /// Where each message that was shown is listed: receipts name messages by their ids only.
    positions: HashMap<MessageId, Position>,
    /// Own messages that were shown as not read, oldest first.
    unread: VecDeque<ShownMessage>,
    last: Option<ShownMessage>,
}

/// An own message that was shown.
#[derive(Debug, Clone, Copy)]
struct ShownMessage {
    position: Position,
    at: Option<Timestamp>,
}

impl SentMessages {
    /// The other one's message is shown.
    pub(crate) fn peer_message_shown(&mut self, message: &Message) {
        if self.positions.len() >= MAX_POSITIONS {
            self.positions.clear();
        }
        self.positions.insert(message.id, Position::of(message));
    }

    /// An own message is shown; returns what stands after it.
    pub(crate) fn own_message_shown(&mut self, message: &Message) -> Tick {
        self.peer_message_shown(message);
        let (position, at) = (Position::of(message), message.created_at);
        let tick = self.reach.tick(position);
        let is_new = self.last.is_none_or(|last| !last.position.reaches(position));
        if is_new {
            self.last = Some(ShownMessage { position, at });
            if tick != Tick::Read {
                self.unread.push_back(ShownMessage { position, at });
                if self.unread.len() > MAX_UNREAD {
                    self.unread.pop_front();
                }
            }
        }
        tick
    }

    /// How far a message at this position came.
    pub(crate) fn tick(&self, position: Position) -> Tick {
        self.reach.tick(position)
    }

    /// How far the last message came.
    pub(crate) fn last_tick(&self) -> Option<Tick> {
        self.last.map(|last| self.reach.tick(last.position))
    }

    /// How far the other one has received and read, whatever was told before.
    pub(crate) fn replace_receipts(&mut self, delivered: Option<MessageId>, read: Option<MessageId>) {
        self.reach = Reach {
            delivered: delivered.map(|id| self.position(id)),
            read: read.map(|id| self.position(id)),
        };
        self.forget_read();
    }

    /// The other one has received up to this message.
    pub(crate) fn delivered(&mut self, up_to: MessageId) {
        let position = self.position(up_to);
        if self.reach.delivered.is_none_or(|mark| position.reaches(mark)) {
            self.reach.delivered = Some(position);
        }
    }

    /// The other one has read up to this message. Returns the time of the last own message that this is news about,
    /// unless the line above the typed one is news enough.
    pub(crate) fn read(&mut self, up_to: MessageId, at: Option<Timestamp>) -> Option<Timestamp> {
        let position = self.position(up_to);
        if self.reach.read.is_none_or(|mark| position.reaches(mark)) {
            self.reach.read = Some(position);
        }
        let newest = self.forget_read()?;
        let sent = newest.at?;
        let is_last = self.last.is_some_and(|last| last.position == newest.position);
        let soon = at.is_none_or(|at| at.millis() - sent.millis() < READING_ALONG_WINDOW.as_millis() as i64);
        (!is_last || !soon).then_some(sent)
    }

    /// Forgets the messages that were read; the newest of them.
    fn forget_read(&mut self) -> Option<ShownMessage> {
        let mut newest = None;
        while let Some(oldest) = self.unread.front()
            && self.reach.tick(oldest.position) == Tick::Read
        {
            newest = self.unread.pop_front();
        }
        newest
    }

    fn position(&self, id: MessageId) -> Position {
        self.positions.get(&id).copied().unwrap_or(Position::unknown(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    fn at(second: i64) -> Option<Timestamp> {
        Some(Timestamp::from_millis(second * 1_000))
    }

    #[test]
    fn ticks_follow_the_receipts() {
        let mut sent_messages = SentMessages::default();
        assert_eq!(sent_messages.last_tick(), None);
        assert_eq!(sent_messages.own_message_shown(&message(1, 0)), Tick::Stored);
        sent_messages.delivered(id(1));
        assert_eq!(sent_messages.last_tick(), Some(Tick::Delivered));
        assert_eq!(sent_messages.own_message_shown(&message(2, 1)), Tick::Stored);
        sent_messages.read(id(2), at(2));
        assert_eq!(sent_messages.last_tick(), Some(Tick::Read));
        // Shown again, as /history does.
        assert_eq!(sent_messages.own_message_shown(&message(1, 0)), Tick::Read);
        // An older receipt changes nothing.
        sent_messages.delivered(id(1));
        sent_messages.read(id(1), at(3));
        assert_eq!(sent_messages.last_tick(), Some(Tick::Read));
    }

    #[test]
    fn reading_is_told_once_and_only_where_the_screen_would_not_show_it() {
        let mut sent_messages = SentMessages::default();
        sent_messages.own_message_shown(&message(1, 0));
        sent_messages.own_message_shown(&message(2, 1));
        // One that is not the last: told, once.
        assert_eq!(sent_messages.read(id(1), at(1)), at(0));
        assert_eq!(sent_messages.read(id(1), at(60)), None);
        // The last one, at once: the line above shows it.
        assert_eq!(sent_messages.read(id(2), at(2)), None);
        // The last one, after a while.
        sent_messages.own_message_shown(&message(3, 10));
        assert_eq!(sent_messages.read(id(3), at(60)), at(10));
        // What was read before it was shown is no news.
        sent_messages.replace_receipts(None, Some(id(4)));
        sent_messages.own_message_shown(&message(4, 70));
        assert_eq!(sent_messages.read(id(4), at(99)), None);
    }

    #[test]
    fn a_receipt_may_name_a_message_of_the_other_one() {
        let mut sent_messages = SentMessages::default();
        sent_messages.own_message_shown(&message(9, 0));
        sent_messages.peer_message_shown(&message(1, 5));
        sent_messages.delivered(id(1));
        assert_eq!(sent_messages.last_tick(), Some(Tick::Delivered));
    }
}
