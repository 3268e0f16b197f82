//! What a [`Session`] hears, live and later: each message is shown once, the missed ones first.

use shared::{Message, UserId};

use super::super::{OPENING, Report};
use super::Session;
use crate::ticks::Place;

/// Messages held back at most; beyond, they are shown out of order rather than kept.
const HELD: usize = 10_000;

/// A message that came, and how.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) message: Message,
    /// It came while there was no connection.
    pub(super) missed: bool,
}

impl Session {
    /// A message came, from somebody or from another client of this user.
    pub(super) fn heard(&mut self, message: Message) {
        self.take(Heard { message, missed: false });
    }

    /// Shows the newest messages of the conversation that is being opened.
    pub(super) fn show_opening(&mut self, with: UserId, mut messages: Vec<Message>) {
        let whole = messages.len() < OPENING;
        // What came live meanwhile is shown behind, as live.
        messages.retain(|message| !self.held.iter().any(|held| held.message.id == message.id));
        // Our own that may be the unanswered draft are shown by its answer.
        let uncertain = self.outbox.uncertain();
        let (me, seen) = (self.me, &self.seen);
        let unclear = |message: &mut Message| uncertain && message.sender == Some(me) && !seen.has(message.id);
        let unclear: Vec<Message> = messages.extract_if(.., unclear).collect();
        for message in &messages {
            self.seen.note(message.id);
        }
        self.floor = messages.first().filter(|_| !whole).map(Place::of);
        self.opened = true;
        if let Some(newest) = messages.iter().rev().find(|message| message.sender == Some(with)) {
            self.shown(with, Place::of(newest));
        }
        self.report(Report::Opened { with, messages });
        for message in unclear {
            self.take(Heard { message, missed: true });
        }
    }

    pub(super) fn take(&mut self, heard: Heard) {
        if self.seen.has(heard.message.id) {
            return;
        }
        if self.must_wait(&heard) && self.held.len() < HELD {
            self.held.push(heard);
        } else {
            self.show(heard);
        }
    }

    fn must_wait(&self, heard: &Heard) -> bool {
        let own = heard.message.sender == Some(self.me);
        (own && self.outbox.uncertain()) || (self.is_catching_up() && !heard.missed)
    }

    /// Shows what was held back and needn't be any more.
    pub(super) fn release(&mut self) {
        for heard in std::mem::take(&mut self.held) {
            self.take(heard);
        }
    }

    fn show(&mut self, heard: Heard) {
        let Heard { message, missed } = heard;
        if !self.seen.note(message.id) {
            return;
        }
        let (with, place) = (self.counterpart(&message), Place::of(&message));
        let received = message.sender == Some(with) && with != self.me;
        self.report(Report::Heard { message, missed });
        if received {
            self.received(with, place);
        }
        self.acquainted(with);
    }

    /// With whom a message was exchanged.
    pub(super) fn counterpart(&self, message: &Message) -> UserId {
        let other = if message.sender == Some(self.me) {
            message.receiver
        } else {
            message.sender
        };
        other.unwrap_or(self.peer)
    }
}
