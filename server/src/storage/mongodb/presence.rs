//! Who is online, across several server processes that can die at any moment.
//!
//! A user's `onlineNodes` names the processes that serve them, and `isOnline`, which older programs read, says whether
//! there is one. A process is a *node* with a random id and a lease in `nodes`, renewed by the database's clock, so
//! that the clocks of the processes need not agree. What keeps this right:
//!
//! - A node's lease is written before its id appears in any user.
//! - A lease that ran out, or whose process is known to have ended, is deleted; only then, and by whoever notices, are
//!   the users relieved of every node that has no lease. It makes no difference where a cleaner dies.
//! - A node id is never used again. A process that was paused so long that it lost its lease becomes a new node and
//!   brings its users online once more: a cleaner still busy with the old one can't touch them. After a write that
//!   failed, of which nobody knows how far it came, it does the same.
//!
//! # Beside a Mongoose program
//! The replaced program marks users with `isOnline: true` alone, and a crash of it leaves them so for ever. The first
//! node of a deployment therefore takes such users offline at its first heartbeat. Later nodes don't: by then a
//! Mongoose program may run beside the others during a migration, and its users are its own business. One that runs
//! while the first node starts has its users shown as offline until they connect again.
//!
//! Such a program also takes users offline that left it and are connected here. Whoever has a node is read as online all the
//! same (`document::user`), and once a minute each node says so again of its own.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bson::oid::ObjectId;
use bson::{Bson, Document, doc};
use futures_util::TryStreamExt;
use mongodb::{Collection, Database};
use shared::{Timestamp, UserId};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, timeout};

use super::document::{date, user_key};
use super::error::{bounded, retrying, timed_out};
use super::lease::{Node, Process};
use super::names;
use super::query::{self, Order};
use super::timeouts::{READ_TIMEOUT, WRITE_TIMEOUT};
use crate::storage::{HEARTBEAT_INTERVAL, LEASE_TIMEOUT, PresenceChange, StoreError};

/// Changes in one command.
const CHANGES: usize = 1_000;

/// How long one renewal of the lease may take: the lease outlasts one that fails, and the next.
const RENEWAL: Duration = Duration::from_secs(2);

/// How often it is said again who is online, which reads as many users as are.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// This process's part in who is online.
pub(super) struct Presence {
    database: Database,
    users: Collection<Document>,
    nodes: Collection<Document>,
    process: Process,
    /// Whether other nodes had a lease when that was looked up last.
    others: Arc<AtomicBool>,
    /// Held across writes: changes must reach the database in order, and none may overtake a change of the node id.
    state: Mutex<State>,
    /// The id in `state`, to renew its lease while a change is being written. Held to set or copy it.
    node: parking_lot::Mutex<Option<ObjectId>>,
    /// What the lease says beside whose it is. Held to set or copy it.
    claim: parking_lot::Mutex<Document>,
    /// Held for a heartbeat.
    beats: Mutex<Beats>,
}

/// What one heartbeat leaves to the next.
#[derive(Default)]
struct Beats {
    /// When the lease was last renewed.
    renewed: Option<Instant>,
    /// Until when the leases of others are let be.
    lenient_until: Option<Instant>,
    /// Whether what an older program left was looked at.
    swept: bool,
    /// When it was last said again who is online.
    said_again: Option<Instant>,
}

#[derive(Default)]
struct State {
    /// This node's id, once it has a lease.
    node: Option<Node>,
    /// Whether the database may differ from `online`; the next heartbeat then begins a new node.
    diverged: bool,
    /// Who is connected to this process.
    online: HashSet<UserId>,
}

impl Presence {
    pub(super) fn new(database: &Database) -> Self {
        Self {
            database: database.clone(),
            users: database.collection(names::USERS),
            nodes: database.collection(names::NODES),
            process: Process::current(),
            others: Arc::new(AtomicBool::new(true)),
            state: Mutex::default(),
            node: parking_lot::Mutex::default(),
            claim: parking_lot::Mutex::default(),
            beats: Mutex::default(),
        }
    }

    /// See [`crate::storage::PresenceStore::set_presence`].
    pub(super) async fn set(&self, changes: &[PresenceChange]) -> Result<(), StoreError> {
        let mut state = self.lock().await?;
        for change in changes {
            match change.online {
                true => state.online.insert(change.user),
                false => state.online.remove(&change.user),
            };
        }
        let node = match &state.node {
            Some(node) => node.id(),
            None => self.begin(&mut state).await?,
        };
        let written = self.write(node, changes).await;
        state.diverged |= written.is_err();
        written
    }

    /// See [`crate::storage::PresenceStore::others_live`].
    pub(super) fn others_live(&self) -> bool {
        self.others.load(Ordering::Acquire)
    }

    /// The same, for who asks again and again.
    pub(super) fn others(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.others)
    }

    /// See [`crate::storage::PresenceStore::heartbeat`]. `claim` is what the lease says of the messages that this process stored.
    pub(super) async fn heartbeat(&self, now: Timestamp, claim: Document) -> Result<(), StoreError> {
        let mut beats = self.beats.lock().await;
        *self.claim.lock() = claim;
        let late = beats
            .renewed
            .is_some_and(|renewed| renewed.elapsed() > LEASE_TIMEOUT / 2);
        let node = self.hold(now).await?;
        beats.renewed = Some(Instant::now());
        if late {
            // Most likely the database was away, and for the other nodes too: they get the time to come back.
            beats.lenient_until = Some(Instant::now() + LEASE_TIMEOUT);
        }
        self.holding(self.clean(&mut beats, node, now)).await
    }

    /// Does something that may take longer than a lease lasts, which is renewed meanwhile.
    async fn holding<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let mut work = pin!(work);
        loop {
            if let Ok(done) = timeout(HEARTBEAT_INTERVAL, work.as_mut()).await {
                return done;
            }
            let node = *self.node.lock();
            if let Some(node) = node
                && let Err(error) = self.renew_lease(node).await
            {
                tracing::debug!(%error, "the lease is not renewed; it will be tried again");
            }
        }
    }

    /// Renews the lease without waiting for changes that are being written, and begins a new node where that is needed.
    async fn hold(&self, now: Timestamp) -> Result<ObjectId, StoreError> {
        let held = *self.node.lock();
        if let Some(node) = held
            && self.renew_lease(node).await?
        {
            return match self.state.try_lock() {
                Ok(mut state) if state.diverged => self.holding(self.renew(&mut state, now)).await,
                // Whatever goes wrong with a change that is still being written is seen to by the next heartbeat.
                _ => Ok(node),
            };
        }
        let renewing = async {
            let mut state = self.lock().await?;
            self.renew(&mut state, now).await
        };
        self.holding(renewing).await
    }

    /// Sees to what others left behind.
    async fn clean(&self, beats: &mut Beats, node: ObjectId, now: Timestamp) -> Result<(), StoreError> {
        if beats.lenient_until.is_none_or(|until| until <= Instant::now()) {
            self.delete_expired().await?;
        }
        let others = self.relieve(now, node).await?;
        // Only now: of whoever went offline by it is to be told by those who ask because of others.
        self.others.store(others, Ordering::Release);
        if !beats.swept {
            self.sweep(node).await?;
            beats.swept = true;
        }
        if beats.said_again.is_none_or(|last| last.elapsed() >= SAY_AGAIN) {
            let offline = doc! { "onlineNodes": node, "isOnline": { "$ne": true } };
            let again = self.users.update_many(offline, doc! { "$set": { "isOnline": true } });
            bounded("saying again who is online", WRITE_TIMEOUT, again).await?;
            beats.said_again = Some(Instant::now());
        }
        Ok(())
    }

    /// Whether the lease was there to be renewed.
    async fn renew_lease(&self, node: ObjectId) -> Result<bool, StoreError> {
        let mut renewal = doc! { "$currentDate": { "renewedAt": true } };
        let claim = self.claim.lock().clone();
        if !claim.is_empty() {
            renewal.insert("$set", claim);
        }
        let renew = self.nodes.update_one(doc! { "_id": node }, renewal);
        Ok(bounded("renewing the lease", RENEWAL, renew).await?.matched_count == 1)
    }

    /// Takes this process's users offline and gives up the lease.
    pub(super) async fn release(&self, now: Timestamp) -> Result<(), StoreError> {
        let mut state = self.lock().await?;
        state.online.clear();
        let Some(node) = &state.node else { return Ok(()) };
        let node = node.id();
        let offline = self
            .users
            .update_many(doc! { "onlineNodes": node }, leave(vec![node.into()], now));
        bounded("taking users offline", WRITE_TIMEOUT, offline).await?;
        *self.node.lock() = None;
        self.delete_lease(node.into()).await?;
        state.node = None;
        Ok(())
    }

    async fn lock(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let limit = READ_TIMEOUT + HEARTBEAT_INTERVAL;
        tokio::time::timeout(limit, self.state.lock())
            .await
            .map_err(|_| timed_out("waiting for earlier changes of presence", limit))
    }

    /// Renews the lease; begins a node if there is none, or if the old one can't be trusted any more.
    async fn renew(&self, state: &mut State, now: Timestamp) -> Result<ObjectId, StoreError> {
        let old = state.node.as_ref().map(Node::id);
        if let Some(node) = old.filter(|_| !state.diverged) {
            if self.renew_lease(node).await? {
                return Ok(node);
            }
            tracing::warn!(%node, "this process lost its lease and brings its users online again");
        }
        state.diverged = true;
        let node = self.begin(state).await?;
        let again: Vec<PresenceChange> = state
            .online
            .iter()
            .map(|user| PresenceChange {
                user: *user,
                online: true,
                at: now,
            })
            .collect();
        self.write(node, &again).await?;
        state.diverged = false;
        if let Some(old) = old {
            self.delete_lease(old.into()).await?;
        }
        Ok(node)
    }

    /// Writes the lease of a new node.
    async fn begin(&self, state: &mut State) -> Result<ObjectId, StoreError> {
        let node = Node::new();
        let id = node.id();
        let mut fields = doc! { "startedAt": "$$NOW", "renewedAt": "$$NOW" };
        let claim = self.claim.lock().clone();
        for (name, value) in self.process.fields().into_iter().chain(claim) {
            fields.insert(name, doc! { "$literal": value });
        }
        let insert = self
            .nodes
            .update_one(doc! { "_id": id }, vec![doc! { "$set": fields }])
            .upsert(true);
        bounded("writing the lease", WRITE_TIMEOUT, insert).await?;
        state.node = Some(node);
        *self.node.lock() = Some(id);
        Ok(id)
    }

    async fn write(&self, node: ObjectId, changes: &[PresenceChange]) -> Result<(), StoreError> {
        for chunk in changes.chunks(CHANGES) {
            let updates: Vec<Document> = chunk.iter().map(|change| update(node, change)).collect();
            // All of them mean the same when they are repeated.
            let command = query::update(names::USERS, updates, Order::AsGiven);
            retrying(Instant::now() + WRITE_TIMEOUT, || {
                query::run_update("writing presence", WRITE_TIMEOUT, &self.database, command.clone())
            })
            .await?;
        }
        Ok(())
    }

    async fn delete_lease(&self, node: Bson) -> Result<(), StoreError> {
        let delete = self.nodes.delete_one(doc! { "_id": node });
        bounded("deleting a lease", WRITE_TIMEOUT, delete).await.map(drop)
    }

    async fn delete_expired(&self) -> Result<(), StoreError> {
        let lease = i64::try_from(LEASE_TIMEOUT.as_millis()).unwrap_or(i64::MAX);
        let oldest = doc! { "$subtract": ["$$NOW", lease] };
        let expired = doc! { "$expr": { "$lt": ["$renewedAt", oldest] } };
        let deleted = bounded("deleting leases", WRITE_TIMEOUT, self.nodes.delete_many(expired)).await?;
        if deleted.deleted_count > 0 {
            tracing::warn!(count = deleted.deleted_count, "processes did not renew their leases");
        }
        Ok(())
    }

    /// Relieves users of the nodes that have no lease, and returns whether there are others than the own one. The order
    /// matters: who is seen in `onlineNodes` had a lease before, so if it has none afterwards, it is gone.
    async fn relieve(&self, now: Timestamp, own: ObjectId) -> Result<bool, StoreError> {
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
        let relieve = self.users.update_many(theirs, leave(dead, now));
        let relieved = bounded("taking users offline", WRITE_TIMEOUT, relieve).await?;
        tracing::info!(
            count = relieved.modified_count,
            "users of ended processes are taken offline"
        );
        Ok(others)
    }

    /// Takes the users offline that an older program left online, if no other node came first.
    async fn sweep(&self, node: ObjectId) -> Result<(), StoreError> {
        let first = self.nodes.find_one(doc! {}).sort(doc! { "startedAt": 1, "_id": 1 });
        let first = bounded("finding the first node", READ_TIMEOUT, first).await?;
        if first.is_some_and(|first| first.get_object_id("_id").ok() != Some(node)) {
            return Ok(());
        }
        // When they left is not known, so `lastSeen` stays as it is.
        let left = doc! { "isOnline": true, "onlineNodes": Bson::Null };
        let sweep = self.users.update_many(left, doc! { "$set": { "isOnline": false } });
        bounded("taking users offline", WRITE_TIMEOUT, sweep).await.map(drop)
    }
}

/// One change as a statement of an `update` command. A user that does not exist is not created by it.
fn update(node: ObjectId, change: &PresenceChange) -> Document {
    let pipeline = match change.online {
        true => join(node, change.at),
        false => leave(vec![node.into()], change.at),
    };
    doc! { "q": { "_id": user_key(change.user) }, "u": pipeline }
}

/// The user's nodes, or none if an odd document holds something else.
fn nodes() -> Document {
    doc! { "$cond": [{ "$isArray": "$onlineNodes" }, "$onlineNodes", []] }
}

/// Adds a node to a user. `lastSeen` changes unless another node serves the user already.
fn join(node: ObjectId, at: Timestamp) -> Vec<Document> {
    let others = doc! { "$setDifference": [nodes(), [node]] };
    vec![doc! { "$set": {
        "onlineNodes": { "$setUnion": [nodes(), [node]] },
        "isOnline": true,
        "lastSeen": { "$cond": [{ "$eq": [others, []] }, date(at), "$lastSeen"] },
    } }]
}

/// Takes nodes from a user, who is offline when none remains. An empty list is removed, so that the sparse index
/// holds those who are online only.
fn leave(gone: Vec<Bson>, at: Timestamp) -> Vec<Document> {
    let none_left = doc! { "$eq": ["$onlineNodes", []] };
    vec![
        doc! { "$set": { "onlineNodes": { "$setDifference": [nodes(), gone] } } },
        doc! { "$set": {
            "isOnline": { "$not": [&none_left] },
            "lastSeen": { "$cond": [&none_left, date(at), "$lastSeen"] },
            "onlineNodes": { "$cond": [&none_left, "$$REMOVE", "$onlineNodes"] },
        } },
    ]
}
