//! Who is online, across several server processes that can die at any moment.
//!
//! A user's `onlineNodes` names the processes that serve them, and `isOnline`, which older programs read, says whether
//! there is one. A process is a *node* with a random id and a lease in `nodes`, renewed by the database's clock, so
//! that the clocks of the processes need not agree. What keeps this right:
//!
//! - A node's lease is written before its id appears in any user.
//! - A lease that ran out, or whose process is known to have ended, is deleted. Only then are the users relieved of every
//!   node that has no lease, by any node that notices (`cleanup`). A node that dies while it cleans up leaves nothing wrong.
//! - A node id is never used again. A process that was paused so long that it lost its lease becomes a new node and
//!   brings its users online once more: a node that still cleans up after the old one can't touch them. A process does the
//!   same after a write that failed with an unknown outcome.
//!
//! # Beside a Mongoose program
//! The replaced program marks users with `isOnline: true` alone, and a crash of it leaves them so for ever. The first
//! node of a deployment therefore takes such users offline at its first heartbeat. Later nodes don't: by then a
//! Mongoose program may run beside the others during a migration, and its users are its own business. One that runs
//! while the first node starts has its users shown as offline until they connect again.
//!
//! Such a program also takes users offline that left it and are connected here. A user with a node is read as online all the
//! same (`document::user`), and once a minute each node asserts its own users' presence again.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bson::oid::ObjectId;
use bson::{Bson, Document, doc};
use mongodb::{Collection, Database};
use shared::{Timestamp, UserId};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, timeout};

use super::error::{bounded, retrying, timed_out};
use super::lease::{Node, Process};
use super::names;
use super::query::{self, Order};
use super::timeouts::{READ_TIMEOUT, WRITE_TIMEOUT};
use crate::storage::{HEARTBEAT_INTERVAL, LEASE_TIMEOUT, PresenceChange, StoreError};

mod cleanup;
mod statements;

/// Most changes in one command.
const MAX_CHANGES: usize = 1_000;

/// How long one renewal of the lease may take: the lease outlasts one that fails, and the next.
const RENEWAL_TIMEOUT: Duration = Duration::from_secs(2);

/// The users that are online on this node, and the node's lease.
pub(super) struct NodePresence {
    database: Database,
    users: Collection<Document>,
    nodes: Collection<Document>,
    process: Process,
    /// Whether other nodes had a lease at the last heartbeat.
    others: Arc<AtomicBool>,
    /// Held across writes: changes must reach the database in order, and none may overtake a change of the node id.
    state: Mutex<NodeState>,
    /// The id in `state`, to renew its lease while a change is being written. Held to set or copy it.
    node: parking_lot::Mutex<Option<ObjectId>>,
    /// What the lease says beside whose it is. Held to set or copy it.
    claim: parking_lot::Mutex<Document>,
    /// Held for a heartbeat.
    beats: Mutex<Beats>,
}

/// What one heartbeat keeps for the next.
#[derive(Default)]
struct Beats {
    /// When the lease was last renewed.
    renewed: Option<Instant>,
    /// Until when the leases of others are not deleted.
    lenient_until: Option<Instant>,
    /// Whether the users that an older program left online were taken offline.
    repaired: bool,
    /// When the presence of this node's users was last asserted again.
    asserted: Option<Instant>,
}

#[derive(Default)]
struct NodeState {
    /// This node's id, once it has a lease.
    node: Option<Node>,
    /// Whether the database may differ from `online`; the next heartbeat then begins a new node.
    diverged: bool,
    /// Who is connected to this process.
    online: HashSet<UserId>,
}

impl NodePresence {
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

    /// The same as a flag, for callers that read it again and again.
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
        let node = self.hold_lease(now).await?;
        beats.renewed = Some(Instant::now());
        if late {
            // Most likely the database was away, for the other nodes too: they get the time to come back.
            beats.lenient_until = Some(Instant::now() + LEASE_TIMEOUT);
        }
        self.with_lease(self.clean_up(&mut beats, node, now)).await
    }

    /// Does work that may take longer than a lease lasts, and renews the lease meanwhile.
    async fn with_lease<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let mut work = pin!(work);
        loop {
            if let Ok(done) = timeout(HEARTBEAT_INTERVAL, work.as_mut()).await {
                return done;
            }
            let node = *self.node.lock();
            if let Some(node) = node
                && let Err(error) = self.renew_lease(node).await
            {
                tracing::debug!(%error, "presence: renewing the lease failed; it will be tried again");
            }
        }
    }

    /// Renews the lease without waiting for changes that are being written. Begins a new node where one is needed.
    async fn hold_lease(&self, now: Timestamp) -> Result<ObjectId, StoreError> {
        let held = *self.node.lock();
        if let Some(node) = held
            && self.renew_lease(node).await?
        {
            return match self.state.try_lock() {
                Ok(mut state) if state.diverged => self.with_lease(self.renew(&mut state, now)).await,
                // If a change fails that is still being written, the next heartbeat begins a new node.
                _ => Ok(node),
            };
        }
        let renewing = async {
            let mut state = self.lock().await?;
            self.renew(&mut state, now).await
        };
        self.with_lease(renewing).await
    }

    /// Renews the lease. Returns whether it was there.
    async fn renew_lease(&self, node: ObjectId) -> Result<bool, StoreError> {
        let mut renewal = doc! { "$currentDate": { "renewedAt": true } };
        let claim = self.claim.lock().clone();
        if !claim.is_empty() {
            renewal.insert("$set", claim);
        }
        let renew = self.nodes.update_one(doc! { "_id": node }, renewal);
        Ok(bounded("renewing the lease", RENEWAL_TIMEOUT, renew)
            .await?
            .matched_count
            == 1)
    }

    /// Takes this process's users offline and gives up the lease.
    pub(super) async fn release(&self, now: Timestamp) -> Result<(), StoreError> {
        let mut state = self.lock().await?;
        state.online.clear();
        let Some(node) = &state.node else { return Ok(()) };
        let node = node.id();
        let offline = self
            .users
            .update_many(doc! { "onlineNodes": node }, statements::leave(vec![node.into()], now));
        bounded("taking users offline", WRITE_TIMEOUT, offline).await?;
        *self.node.lock() = None;
        self.delete_lease(node.into()).await?;
        state.node = None;
        Ok(())
    }

    async fn lock(&self) -> Result<MutexGuard<'_, NodeState>, StoreError> {
        let limit = READ_TIMEOUT + HEARTBEAT_INTERVAL;
        tokio::time::timeout(limit, self.state.lock())
            .await
            .map_err(|_| timed_out("waiting for earlier changes of presence", limit))
    }

    /// Renews the lease; begins a node if there is none, or if the old one's users may differ from those here.
    async fn renew(&self, state: &mut NodeState, now: Timestamp) -> Result<ObjectId, StoreError> {
        let old = state.node.as_ref().map(Node::id);
        if let Some(node) = old.filter(|_| !state.diverged) {
            if self.renew_lease(node).await? {
                return Ok(node);
            }
            tracing::warn!(%node, "presence: this process lost its lease and brings its users online again");
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
    async fn begin(&self, state: &mut NodeState) -> Result<ObjectId, StoreError> {
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
        for chunk in changes.chunks(MAX_CHANGES) {
            let updates: Vec<Document> = chunk.iter().map(|change| statements::update(node, change)).collect();
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
}
