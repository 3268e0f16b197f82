//! Taking offline whom dead nodes and an older program left online.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bson::oid::ObjectId;
use bson::{Bson, doc};
use futures_util::TryStreamExt;
use shared::Timestamp;
use tokio::time::Instant;

use super::{Beats, NodePresence, statements};
use crate::storage::mongodb::error::bounded;
use crate::storage::mongodb::timeouts::{READ_TIMEOUT, WRITE_TIMEOUT};
use crate::storage::{LEASE_TIMEOUT, StoreError};

/// How often a node asserts the presence of its users again, which reads as many users as are online on it.
const ASSERT_INTERVAL: Duration = Duration::from_secs(60);

impl NodePresence {
    /// Takes offline what dead nodes and an older program left online.
    pub(super) async fn clean_up(&self, beats: &mut Beats, node: ObjectId, now: Timestamp) -> Result<(), StoreError> {
        if beats.lenient_until.is_none_or(|until| until <= Instant::now()) {
            self.delete_expired().await?;
        }
        let others = self.remove_dead_nodes(now, node).await?;
        // Only now: a caller that sees this flag turn false must find the users of the other nodes offline.
        self.others.store(others, Ordering::Release);
        if !beats.repaired {
            self.repair(node).await?;
            beats.repaired = true;
        }
        if beats.asserted.is_none_or(|last| last.elapsed() >= ASSERT_INTERVAL) {
            let offline = doc! { "onlineNodes": node, "isOnline": { "$ne": true } };
            let again = self.users.update_many(offline, doc! { "$set": { "isOnline": true } });
            bounded("asserting who is online", WRITE_TIMEOUT, again).await?;
            beats.asserted = Some(Instant::now());
        }
        Ok(())
    }

    /// Deletes the leases that ran out.
    async fn delete_expired(&self) -> Result<(), StoreError> {
        let lease = i64::try_from(LEASE_TIMEOUT.as_millis()).unwrap_or(i64::MAX);
        let oldest = doc! { "$subtract": ["$$NOW", lease] };
        let expired = doc! { "$expr": { "$lt": ["$renewedAt", oldest] } };
        let deleted = bounded("deleting leases", WRITE_TIMEOUT, self.nodes.delete_many(expired)).await?;
        if deleted.deleted_count > 0 {
            tracing::warn!(
                count = deleted.deleted_count,
                "presence: processes did not renew their leases"
            );
        }
        Ok(())
    }

    /// Removes the nodes that have no lease from the users, and returns whether there are others than the own one. The order
    /// matters: a node that is seen in `onlineNodes` had a lease before, so if it has none afterwards, it is gone.
    async fn remove_dead_nodes(&self, now: Timestamp, own: ObjectId) -> Result<bool, StoreError> {
        let seen = self.users.distinct("onlineNodes", doc! {});
        let seen = bounded("listing online nodes", READ_TIMEOUT, seen).await?;
        let leases = async { self.nodes.find(doc! {}).await?.try_collect::<Vec<_>>().await };
        let mut living: Vec<Bson> = Vec::new();
        for lease in bounded("listing leases", READ_TIMEOUT, leases).await? {
            let Some(node) = lease.get("_id").cloned() else {
                continue;
            };
            if self.process.knows_ended(&lease) {
                self.delete_lease(node).await?;
            } else {
                living.push(node);
            }
        }
        let others = living.iter().any(|node| *node != Bson::ObjectId(own));
        let dead: Vec<Bson> = seen.into_iter().filter(|node| !living.contains(node)).collect();
        if dead.is_empty() {
            return Ok(others);
        }
        let theirs = doc! { "onlineNodes": { "$in": &dead } };
        let relieve = self.users.update_many(theirs, statements::leave(dead, now));
        let relieved = bounded("taking users offline", WRITE_TIMEOUT, relieve).await?;
        tracing::info!(
            count = relieved.modified_count,
            "presence: users of ended processes are taken offline"
        );
        Ok(others)
    }

    /// Takes the users offline that an older program left online, if no other node came first.
    async fn repair(&self, node: ObjectId) -> Result<(), StoreError> {
        let first = self.nodes.find_one(doc! {}).sort(doc! { "startedAt": 1, "_id": 1 });
        let first = bounded("finding the first node", READ_TIMEOUT, first).await?;
        if first.is_some_and(|first| first.get_object_id("_id").ok() != Some(node)) {
            return Ok(());
        }
        // When they left is not known, so `lastSeen` stays as it is.
        let left = doc! { "isOnline": true, "onlineNodes": Bson::Null };
        let repair = self.users.update_many(left, doc! { "$set": { "isOnline": false } });
        bounded("taking users offline", WRITE_TIMEOUT, repair).await.map(drop)
    }
}
