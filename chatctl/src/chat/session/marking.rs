//! Which messages a [`Session`] has told to have been received and read: a watermark for each conversation, told once
//! for everything that comes within a moment.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use chatctl_client::request::Request;
use shared::UserId;
use shared::conversation::MarkUpTo;
use shared::events::{MARK_DELIVERED, MARK_READ};

use super::{Session, due};
use crate::ticks::Place;

/// What comes within this time is marked together.
const TOGETHER: Duration = Duration::from_millis(100);

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
    waiting: HashMap<Kind, Place>,
    /// What was said last.
    said: HashMap<Kind, Place>,
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
        for (kind, place) in std::mem::take(&mut self.said) {
            self.note(kind, place);
        }
    }

    fn note(&mut self, kind: Kind, place: Place) {
        let mark = self.waiting.entry(kind).or_insert(place);
        if place.reaches(*mark) {
            *mark = place;
        }
    }
}

impl Session {
    /// A message from `peer` came and was shown, to somebody perhaps.
    pub(super) fn received(&mut self, peer: UserId, place: Place) {
        let read = self.marking.attended && self.opened && peer == self.peer;
        self.note_mark(Kind { peer, read }, place);
    }

    /// A conversation was opened, and its messages up to here were shown if there is somebody to see them.
    pub(super) fn shown(&mut self, peer: UserId, place: Place) {
        if self.marking.attended && peer != self.me {
            self.note_mark(Kind { peer, read: true }, place);
        }
    }

    fn note_mark(&mut self, kind: Kind, place: Place) {
        self.marking.note(kind, place);
        if self.online {
            self.marking.due_at.get_or_insert(self.now + TOGETHER);
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
        for (kind, place) in &marks {
            let mark = MarkUpTo {
                peer_id: kind.peer,
                up_to: place.id(),
            };
            let read = Kind { read: true, ..*kind };
            if kind.read {
                self.request(Request::Read(mark));
            } else if !marks.get(&read).is_some_and(|read| read.reaches(*place)) {
                self.request(Request::Delivered(mark));
            }
        }
        if !marks.is_empty() {
            self.marking.said = marks;
        }
    }
}
