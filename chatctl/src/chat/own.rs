//! One's own messages on the screen, and how far each has come.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use shared::{Message, MessageId, Timestamp};

use crate::ticks::{Place, Reach, Tick};

/// Messages whose place is remembered.
const PLACES: usize = 20_000;
/// Own messages that are remembered as not read.
const UNREAD: usize = 1_000;
/// Whoever reads a message within this time of its sending reads along: the line above the typed one tells it.
const READING_ALONG: Duration = Duration::from_secs(3);

/// What was shown of the open conversation.
#[derive(Debug, Default)]
pub(crate) struct Own {
    reach: Reach,
    /// Where each message that was shown is listed: receipts name messages by their ids only.
    places: HashMap<MessageId, Place>,
    /// Own messages that were shown as not read, oldest first.
    unread: VecDeque<Shown>,
    last: Option<Shown>,
}

/// An own message that was shown.
#[derive(Debug, Clone, Copy)]
struct Shown {
    place: Place,
    at: Option<Timestamp>,
}

impl Own {
    /// The other one's message is shown.
    pub(crate) fn heard(&mut self, message: &Message) {
        if self.places.len() >= PLACES {
            self.places.clear();
        }
        self.places.insert(message.id, Place::of(message));
    }

    /// An own message is shown; with what behind it.
    pub(crate) fn shown(&mut self, message: &Message) -> Tick {
        self.heard(message);
        let (place, at) = (Place::of(message), message.created_at);
        let tick = self.reach.tick(place);
        let is_new = self.last.is_none_or(|last| !last.place.reaches(place));
        if is_new {
            self.last = Some(Shown { place, at });
            if tick != Tick::Read {
                self.unread.push_back(Shown { place, at });
                if self.unread.len() > UNREAD {
                    self.unread.pop_front();
                }
            }
        }
        tick
    }

    /// How far a message at this place came.
    pub(crate) fn tick(&self, place: Place) -> Tick {
        self.reach.tick(place)
    }

    /// How far the last message came.
    pub(crate) fn last_tick(&self) -> Option<Tick> {
        self.last.map(|last| self.reach.tick(last.place))
    }

    /// How far the other one has received and read, whatever was told before.
    pub(crate) fn reached(&mut self, delivered: Option<MessageId>, read: Option<MessageId>) {
        self.reach = Reach {
            delivered: delivered.map(|id| self.place(id)),
            read: read.map(|id| self.place(id)),
        };
        self.take_read();
    }

    /// The other one has received up to this message.
    pub(crate) fn delivered(&mut self, up_to: MessageId) {
        let place = self.place(up_to);
        if self.reach.delivered.is_none_or(|mark| place.reaches(mark)) {
            self.reach.delivered = Some(place);
        }
    }

    /// The other one has read up to this message. Returns the time of the last own message that this is news about,
    /// unless the line above the typed one is news enough.
    pub(crate) fn read(&mut self, up_to: MessageId, at: Option<Timestamp>) -> Option<Timestamp> {
        let place = self.place(up_to);
        if self.reach.read.is_none_or(|mark| place.reaches(mark)) {
            self.reach.read = Some(place);
        }
        let newest = self.take_read()?;
        let sent = newest.at?;
        let is_last = self.last.is_some_and(|last| last.place == newest.place);
        let soon = at.is_none_or(|at| at.millis() - sent.millis() < READING_ALONG.as_millis() as i64);
        (!is_last || !soon).then_some(sent)
    }

    /// Forgets the messages that were read; the newest of them.
    fn take_read(&mut self) -> Option<Shown> {
        let mut newest = None;
        while let Some(oldest) = self.unread.front()
            && self.reach.tick(oldest.place) == Tick::Read
        {
            newest = self.unread.pop_front();
        }
        newest
    }

    fn place(&self, id: MessageId) -> Place {
        self.places.get(&id).copied().unwrap_or(Place::unknown(id))
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
        let mut own = Own::default();
        assert_eq!(own.last_tick(), None);
        assert_eq!(own.shown(&message(1, 0)), Tick::Stored);
        own.delivered(id(1));
        assert_eq!(own.last_tick(), Some(Tick::Delivered));
        assert_eq!(own.shown(&message(2, 1)), Tick::Stored);
        own.read(id(2), at(2));
        assert_eq!(own.last_tick(), Some(Tick::Read));
        // Shown again, as /history does.
        assert_eq!(own.shown(&message(1, 0)), Tick::Read);
        // An older receipt changes nothing.
        own.delivered(id(1));
        own.read(id(1), at(3));
        assert_eq!(own.last_tick(), Some(Tick::Read));
    }

    #[test]
    fn reading_is_told_once_and_only_where_the_screen_would_not_show_it() {
        let mut own = Own::default();
        own.shown(&message(1, 0));
        own.shown(&message(2, 1));
        // One that is not the last: told, once.
        assert_eq!(own.read(id(1), at(1)), at(0));
        assert_eq!(own.read(id(1), at(60)), None);
        // The last one, at once: the line above shows it.
        assert_eq!(own.read(id(2), at(2)), None);
        // The last one, after a while.
        own.shown(&message(3, 10));
        assert_eq!(own.read(id(3), at(60)), at(10));
        // What was read before it was shown is no news.
        own.reached(None, Some(id(4)));
        own.shown(&message(4, 70));
        assert_eq!(own.read(id(4), at(99)), None);
    }

    #[test]
    fn a_receipt_may_name_a_message_of_the_other_one() {
        let mut own = Own::default();
        own.shown(&message(9, 0));
        own.heard(&message(1, 5));
        own.delivered(id(1));
        assert_eq!(own.last_tick(), Some(Tick::Delivered));
    }
}
