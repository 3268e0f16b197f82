//! What a store tells of a user's conversations. All of it is derived from messages and watermarks.

use shared::{Message, UserId};

use crate::domain::{Marker, Position};

/// One conversation in the order of the inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InboxEntry {
    /// With whom.
    pub peer: UserId,
    /// Where its newest message is listed; the inbox is ordered by it, the newest first. Two conversations never share
    /// one, because it holds the message's id.
    pub last: Position,
}

/// One conversation as one of its two people sees it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The newest message.
    pub last: Option<Message>,
    /// Messages of the peer behind what was read: counted up to [`shared::limits::UNREAD`]. None in a conversation with
    /// oneself.
    pub unread: u32,
    /// The viewer's own watermarks.
    pub own: Option<Marker>,
    /// The peer's watermarks, whatever the settings of the two.
    pub peers: Option<Marker>,
}

/// How far the inboxes of an old database have been built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Projection {
    /// Whether inboxes are complete. A rebuilding does not make them incomplete.
    pub ready: bool,
    /// Whether a build or rebuild is under way.
    pub building: bool,
    /// Messages that it has looked at; after its end, that the last one has.
    pub done: u64,
    /// Messages that it has to look at, as far as is known.
    pub total: u64,
}
