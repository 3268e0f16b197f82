//! What a store is asked about feeds: everything that concerns a user, in one order, and cursors into it.

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use shared::{MessageId, UserId};

use super::error::StoreError;
use crate::domain::{Changes, Cursor, RemoteChange};

/// Reads feeds, and what other processes change.
#[async_trait]
pub trait FeedStore: Send + Sync + 'static {
    /// The position in every feed up to which all changes are committed now: a number of commit, or a time.
    ///
    /// A change that is committed by a call which begins later than this one has a later position.
    fn committed_position(&self) -> i64;

    /// The cursor of a client that has received every change up to `committed_position`, an earlier result of
    /// [`committed_position`](FeedStore::committed_position), that this process made, and every change that
    /// [`remote_changes`](FeedStore::remote_changes) has yielded.
    fn cursor(&self, committed_position: i64) -> Cursor;

    /// Up to `limit` changes that concern a user after a cursor, oldest first: fewer where they would be longer than
    /// [`PAGE_BYTES`](shared::limits::PAGE_BYTES) as JSON, but at least one.
    ///
    /// Every committed change appears on some page after `since`, even when several processes commit concurrently. A change
    /// that becomes visible while pages are followed may come only after the page that says that there is no more. A change
    /// can appear on more than one page. Markers that concern a user are the user's own, and those of others about the
    /// user's messages.
    async fn changes(&self, user: UserId, since: &Cursor, limit: usize) -> Result<Changes, ChangesError>;

    /// Changes that other programs commit to the same database, for those who are connected here: soon after, at least
    /// once, in no particular order. The stream never ends; a caller takes it once.
    ///
    /// It also yields messages whose commit failed with an unknown outcome, once they are known to be stored; see
    /// [`claim_delivery`](FeedStore::claim_delivery).
    fn remote_changes(&self) -> BoxStream<'static, Vec<RemoteChange>>;

    /// Claims the delivery of a message whose commit failed with an unknown outcome, because the sender has found out that it
    /// is stored. False if [`remote_changes`](FeedStore::remote_changes) has yielded it; otherwise it no longer does, and the
    /// caller delivers it.
    fn claim_delivery(&self, _message: MessageId) -> bool {
        true
    }
}

/// Why there is no page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangesError {
    /// The cursor belongs to another database, or to a later state than the database has.
    #[error("{0}")]
    Reset(&'static str),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
