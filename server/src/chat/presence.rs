//! What the database is told of who is online.
//!
//! Changes are coalesced: while one batch is being written, later changes of a user replace earlier ones. A failed
//! batch is tried again until it is written, so the database ends up with the truth whatever happened between.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use shared::{Timestamp, UserId};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::store::{HEARTBEAT, PresenceChange, Store};

use super::now;

/// Most changes written at once.
const BATCH: usize = 1_000;

/// Pause before a failed batch is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// The changes that wait to be written.
#[derive(Default)]
pub struct Presence {
    /// The last state of each user whose state is not written yet; held to change or take entries.
    waiting: Mutex<HashMap<UserId, (bool, Timestamp)>>,
    changed: Notify,
}

impl Presence {
    /// Notes that a user came online or left.
    pub fn note(&self, user: UserId, online: bool) {
        self.waiting.lock().insert(user, (online, now()));
        self.changed.notify_one();
    }

    /// Writes changes as they come, and the heartbeat that keeps them true, until `stop` is cancelled.
    pub async fn keep(self: Arc<Self>, store: Arc<dyn Store>, stop: CancellationToken) {
        let mut beat = tokio::time::interval_at(tokio::time::Instant::now() + HEARTBEAT, HEARTBEAT);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.changed.notified() => self.write(&*store).await,
                _ = beat.tick() => {
                    if let Err(error) = store.heartbeat(now()).await {
                        tracing::warn!(%error, "the heartbeat of this server was not recorded");
                    }
                }
            }
        }
    }

    async fn write(&self, store: &dyn Store) {
        let changes = self.take();
        if changes.is_empty() {
            return;
        }
        if let Err(error) = store.set_presence(&changes).await {
            tracing::warn!(%error, users = changes.len(), "presence was not recorded; it will be tried again");
            self.put_back(changes);
            tokio::time::sleep(PAUSE).await;
        }
        if !self.waiting.lock().is_empty() {
            self.changed.notify_one();
        }
    }

    fn take(&self) -> Vec<PresenceChange> {
        let mut waiting = self.waiting.lock();
        let users: Vec<UserId> = waiting.keys().copied().take(BATCH).collect();
        let change = |user| {
            waiting
                .remove(&user)
                .map(|(online, at)| PresenceChange { user, online, at })
        };
        users.into_iter().filter_map(change).collect()
    }

    /// What changed again meanwhile is newer and stays.
    fn put_back(&self, changes: Vec<PresenceChange>) {
        let mut waiting = self.waiting.lock();
        for change in changes {
            waiting.entry(change.user).or_insert((change.online, change.at));
        }
    }
}
