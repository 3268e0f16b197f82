//! Changing settings: in order for each user, and brought to an end whether somebody still waits for it or not.
//!
//! Whoever asks may go away, or be told after [`PATIENCE`] that the store is unavailable. The change goes on in a task of
//! its own until the store answers: before that no cursor goes past it, and what was changed late is told all the same. If the store
//! gave the change up, so that nobody knows whether it was made, it is told how the settings are as soon as they can be read.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use shared::{Settings, SettingsChange, UserId};
use tokio::sync::{Mutex, oneshot};
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::clock::now;
use crate::delivery::DeliveryWatermark;
use crate::storage::{StoreError, UserStore};
use crate::supervisor::Supervisor;

/// How long a change is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long what another process has changed waits for changes of this one.
const TURN: Duration = Duration::from_secs(2);

/// Pause before the store is asked again how settings are that it may have changed.
const PAUSE: Duration = Duration::from_secs(1);

/// Changes that go on at once. Each user always has the same turn, so that of two changes the later one stays.
const TURNS: usize = 64;

/// What the log says of a change whose task panicked, or was cut off by a stop.
const BROKEN_OFF: &str = "a change of settings was broken off";

/// Changes settings one after the other.
pub struct SettingsChanges {
    store: Arc<dyn UserStore>,
    delivery_watermark: Arc<DeliveryWatermark>,
    parts: Supervisor,
    hasher: RandomState,
    /// Held by a change from before it is written until the store has answered.
    turns: Vec<Arc<Mutex<()>>>,
}

impl SettingsChanges {
    /// Changes nothing yet; `parts` runs the tasks.
    pub fn new(store: Arc<dyn UserStore>, delivery_watermark: Arc<DeliveryWatermark>, parts: &Supervisor) -> Self {
        Self {
            store,
            delivery_watermark,
            parts: parts.clone(),
            hasher: RandomState::new(),
            turns: (0..TURNS).map(|_| Arc::default()).collect(),
        }
    }

    /// Changes a user's settings and returns them as they are then; `None` if there is no such user. `told` is called
    /// with them before anything later is told, and with whether whoever asked is answered with them, and so need not be told.
    /// `admitted` is held until all that is done.
    ///
    /// # Errors
    /// The store failed, or did not answer in time; in the latter case the change may be made later.
    pub async fn change(
        &self,
        user: UserId,
        change: SettingsChange,
        admitted: TaskTrackerToken,
        told: impl Fn(&Settings, bool) + Send + 'static,
    ) -> Result<Option<Settings>, StoreError> {
        let (mut answer, answered) = oneshot::channel();
        let turn = self.turn(user);
        let (store, delivery_watermark) = (Arc::clone(&self.store), Arc::clone(&self.delivery_watermark));
        let stopping = self.parts.stopping().clone();
        self.parts.request("settings".to_owned(), async move {
            let _admitted = admitted;
            let turn = tokio::select! {
                turn = turn.lock_owned() => turn,
                // Nobody waits any more, and nothing has been written.
                () = answer.closed() => return,
            };
            let in_flight = delivery_watermark.begin();
            let changed = store.change_settings(user, change, now()).await;
            let (is_unknown, waits) = (matches!(changed, Err(StoreError::Unavailable(_))), !answer.is_closed());
            if let Ok(Some(settings)) = &changed {
                told(settings, waits);
            }
            if let Err(Ok(Some(settings))) = answer.send(changed)
                && waits
            {
                // Whoever asked has stopped waiting in this moment.
                told(&settings, false);
            }
            if is_unknown && let Some(settings) = stopping.run_until_cancelled(read(&*store, user)).await {
                told(&settings, false);
            }
            drop((in_flight, turn));
        });
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(changed)) => changed,
            Ok(Err(_)) if self.parts.stopping().is_cancelled() => Err(StoreError::Unavailable(BROKEN_OFF.to_owned())),
            Ok(Err(_)) => Err(StoreError::Failed(BROKEN_OFF.to_owned())),
            Err(_) => Err(StoreError::no_answer_within(PATIENCE)),
        }
    }

    /// The settings of a user as they are now, given to `told` while no change of this process is under way: so what is told
    /// last is what holds. False if changes of this process did not end soon; then nothing was told.
    ///
    /// # Errors
    /// The store failed.
    pub async fn tell(&self, user: UserId, told: impl FnOnce(&Settings)) -> Result<bool, StoreError> {
        let turn = self.turn(user);
        let Ok(_turn) = tokio::time::timeout(TURN, turn.lock()).await else {
            return Ok(false);
        };
        let settings = self.store.settings(&[user]).await?;
        told(&settings.first().copied().unwrap_or_default());
        Ok(true)
    }

    fn turn(&self, user: UserId) -> Arc<Mutex<()>> {
        Arc::clone(&self.turns[self.hasher.hash_one(user) as usize % TURNS])
    }
}

/// The settings of a user, as soon as they can be read.
async fn read(store: &dyn UserStore, user: UserId) -> Settings {
    loop {
        if let Ok(settings) = store.settings(&[user]).await {
            return settings.first().copied().unwrap_or_default();
        }
        tokio::time::sleep(PAUSE).await;
    }
}
