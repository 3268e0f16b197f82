//! Changes of one user's settings, one after the other: what a user's connections are sent last is what holds.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use shared::{Settings, UserId};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::storage::{StoreError, UserStore};

/// How long what another process has changed waits for changes of this one.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// Changes that run at once. A user always has the same lock, so that of two changes the later one stays.
const LOCKS: usize = 64;

/// A lock for each user, some of whom share one.
pub struct SettingsOrder {
    hasher: RandomState,
    /// Held by a change from before it is written until the store has answered.
    locks: Vec<Arc<Mutex<()>>>,
}

impl Default for SettingsOrder {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            locks: (0..LOCKS).map(|_| Arc::default()).collect(),
        }
    }
}

impl SettingsOrder {
    /// Waits until no other change of this user is under way, and keeps the next one waiting until the guard is dropped.
    pub async fn lock(&self, user: UserId) -> OwnedMutexGuard<()> {
        let lock = &self.locks[self.hasher.hash_one(user) as usize % LOCKS];
        Arc::clone(lock).lock_owned().await
    }

    /// Reads a user's settings and gives them to `notify` while no change of this process is under way: so what is sent last
    /// is what holds. False if changes of this process did not end soon; then nothing was sent.
    ///
    /// # Errors
    /// The store failed.
    pub async fn notify(
        &self,
        store: &dyn UserStore,
        user: UserId,
        notify: impl FnOnce(&Settings),
    ) -> Result<bool, StoreError> {
        let Ok(_lock) = tokio::time::timeout(LOCK_TIMEOUT, self.lock(user)).await else {
            return Ok(false);
        };
        let settings = store.settings(&[user]).await?;
        notify(&settings.first().copied().unwrap_or_default());
        Ok(true)
    }
}
