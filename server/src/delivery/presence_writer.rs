//! Storing who is online.
//!
//! Changes are coalesced: while one batch is being written, later changes of a user replace earlier ones. A failed
//! batch is tried again until it is written, so the database ends up with the truth whatever happened in between.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use shared::{Timestamp, UserId};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::clock::now;
use crate::metrics::METRICS;
use crate::outage::Outage;
use crate::storage::{HEARTBEAT_INTERVAL, PresenceChange, PresenceStore};

/// Most changes written at once.
const MAX_BATCH: usize = 1_000;

/// Time before a failed batch is tried again.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// The changes that wait to be written.
#[derive(Default)]
pub struct PresenceWriter {
    /// The last state of each user whose state is not written yet; held to change or take entries.
    waiting: Mutex<HashMap<UserId, (bool, Timestamp)>>,
    changed: Notify,
    /// Whom the store has as online here. A user who left and came back before that was written needs no write. Held to look up
    /// or change entries, after `waiting` where both are.
    recorded: Mutex<HashSet<UserId>>,
}

/// Renews the lease that keeps what was written true, until `stop` is cancelled. It is a task of its own: a change that
/// is slow to be written must not cost the lease.
pub async fn run_heartbeat(store: Arc<dyn PresenceStore>, stop: CancellationToken) {
    let mut beat = tokio::time::interval_at(tokio::time::Instant::now() + HEARTBEAT_INTERVAL, HEARTBEAT_INTERVAL);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut beats = Outage::default();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = beat.tick() => match store.heartbeat(now()).await {
                Ok(()) => {
                    METRICS.heartbeats.count();
                    METRICS.heartbeat_at.set(now().millis().cast_unsigned());
                    if let Some(ended) = beats.worked() {
                        tracing::info!(lasted = ?ended.lasted, "presence: the heartbeat is stored again");
                    }
                }
                Err(error) => {
                    METRICS.heartbeats_failed.count();
                    if beats.failed() {
                        tracing::warn!(%error, "presence: the heartbeat could not be stored; it will be tried again");
                    }
                }
            }
        }
    }
}

impl PresenceWriter {
    /// A user came online or left.
    pub fn set(&self, user: UserId, online: bool) {
        self.waiting.lock().insert(user, (online, now()));
        self.changed.notify_one();
    }

    /// How many users have a change that is not stored yet.
    pub fn unwritten(&self) -> usize {
        self.waiting.lock().len()
    }

    /// Writes changes as they come until `stop` is cancelled.
    pub async fn run(self: Arc<Self>, store: Arc<dyn PresenceStore>, stop: CancellationToken) {
        let mut writes = Outage::default();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.changed.notified() => self.write(&*store, &mut writes).await,
            }
        }
    }

    async fn write(&self, store: &dyn PresenceStore, outage: &mut Outage) {
        let changes = self.take_batch();
        if !changes.is_empty() {
            let written = store.set_presence(&changes).await;
            self.remember(&changes, written.is_ok());
            match written {
                Ok(()) => {
                    if let Some(ended) = outage.worked() {
                        tracing::info!(lasted = ?ended.lasted, "presence: changes are stored again");
                    }
                }
                Err(error) => {
                    if outage.failed() {
                        tracing::warn!(%error, users = changes.len(), "presence: changes could not be stored; it will be tried again");
                    }
                    self.put_back(changes);
                    tokio::time::sleep(RETRY_DELAY).await;
                }
            }
        }
        if !self.waiting.lock().is_empty() {
            self.changed.notify_one();
        }
    }

    /// A batch of what the store has not got yet.
    fn take_batch(&self) -> Vec<PresenceChange> {
        let mut waiting = self.waiting.lock();
        let users: Vec<UserId> = waiting.keys().copied().take(MAX_BATCH).collect();
        let change = |user| {
            let (online, at) = waiting.remove(&user)?;
            Some(PresenceChange { user, online, at })
        };
        let recorded = self.recorded.lock();
        let is_news = |change: &PresenceChange| !(change.online && recorded.contains(&change.user));
        users.into_iter().filter_map(change).filter(is_news).collect()
    }

    /// A failed write may have been carried out or not: then nothing is certain about its users.
    fn remember(&self, changes: &[PresenceChange], written: bool) {
        let mut recorded = self.recorded.lock();
        for change in changes {
            if change.online && written {
                recorded.insert(change.user);
            } else {
                recorded.remove(&change.user);
            }
        }
    }

    /// What changed again meanwhile is newer and stays.
    fn put_back(&self, changes: Vec<PresenceChange>) {
        let mut waiting = self.waiting.lock();
        for change in changes {
            waiting.entry(change.user).or_insert((change.online, change.at));
        }
    }
}
