//! Messages that became durable long after their time: they are given a new time before they are acknowledged.
//!
//! [`window`] says why. Each renewal is also written to a collection of its own, because the other nodes find new messages
//! by the time in their ids, and would miss these. A message that became durable only some seconds after its time, in a
//! failover for example, they would find a minute later. So it is announced there, too, while other nodes live.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bson::oid::ObjectId;
use bson::raw::RawDocumentBuf;
use bson::{Document, doc};
use mongodb::{Collection, Database};
use shared::{Message, Timestamp};
use tokio::time::Instant;

use super::AppendResult;
use crate::storage::StoreError;
use crate::storage::mongodb::document::{date, id_seconds, message_key};
use crate::storage::mongodb::error::{bounded, retrying};
use crate::storage::mongodb::names;
use crate::storage::mongodb::query::{self, Order};
use crate::storage::mongodb::timeouts::WRITE_TIMEOUT;
use crate::storage::mongodb::window::{self, Clock};

/// How long renewing is tried at least, however little of a batch's own time is left.
const RENEW_TIMEOUT: Duration = Duration::from_secs(8);

/// How long announcing alone may take. Without it the other nodes find a message a minute later.
const ANNOUNCE_TIMEOUT: Duration = Duration::from_secs(2);

/// Whether a message that is announced was also given a new time. Where that is missing, it was.
pub(in crate::storage::mongodb) const RENEWED: &str = "renewed";

/// Renews messages.
pub(super) struct Renewer {
    database: Database,
    messages: Collection<RawDocumentBuf>,
    node: ObjectId,
    clock: Clock,
    /// Whether other nodes live.
    others: Arc<AtomicBool>,
}

impl Renewer {
    pub(super) fn new(database: &Database, node: ObjectId, clock: Clock, others: Arc<AtomicBool>) -> Self {
        Self {
            database: database.clone(),
            messages: database.collection(names::MESSAGES),
            node,
            clock,
            others,
        }
    }

    /// Renews the stored messages among the outcomes whose time has passed. They are answered as they are stored then; if
    /// that fails, as failed. Messages that other nodes may have missed are announced.
    pub(super) async fn renew(&self, outcomes: &mut [AppendResult], deadline: Instant) {
        let now = (self.clock)();
        let is_late = |message: &Message| time(message, now).is_none_or(|at| window::is_late(at, now));
        if self.others.load(Ordering::Acquire) {
            let stored = outcomes.iter().flatten().map(|appended| &appended.message);
            let passed_over = stored.filter(|message| {
                time(message, now).is_some_and(|at| window::is_passed_over(at, now)) && !is_late(message)
            });
            self.announce(passed_over.map(|message| message_key(message.id)).collect(), now)
                .await;
        }
        let mut late: Vec<&mut AppendResult> = outcomes
            .iter_mut()
            .filter(|outcome| outcome.as_ref().is_ok_and(|appended| is_late(&appended.message)))
            .collect();
        if late.is_empty() {
            return;
        }
        tracing::info!(count = late.len(), "append: messages were stored long after their time");
        let ids: Vec<ObjectId> = late
            .iter()
            .filter_map(|outcome| Some(message_key(outcome.as_ref().ok()?.message.id)))
            .collect();
        let deadline = deadline.max(Instant::now() + RENEW_TIMEOUT);
        let renewed = self.write(&ids, now, deadline).await;
        for outcome in &mut late {
            match (&renewed, outcome.as_mut()) {
                (Ok(at), Ok(appended)) => appended.message.updated_at = appended.message.updated_at.max(Some(*at)),
                (Err(error), _) => **outcome = Err(error.clone().into()),
                (Ok(_), Err(_)) => {}
            }
        }
    }

    /// Announces messages to other nodes that may have missed them.
    async fn announce(&self, ids: Vec<ObjectId>, now: Timestamp) {
        if ids.is_empty() {
            return;
        }
        let announcements = self.announcements(&ids, now, false);
        let announcing = query::run_update("announcing messages", ANNOUNCE_TIMEOUT, &self.database, announcements);
        if let Err(error) = announcing.await {
            tracing::debug!(%error, count = ids.len(), "append: announcing messages to other nodes failed");
        }
    }

    fn announcements(&self, ids: &[ObjectId], at: Timestamp, renewed: bool) -> Document {
        let announcement = |id: &ObjectId| -> Document {
            let fields = doc! { "$max": { "at": date(at) }, "$set": { "node": self.node, RENEWED: renewed } };
            doc! { "q": { "_id": id }, "u": fields, "upsert": true }
        };
        query::update(names::RENEWALS, ids.iter().map(announcement).collect(), Order::Any)
    }

    /// Gives messages the time `at`, or a later one should this take long, and returns it.
    async fn write(&self, ids: &[ObjectId], mut at: Timestamp, deadline: Instant) -> Result<Timestamp, StoreError> {
        loop {
            let announcements = self.announcements(ids, at, true);
            retrying(deadline, || {
                query::run_update(
                    "announcing messages",
                    WRITE_TIMEOUT,
                    &self.database,
                    announcements.clone(),
                )
            })
            .await?;
            retrying(deadline, || {
                let renew = self.messages.update_many(
                    doc! { "_id": { "$in": ids } },
                    doc! { "$max": { "updatedAt": date(at) } },
                );
                bounded("renewing messages", WRITE_TIMEOUT, renew)
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

/// The time by which other nodes find a message: that in its id, which is that of `createdAt`, unless that lies ahead.
fn time(message: &Message, now: Timestamp) -> Option<Timestamp> {
    let created_at = message.created_at?;
    Some(match window::is_ahead(created_at, now) {
        true => Timestamp::from_millis(i64::from(id_seconds(message.id)) * 1_000),
        false => created_at,
    })
}
