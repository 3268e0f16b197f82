//! What a [`ChatSession`] hears, live and later: each message is shown once, the missed ones first.

use shared::{Message, UserId};

use super::super::{ChatEvent, OPENING_MESSAGES};
use super::ChatSession;
use crate::ticks::Position;

/// Messages held back at most; beyond, they are shown out of order rather than kept.
const MAX_HELD: usize = 10_000;

/// A message that came, and how.
#[derive(Debug)]
pub(super) struct IncomingMessage {
    pub(super) message: Message,
    /// It came while there was no connection.
    pub(super) missed: bool,
}

impl ChatSession {
    /// A message came, from somebody or from another client of this user.
    pub(super) fn message_received(&mut self, message: Message) {
        self.receive(IncomingMessage { message, missed: false });
    }

    /// Shows the newest messages of the conversation that is being opened.
    pub(super) fn show_opening(&mut self, with: UserId, mut messages: Vec<Message>) {
        let whole = messages.len() < OPENING_MESSAGES;
        // What came live meanwhile is shown after them, as live.
        messages.retain(|message| !self.held.iter().any(|held| held.message.id == message.id));
        // Our own that may be the unanswered draft are shown by its answer.
        let uncertain = self.outbox.uncertain();
        let (me, seen) = (self.me, &self.seen);
        let unclear = |message: &mut Message| uncertain && message.sender == Some(me) && !seen.contains(message.id);
        let unclear: Vec<Message> = messages.extract_if(.., unclear).collect();
        for message in &messages {
            self.seen.insert(message.id);
        }
        self.floor = messages.first().filter(|_| !whole).map(Position::of);
        self.opened = true;
        if let Some(newest) = messages.iter().rev().find(|message| message.sender == Some(with)) {
            self.shown(with, Position::of(newest));
        }
        self.emit(ChatEvent::Opened { with, messages });
        for message in unclear {
            self.receive(IncomingMessage { message, missed: true });
        }
    }

    pub(super) fn receive(&mut self, heard: IncomingMessage) {
        if self.seen.contains(heard.message.id) {
            return;
        }
        if self.must_wait(&heard) && self.held.len() < MAX_HELD {
            self.held.push(heard);
        } else {
            self.show(heard);
        }
    }

    fn must_wait(&self, heard: &IncomingMessage) -> bool {
        let sent_messages = heard.message.sender == Some(self.me);
        (sent_messages && self.outbox.uncertain()) || (self.is_catching_up() && !heard.missed)
    }

    /// Shows what was held back and needn't be any more.
    pub(super) fn release_held(&mut self) {
        for heard in std::mem::take(&mut self.held) {
            self.receive(heard);
        }
    }

    fn show(&mut self, heard: IncomingMessage) {
        let IncomingMessage { message, missed } = heard;
        if !self.seen.insert(message.id) {
            return;
        }
        let (with, position) = (self.counterpart(&message), Position::of(&message));
        let received = message.sender == Some(with) && with != self.me;
        self.emit(ChatEvent::Heard { message, missed });
        if received {
            self.received(with, position);
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
