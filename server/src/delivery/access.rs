//! Ending the connections of users who are shut out: at once where that was decided, and soon on every other node.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use shared::UserId;
use tokio_util::sync::CancellationToken;

use super::Connections;
use super::client::Ending;
use crate::clock;
use crate::domain::{Access, ShutOut};
use crate::outage::Outage;
use crate::storage::{Store, StoreError};

/// Time before the store is queried again after it failed.
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// Users who are looked up at a time.
const MAX_CONCURRENT_LOOKUPS: usize = 16;

/// Ends connections that would no longer be let in.
pub struct AccessEnforcer {
    store: Arc<dyn Store>,
    connections: Arc<Connections>,
    /// How often somebody was shut out.
    changes: AtomicU64,
}

impl AccessEnforcer {
    /// An enforcer for these connections.
    pub fn new(store: Arc<dyn Store>, connections: Arc<Connections>) -> Arc<Self> {
        Arc::new(Self {
            store,
            connections,
            changes: AtomicU64::new(0),
        })
    }

    /// Grows before connections are ended. Whoever looked a user up before it grew, and registers a connection after, has to
    /// [look again](Self::enforce).
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }

    /// Ends the connections of a user that `access` refuses.
    pub fn apply(&self, user: UserId, access: &Access) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.end(user, access);
    }

    fn end(&self, user: UserId, access: &Access) {
        let now = clock::now();
        for connection in self.connections.of(user) {
            let ending = match access.refusal(connection.client.issued_at(), now) {
                Some(ShutOut::Banned(ban)) => Ending::Banned(ban),
                Some(ShutOut::Revoked) => Ending::Revoked {
                    before: access.revoked_before.unwrap_or(now),
                },
                None => continue,
            };
            connection.client.end(ending);
        }
    }

    /// Looks a user up, and ends the connections that would be refused.
    ///
    /// # Errors
    /// Reading failed.
    pub async fn enforce(&self, user: UserId) -> Result<(), StoreError> {
        if self.connections.has(user)
            && let Some(access) = self.store.access(user).await?
        {
            self.end(user, &access);
        }
        Ok(())
    }

    /// Enforces what other processes decide, until `stop` is cancelled.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut changed = self.store.access_changes();
        let mut outage = Outage::default();
        loop {
            let users = tokio::select! {
                () = stop.cancelled() => return,
                users = changed.next() => users,
            };
            let Some(users) = users else { return };
            self.changes.fetch_add(1, Ordering::SeqCst);
            while let Err(error) = self.enforce_all(&users).await {
                if outage.failed() {
                    tracing::warn!(%error, "access: who was shut out could not be looked up; it will be tried again");
                }
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(RETRY_DELAY) => {}
                }
            }
            if let Some(ended) = outage.worked() {
                tracing::info!(lasted = ?ended.lasted, "access: who was shut out is looked up again");
            }
        }
    }

    async fn enforce_all(&self, users: &[UserId]) -> Result<(), StoreError> {
        let here: Vec<UserId> = users
            .iter()
            .copied()
            .filter(|user| self.connections.has(*user))
            .collect();
        stream::iter(here)
            .map(|user| self.enforce(user))
            .buffer_unordered(MAX_CONCURRENT_LOOKUPS)
            .try_collect()
            .await
    }
}
