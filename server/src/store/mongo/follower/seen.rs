//! What was handed out lately, so that it is not handed out every second.

use std::collections::HashSet;

use bson::oid::ObjectId;
use shared::{Timestamp, UserId};

/// How many are remembered at least, and half of how many at most; each takes about 40 bytes.
const REMEMBERED: usize = 100_000;

/// Something that was come across.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Sight {
    /// A message, by its id.
    Message(ObjectId),
    /// A message that was renewed, and when, in milliseconds.
    Renewal(ObjectId, i64),
    /// A marker as of a moment: who has read, and whose messages.
    Marker(UserId, UserId, Timestamp),
    /// A user's settings as of a moment.
    Settings(UserId, Timestamp),
}

impl Sight {
    /// The message, if it is one.
    pub(super) fn message(&self) -> Option<ObjectId> {
        match self {
            Self::Message(id) | Self::Renewal(id, _) => Some(*id),
            Self::Marker(..) | Self::Settings(..) => None,
        }
    }
}

/// The last sights. What is forgotten is handed out once more, which does no harm.
#[derive(Debug, Default)]
pub(super) struct Seen {
    newer: HashSet<Sight>,
    older: HashSet<Sight>,
}

impl Seen {
    pub(super) fn contains(&self, sight: &Sight) -> bool {
        self.newer.contains(sight) || self.older.contains(sight)
    }

    /// Remembers one and tells whether it is new.
    pub(super) fn insert(&mut self, sight: Sight) -> bool {
        if self.contains(&sight) {
            return false;
        }
        if self.newer.len() >= REMEMBERED {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(sight)
    }
}
