//! What users let others know: optional fields of their documents, which Mongoose passes over.
//!
//! A change says which node made it, so that the node itself does not hear of it from the [`follower`](super::change_poller). Of a change that
//! failed nobody was told, and it may be stored all the same: so the node gives itself another name then, and hears of what it
//! has changed by the old one.

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
const COMMIT: Duration = Duration::from_secs(20);

/// Settings in the collection of users.
pub(super) struct UserSettings {
    users: Collection<RawDocumentBuf>,
    /// What tells the changes made by this store from those of others. Held to set or copy it.
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

    /// By which name its changes are not to be heard of.
    pub(super) fn node(&self) -> Arc<Mutex<ObjectId>> {
        Arc::clone(&self.node)
    }

    /// A change failed, and it is not known whether it is stored.
    pub(super) fn doubt(&self) {
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
        let is_question = fields.is_empty();
        fields.insert("settings.node", *self.node.lock());
        let mut updated_at = window::stamp(at, (self.clock)());
        let deadline = Instant::now() + COMMIT;
        // The version. Clocks differ, so a later change can leave the time as it is.
        let mut update = doc! { "$set": &fields, "$inc": { "settings.changes": 1_i64 } };
        // The first time also if the others would merely hear of it late, as with markers.
        let mut is_over: fn(Timestamp, Timestamp) -> bool = window::is_passed_over;
        loop {
            update.insert("$max", doc! { "settings.updatedAt": date(updated_at) });
            let changed = retrying(deadline, || async {
                let filter = doc! { "_id": user_key(user) };
                if is_question {
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
            if is_question || changed.is_none() || !is_over(updated_at, now) {
                return Ok(changed.map(|user| document::settings(&user)));
            }
            is_over = window::is_late;
            // Nobody is told of a change with a time as old as that. Another device's may have followed it.
            update.remove("$set");
            updated_at = now;
        }
    }
}
