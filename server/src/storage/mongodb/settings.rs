//! What users let others see: optional fields of their documents, which Mongoose ignores.
//!
//! A change holds the id of the node that made it, so that the [`change_poller`](super::change_poller) of that node ignores
//! it. A change that failed was not delivered, and may be stored all the same: so the node takes a new id then, and reads
//! what it has changed by the old one like changes of others.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bson::oid::ObjectId;
use bson::raw::RawDocumentBuf;
use bson::{Document, doc};
use mongodb::options::ReturnDocument;
use mongodb::{Collection, Database};
use parking_lot::Mutex;
use shared::{Settings, SettingsChange, Timestamp, UserId};
use tokio::time::Instant;

use super::document::{self, date, user_key};
use super::error::{bounded, retrying};
use super::timeouts::{READ_TIMEOUT, WRITE_TIMEOUT};
use super::window::{self, Clock};
use super::{names, query};
use crate::storage::StoreError;

/// How long a change is tried. Longer than an election takes.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(20);

/// Settings in the collection of users.
pub(super) struct UserSettings {
    users: Collection<RawDocumentBuf>,
    /// The id by which this store's own changes are known. Held to set or copy it.
    node: Arc<Mutex<ObjectId>>,
    clock: Clock,
}

impl UserSettings {
    pub(super) fn new(database: &Database, clock: Clock) -> Self {
        Self {
            users: database.collection(names::USERS),
            node: Arc::new(Mutex::new(ObjectId::new())),
            clock,
        }
    }

    /// The id by which the change poller ignores this store's changes.
    pub(super) fn node(&self) -> Arc<Mutex<ObjectId>> {
        Arc::clone(&self.node)
    }

    /// A change failed, and its outcome is unknown.
    pub(super) fn record_unknown_outcome(&self) {
        *self.node.lock() = ObjectId::new();
    }

    /// See [`crate::storage::UserStore::settings`].
    pub(super) async fn of(&self, users: &[UserId]) -> Result<Vec<Settings>, StoreError> {
        let ids: Vec<_> = users.iter().copied().map(user_key).collect();
        let find = self
            .users
            .find(doc! { "_id": { "$in": ids } })
            .projection(doc! { "settings": 1 })
            .max_time(READ_TIMEOUT);
        let found = query::all("reading settings", READ_TIMEOUT, find, |user| {
            Some((document::user_id(document::object_id(user)?), document::settings(user)))
        });
        let found: HashMap<UserId, Settings> = found.await?.into_iter().collect();
        Ok(users
            .iter()
            .map(|user| found.get(user).copied().unwrap_or_default())
            .collect())
    }

    /// See [`crate::storage::UserStore::change_settings`].
    pub(super) async fn change(
        &self,
        user: UserId,
        change: SettingsChange,
        at: Timestamp,
    ) -> Result<Option<Settings>, StoreError> {
        let mut fields = Document::new();
        if let Some(on) = change.read_receipts {
            fields.insert("settings.readReceipts", on);
        }
        if let Some(on) = change.invisible {
            fields.insert("settings.invisible", on);
        }
        let is_read = fields.is_empty();
        fields.insert("settings.node", *self.node.lock());
        let mut updated_at = window::stamp(at, (self.clock)());
        let deadline = Instant::now() + COMMIT_TIMEOUT;
        // The version. Clocks differ, so a later change can leave the time as it is.
        let mut update = doc! { "$set": &fields, "$inc": { "settings.changes": 1_i64 } };
        // The first time also if other nodes would merely read it late, as with markers.
        let mut is_over: fn(Timestamp, Timestamp) -> bool = window::is_passed_over;
        loop {
            update.insert("$max", doc! { "settings.updatedAt": date(updated_at) });
            let changed = retrying(deadline, || async {
                let filter = doc! { "_id": user_key(user) };
                if is_read {
                    return bounded("reading settings", READ_TIMEOUT, self.users.find_one(filter)).await;
                }
                let change = self
                    .users
                    .find_one_and_update(filter, update.clone())
                    .return_document(ReturnDocument::After);
                bounded("changing settings", WRITE_TIMEOUT, change).await
            })
            .await?;
            let now = (self.clock)();
            if is_read || changed.is_none() || !is_over(updated_at, now) {
                return Ok(changed.map(|user| document::settings(&user)));
            }
            is_over = window::is_late;
            // A change with so old a time is not acknowledged. Another device's change may have followed it.
            update.remove("$set");
            updated_at = now;
        }
    }
}
