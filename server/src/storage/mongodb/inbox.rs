//! Inboxes: for each user and peer a document that says where their newest message is listed.
//!
//! They are derived from the messages and never the only copy of anything. `projector` has them written (`write`) off the
//! path on which messages are acknowledged; `build` makes them from the messages of an old database, and again when asked.
//! [`change_poller`](super::change_poller) finds what a dead process committed and did not project, and what other programs
//! write.
//!
//! A document is `{_id: {owner, peer}, last: {at, id}, lastIncoming: {at, id}, mayHaveUnread, touched}`. `last` and
//! `lastIncoming`, the newest message that the owner received (null: none; missing: not known), only grow, so projecting a
//! message again, or late, does no harm. `mayHaveUnread` is a hint: without it there are no unread messages, with it they
//! are counted. `touched` grows with every projection, so that a hint is cleared only if nothing came since.

use bson::raw::RawDocumentBuf;
use bson::{Bson, doc};
use mongodb::{Collection, Database};
use shared::UserId;

use super::document::{self, message_key, position_date, user_key};
use super::indexes::HINT;
use super::summaries::Summaries;
use super::timeouts::{READ_TIMEOUT, WRITE_TIMEOUT};
use super::{names, query};
use crate::domain::Position;
use crate::storage::{InboxEntry, StoreError};
use entry::{key, peer};
use projector::Projector;

pub(super) mod build;
pub(super) mod entry;
pub(super) mod projector;
mod touches;
pub(super) mod write;

/// Most conversations whose unread messages are counted together.
const MAX_COUNTED: i64 = 50;

/// Reads inboxes.
pub(super) struct Inboxes {
    inboxes: Collection<RawDocumentBuf>,
    projector: Projector,
    summaries: Summaries,
}

/// A conversation that may hold unread messages.
struct Hinted {
    peer: UserId,
    touched: i64,
}

impl Inboxes {
    pub(super) fn new(database: &Database, projector: Projector, summaries: Summaries) -> Self {
        Self {
            inboxes: database.collection(names::INBOXES),
            projector,
            summaries,
        }
    }

    /// See [`crate::storage::InboxStore::inbox`].
    pub(super) async fn page(
        &self,
        user: UserId,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<InboxEntry>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new()); // To MongoDB it means: no limit.
        }
        self.projector.flush(user).await?;
        let mut filter = doc! { "_id.owner": user_key(user) };
        if let Some(after) = after {
            let at = position_date(after);
            let id = message_key(after.id);
            match after.created_at {
                Position::UNDATED => filter.insert("last.at", Bson::Null),
                // Those without a time come last, and no comparison with a date matches them.
                _ => filter.insert("last.at", doc! { "$not": { "$gt": &at } }),
            };
            filter.insert("$nor", [doc! { "last.at": at, "last.id": { "$gte": id } }]);
        }
        let find = self
            .inboxes
            .find(filter)
            .sort(doc! { "last.at": -1, "last.id": -1 })
            .limit(i64::try_from(limit).unwrap_or(i64::MAX))
            .max_time(READ_TIMEOUT);
        query::all("reading an inbox", READ_TIMEOUT, find, |inbox| {
            let last = document::position(inbox.get_document("last").ok()?)?;
            Some(InboxEntry {
                peer: peer(inbox)?,
                last,
            })
        })
        .await
    }

    /// See [`crate::storage::InboxStore::total_unread`].
    pub(super) async fn total_unread(&self, user: UserId, most: u32) -> Result<u32, StoreError> {
        self.projector.flush(user).await?;
        let mut total = 0_u32;
        let mut after = None;
        while total < most {
            let hinted = self.hinted(user, after).await?;
            let Some(last) = hinted.last() else { break };
            after = Some(last.peer);
            let peers: Vec<UserId> = hinted.iter().map(|hinted| hinted.peer).collect();
            let counts = self.summaries.unread_from(user, &peers).await?;
            total = counts.iter().fold(total, |total, count| total.saturating_add(*count));
            let read: Vec<&Hinted> = hinted
                .iter()
                .zip(&counts)
                .filter(|(_, count)| **count == 0)
                .map(|(hinted, _)| hinted)
                .collect();
            self.clear_hints(user, &read).await?;
        }
        Ok(total.min(most))
    }

    /// Some of the conversations that may hold unread messages, in the order of the peers' ids.
    async fn hinted(&self, user: UserId, after: Option<UserId>) -> Result<Vec<Hinted>, StoreError> {
        let mut filter = doc! { "_id.owner": user_key(user), HINT: true };
        if let Some(after) = after {
            filter.insert("_id.peer", doc! { "$gt": user_key(after) });
        }
        let find = self
            .inboxes
            .find(filter)
            .sort(doc! { "_id.peer": 1 })
            .limit(MAX_COUNTED)
            .max_time(READ_TIMEOUT);
        query::all("finding unread conversations", READ_TIMEOUT, find, |inbox| {
            Some(Hinted {
                peer: peer(inbox)?,
                touched: inbox.get_i64("touched").ok()?,
            })
        })
        .await
    }

    /// Clears the hints of conversations in which nothing was unread, unless something came meanwhile.
    async fn clear_hints(&self, user: UserId, read: &[&Hinted]) -> Result<(), StoreError> {
        if read.is_empty() {
            return Ok(());
        }
        let statements = read.iter().map(|hinted| {
            let unchanged = doc! { "_id": key(user, hinted.peer), "touched": hinted.touched };
            doc! { "q": unchanged, "u": { "$set": { HINT: false } } }
        });
        let command = query::update(names::INBOXES, statements.collect(), query::Order::Any);
        query::run_update("taking back hints", WRITE_TIMEOUT, self.projector.database(), command).await
    }
}
