//! Messages that became durable long after their time: they are given a new one before anybody is told.
//!
//! See [`window`] for what that is good for. Each renewal is also written to a collection of
//! its own, because the other nodes look for new messages by the time in their ids, and would pass over these.

use std::time::Duration;

use bson::oid::ObjectId;
use bson::raw::RawDocumentBuf;
use bson::{Document, doc};
use mongodb::{Collection, Database};
use shared::Timestamp;
use tokio::time::Instant;

use super::Outcome;
use crate::store::StoreError;
use crate::store::mongo::document::{date, message_key};
use crate::store::mongo::error::{bounded, retrying};
use crate::store::mongo::inbox::seconds;
use crate::store::mongo::query::{self, Order};
use crate::store::mongo::window::{self, Clock};
use crate::store::mongo::{WRITE, connect};

/// How long renewing is tried at least, however little of a batch's own time is left.
const RENEW: Duration = Duration::from_secs(8);

/// Renews messages.
pub(super) struct Renewer {
    database: Database,
    messages: Collection<RawDocumentBuf>,
    node: ObjectId,
    clock: Clock,
}

impl Renewer {
    pub(super) fn new(database: &Database, node: ObjectId, clock: Clock) -> Self {
        Self {
            database: database.clone(),
            messages: database.collection(connect::MESSAGES),
            node,
            clock,
        }
    }

    /// Renews the stored messages among the outcomes whose time has passed. They are answered as they are stored then;
    /// if that fails, as failed.
    pub(super) async fn renew(&self, outcomes: &mut [Outcome], deadline: Instant) {
        let now = (self.clock)();
        // By the time in the id: that one decides whether other nodes come across it. It is that of `createdAt`, unless
        // that lies ahead.
        let is_late = |outcome: &&mut Outcome| match outcome.as_ref().map(|appended| &appended.message) {
            Ok(message) => message.created_at.is_none_or(|created_at| {
                let in_id = || Timestamp::from_millis(i64::from(seconds(message.id)) * 1_000);
                let at = if window::is_ahead(created_at, now) {
                    in_id()
                } else {
                    created_at
                };
                window::is_late(at, now)
            }),
            Err(_) => false,
        };
        let mut late: Vec<&mut Outcome> = outcomes.iter_mut().filter(is_late).collect();
        if late.is_empty() {
            return;
        }
        tracing::info!(count = late.len(), "messages were stored long after their time");
        let ids: Vec<ObjectId> = late
            .iter()
            .filter_map(|outcome| Some(message_key(outcome.as_ref().ok()?.message.id)))
            .collect();
        let deadline = deadline.max(Instant::now() + RENEW);
        let renewed = self.write(&ids, now, deadline).await;
        for outcome in &mut late {
            match (&renewed, outcome.as_mut()) {
                (Ok(at), Ok(appended)) => appended.message.updated_at = appended.message.updated_at.max(Some(*at)),
                (Err(error), _) => **outcome = Err(error.clone().into()),
                (Ok(_), Err(_)) => {}
            }
        }
    }

    /// Gives messages the time `at`, or a later one should this take long, and returns it.
    async fn write(&self, ids: &[ObjectId], mut at: Timestamp, deadline: Instant) -> Result<Timestamp, StoreError> {
        loop {
            let announcement = |id: &ObjectId| -> Document {
                let fields = doc! { "$max": { "at": date(at) }, "$set": { "node": self.node } };
                doc! { "q": { "_id": id }, "u": fields, "upsert": true }
            };
            let announcements = query::update(connect::RENEWALS, ids.iter().map(announcement).collect(), Order::Any);
            retrying(deadline, || {
                query::run_update("announcing messages", WRITE, &self.database, announcements.clone())
            })
            .await?;
            retrying(deadline, || {
                let renew = self.messages.update_many(
                    doc! { "_id": { "$in": ids } },
                    doc! { "$max": { "updatedAt": date(at) } },
                );
                bounded("renewing messages", WRITE, renew)
            })
            .await?;
            let now = (self.clock)();
            if !window::is_late(at, now) {
                return Ok(at);
            }
            at = now;
        }
    }
}
