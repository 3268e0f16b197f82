//! What a store is asked about a user's conversations. All of it is derived from messages and watermarks.

use std::collections::HashSet;

use async_trait::async_trait;
use shared::{Message, UserId};

use super::error::StoreError;
use crate::domain::{Marker, Position};

/// Lists conversations, and says how each stands.
#[async_trait]
pub trait InboxStore: Send + Sync + 'static {
    /// Up to `limit` conversations of a user after `after`, the one with the newest message first.
    ///
    /// Holds every message whose write was acknowledged to this process before the call, and those of other processes soon
    /// after. Complete only if [`projection`](InboxStore::projection) says so.
    async fn inbox(&self, user: UserId, after: Option<Position>, limit: usize) -> Result<Vec<InboxEntry>, StoreError>;

    /// Conversations, each as the first of a pair sees that with the second; in the order given. Holds every message and
    /// watermark whose write was acknowledged to this process before the call, and those of other processes soon after.
    async fn summaries(&self, pairs: &[(UserId, UserId)]) -> Result<Vec<Summary>, StoreError>;

    /// The conversations that [`inbox`](InboxStore::inbox) has just listed, as the user sees them; in the order given. The
    /// newest message may be the one by which a conversation was listed, although a newer one has come since.
    async fn listed(&self, user: UserId, entries: &[InboxEntry]) -> Result<Vec<Summary>, StoreError> {
        let pairs: Vec<(UserId, UserId)> = entries.iter().map(|entry| (user, entry.peer)).collect();
        self.summaries(&pairs).await
    }

    /// The unread messages of all conversations of a user, counted up to `most`.
    async fn total_unread(&self, user: UserId, most: u32) -> Result<u32, StoreError>;

    /// Those of `others` with whom a user has exchanged a message in either direction.
    async fn acquainted(&self, user: UserId, others: &[UserId]) -> Result<HashSet<UserId>, StoreError>;

    /// How far inboxes are built.
    fn projection(&self) -> Projection;

    /// Begins to build all inboxes anew from the messages, unless that is under way. Those that exist are used
    /// meanwhile.
    async fn rebuild(&self) -> Result<(), StoreError>;
}

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
    /// Messages of the peer after what was read: counted up to [`shared::limits::MAX_UNREAD`]. None in a conversation with
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
    /// Whether inboxes are complete. A rebuild does not make them incomplete.
    pub ready: bool,
    /// Whether a build or rebuild is under way.
    pub building: bool,
    /// Messages that it has read; after its end, those that the last one has.
    pub done: u64,
    /// Messages that it has to read, as far as is known.
    pub total: u64,
}
