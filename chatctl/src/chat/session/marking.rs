//! Which messages a [`ChatSession`] has told to have been received and read: a watermark for each conversation, told once
//! for everything that comes within a moment.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use chatctl_client::request::Request;
use shared::UserId;
use shared::conversation::MarkUpTo;
use shared::events::{MARK_DELIVERED, MARK_READ};

use super::{ChatSession, due};
use crate::ticks::Position;

/// What comes within this time is marked together.
const MARK_DELAY: Duration = Duration::from_millis(100);

/// What a mark says of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Kind {
    peer: UserId,
    /// Read, not only received.
    read: bool,
}

/// What is to be marked. Marks ask for no answer: one that fails or may be lost is said again.
#[derive(Debug)]
pub(super) struct Marking {
    attended: bool,
    waiting: HashMap<Kind, Position>,
    /// What was said last.
    said: HashMap<Kind, Position>,
    due_at: Option<Instant>,
}

impl Marking {
    /// With somebody who reads what is shown, or not.
    pub(super) fn new(attended: bool) -> Self {
        Self {
            attended,
            waiting: HashMap::new(),
            said: HashMap::new(),
            due_at: None,
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.due_at
    }

    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        due(&mut self.due_at, now)
    }

    pub(super) fn connected(&mut self, now: Instant) {
        if !self.waiting.is_empty() {
            self.due_at = Some(now);
        }
    }

    /// What was said last may not have arrived.
    pub(super) fn disconnected(&mut self) {
        self.again();
        self.due_at = None;
    }

    /// A request without an answer failed for a while.
    pub(super) fn failed(&mut self, event: &str, again_at: Instant) {
        if event == MARK_DELIVERED || event == MARK_READ {
            self.again();
            self.due_at = Some(again_at);
        }
    }

    fn again(&mut self) {
        for (kind, position) in std::mem::take(&mut self.said) {
            self.raise(kind, position);
        }
    }

    fn raise(&mut self, kind: Kind, position: Position) {
        let mark = self.waiting.entry(kind).or_insert(position);
        if position.reaches(*mark) {
            *mark = position;
        }
    }
}

impl ChatSession {
    /// A message from `peer` came and was shown, to somebody perhaps.
    pub(super) fn received(&mut self, peer: UserId, position: Position) {
        let read = self.marking.attended && self.opened && peer == self.peer;
        self.schedule_mark(Kind { peer, read }, position);
    }

    /// A conversation was opened, and its messages up to here were shown if there is somebody to see them.
    pub(super) fn shown(&mut self, peer: UserId, position: Position) {
        if self.marking.attended && peer != self.me {
            self.schedule_mark(Kind { peer, read: true }, position);
        }
    }

    fn schedule_mark(&mut self, kind: Kind, position: Position) {
        self.marking.raise(kind, position);
        if self.online {
            self.marking.due_at.get_or_insert(self.now + MARK_DELAY);
        }
    }

    /// Says what waits to be said.
    pub(super) fn mark(&mut self) {
        if !self.online {
            return;
        }
        let marks = std::mem::take(&mut self.marking.waiting);
        if self.is_old_server() {
            return;
        }
        for (kind, position) in &marks {
            let mark = MarkUpTo {
                peer_id: kind.peer,
                up_to: position.id(),
            };
            let read = Kind { read: true, ..*kind };
            if kind.read {
                self.request(Request::Read(mark));
            } else if !marks.get(&read).is_some_and(|read| read.reaches(*position)) {
                self.request(Request::Delivered(mark));
            }
        }
        if !marks.is_empty() {
            self.marking.said = marks;
        }
    }
}
