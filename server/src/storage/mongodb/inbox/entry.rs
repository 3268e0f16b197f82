//! A document of an inbox: its key, and what it says of one conversation.

use bson::raw::{RawBsonRef, RawDocument};
use bson::{Document, doc};
use shared::UserId;

use crate::domain::Position;
use crate::storage::mongodb::document::{self, user_id, user_key};

/// The field of the newest message that the owner received.
pub(super) const LAST_INCOMING: &str = "lastIncoming";

/// What an inbox says of one conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::storage::mongodb) struct Entry {
    /// Where the newest message is listed.
    pub(in crate::storage::mongodb) last: Position,
    /// The newest one that the owner received; `None` if that is not known.
    pub(in crate::storage::mongodb) incoming: Option<Incoming>,
}

/// The newest message that somebody received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::storage::mongodb) enum Incoming {
    /// There is none.
    None,
    /// It is listed there.
    Last(Position),
}

impl Entry {
    /// Reads a document: whose inbox it is, with whom, and what it says.
    pub(in crate::storage::mongodb) fn read(inbox: &RawDocument) -> Option<((UserId, UserId), Self)> {
        let owner = user_id(inbox.get_document("_id").ok()?.get_object_id("owner").ok()?);
        let last = document::position(inbox.get_document("last").ok()?)?;
        let incoming = match inbox.get(LAST_INCOMING).ok().flatten() {
            Some(RawBsonRef::Null) => Some(Incoming::None),
            Some(RawBsonRef::Document(place)) => document::position(place).map(Incoming::Last),
            _ => None,
        };
        Some(((owner, peer(inbox)?), Self { last, incoming }))
    }

    /// Adds what came since.
    pub(in crate::storage::mongodb) fn merge(&self, newer: Self) -> Self {
        Self {
            last: self.last.max(newer.last),
            incoming: match (self.incoming, newer.incoming) {
                // What came before is older.
                (None, Some(Incoming::Last(last))) => Some(Incoming::Last(last)),
                (None, _) => None,
                (known, newer) => known.max(newer),
            },
        }
    }
}

/// The `_id` of an inbox.
pub(in crate::storage::mongodb) fn key(owner: UserId, peer: UserId) -> Document {
    doc! { "owner": user_key(owner), "peer": user_key(peer) }
}

/// With whom.
pub(super) fn peer(inbox: &RawDocument) -> Option<UserId> {
    let id = inbox.get_document("_id").ok()?;
    Some(user_id(id.get_object_id("peer").ok()?))
}
