//! Ending the connections of users who are shut out: at once where that was decided, and soon on every other node.
//!
//! Who decides it may stop waiting: a change goes on in a task of its own until its connections are ended. No other process says
//! later what this one has stored, where the store is this process's alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use shared::UserId;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::Connections;
use super::client::Ending;
use crate::clock;
use crate::domain::{Access, ShutOut};
use crate::outage::Outage;
use crate::storage::{Store, StoreError};
use crate::supervisor::Supervisor;

/// Time before the store is queried again after it failed.
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// Users who are looked up at a time.
const MAX_CONCURRENT_LOOKUPS: usize = 16;

/// Ends connections that would no longer be let in.
pub struct AccessEnforcer {
    store: Arc<dyn Store>,
    connections: Arc<Connections>,
    /// Runs the tasks of changes.
    parts: Supervisor,
    /// How often somebody was shut out.
    changes: AtomicU64,
}

impl AccessEnforcer {
    /// An enforcer for these connections; `parts` runs the tasks of changes.
    pub fn new(store: Arc<dyn Store>, connections: Arc<Connections>, parts: &Supervisor) -> Arc<Self> {
        Arc::new(Self {
            store,
            connections,
            parts: parts.clone(),
            changes: AtomicU64::new(0),
        })
    }

    /// Grows before connections are ended. Whoever looked a user up before it grew, and registers a connection after, has to
    /// [look again](Self::enforce).
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }

    /// Makes a change of how it stands with a user, and ends the connections that are refused then, whether the caller waits for
    /// that or not. `admitted` is held until it is done. Returns what the change returns.
    ///
    /// # Errors
    /// Those of the change; where it is not certain whether it was made, the user is looked up once.
    pub async fn change<F>(
        self: &Arc<Self>,
        user: UserId,
        admitted: TaskTrackerToken,
        change: impl FnOnce(Arc<dyn Store>) -> F,
    ) -> Result<Option<Access>, StoreError>
    where
        F: Future<Output = Result<Option<Access>, StoreError>> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let (enforcer, changing) = (Arc::clone(self), change(Arc::clone(&self.store)));
        self.parts.request("access".to_owned(), async move {
            let _admitted = admitted;
            let changed = changing.await;
            enforcer.changes.fetch_add(1, Ordering::SeqCst);
            match &changed {
                Ok(Some(access)) => enforcer.end(user, access),
                Ok(None) => {}
                Err(_) => {
                    if let Err(error) = enforcer.enforce(user).await {
                        tracing::warn!(%user, %error, "access: whether the user was shut out could not be looked up");
                    }
                }
            }
            // Whoever asked may be gone.
            let _ = answer.send(changed);
        });
        let broken_off = |_| StoreError::Unavailable("shutting a user out was broken off".to_owned());
        answered.await.map_err(broken_off)?
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

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio_util::task::TaskTracker;

    use super::super::client::ConnectionId;
    use super::super::client::tests::Silent;
    use super::*;
    use crate::domain::Ban;
    use crate::storage::sqlite::tests::fixture::{store, user};

    /// A ban that is stored, and a user who writes on: so it was where an administrator's client left at once.
    #[tokio::test]
    async fn whoever_is_shut_out_is_disconnected_although_nobody_waits_for_it() {
        let (_folder, store) = store();
        let ada = user(&store, "ada").await;
        let store: Arc<dyn Store> = Arc::new(store);
        let connections = Arc::new(Connections::new(4));
        let client = Arc::new(Silent::default());
        let entered = connections.enter(ada, ConnectionId::unique(), client.clone(), || ());
        entered.expect("there is room");
        let enforcer = AccessEnforcer::new(Arc::clone(&store), connections, &Supervisor::default());
        let ban = Ban {
            at: clock::now(),
            until: None,
            reason: None,
        };
        let requests = TaskTracker::new();
        let change = enforcer.change(ada, requests.token(), async move |store: Arc<dyn Store>| {
            store.set_ban(ada, Some(ban)).await
        });
        assert!(change.now_or_never().is_none(), "it waits for the disk");
        requests.close();
        requests.wait().await;
        assert!(store.access(ada).await.expect("a store").expect("a user").ban.is_some());
        assert!(client.ended.load(Ordering::SeqCst), "the connection is ended");
    }
}
