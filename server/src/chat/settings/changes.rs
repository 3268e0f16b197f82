//! Changing settings: in order for each user, and brought to an end whether the requester still waits for it or not.
//!
//! The requester may go away, or be answered after [`STORE_TIMEOUT`] that the store is unavailable. The change goes on in a task of
//! its own until the store answers: before that no cursor goes past it, and what was changed late is sent all the same. If the store
//! gave the change up, so that it is not certain whether it was made, the settings are sent as soon as they can be read.

use std::sync::Arc;
use std::time::Duration;

use shared::{Settings, SettingsChange, UserId};
use tokio::sync::oneshot;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::clock::now;
use crate::delivery::{DeliveryWatermark, SettingsOrder};
use crate::storage::{StoreError, UserStore};
use crate::supervisor::Supervisor;

/// How long a requester waits for a change.
const STORE_TIMEOUT: Duration = Duration::from_secs(20);

/// Time before settings that the store may have changed are read again.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// What the log says of a change whose task panicked, or was cut off by a stop.
const BROKEN_OFF: &str = "a change of settings was broken off";

/// Changes settings one after the other.
pub struct SettingsChanges {
    store: Arc<dyn UserStore>,
    watermark: Arc<DeliveryWatermark>,
    parts: Supervisor,
    order: Arc<SettingsOrder>,
}

impl SettingsChanges {
    /// Changes nothing yet; `parts` runs the tasks.
    pub fn new(store: Arc<dyn UserStore>, watermark: Arc<DeliveryWatermark>, parts: &Supervisor) -> Self {
        Self {
            store,
            watermark,
            parts: parts.clone(),
            order: Arc::default(),
        }
    }

    /// In which the changes of one user are made.
    pub fn order(&self) -> &Arc<SettingsOrder> {
        &self.order
    }

    /// Changes a user's settings and returns them as they are then; `None` if there is no such user. `notify` is called
    /// with them before anything later is sent, and with whether the requester is answered with them, and so need not be sent them.
    /// `admitted` is held until all that is done.
    ///
    /// # Errors
    /// The store failed, or did not answer in time; in the latter case the change may be made later.
    pub async fn change(
        &self,
        user: UserId,
        change: SettingsChange,
        admitted: TaskTrackerToken,
        notify: impl Fn(&Settings, bool) + Send + 'static,
    ) -> Result<Option<Settings>, StoreError> {
        let (mut answer, answered) = oneshot::channel();
        let (store, watermark) = (Arc::clone(&self.store), Arc::clone(&self.watermark));
        let order = Arc::clone(&self.order);
        let stopping = self.parts.stopping().clone();
        self.parts.request("settings".to_owned(), async move {
            let _admitted = admitted;
            let lock = tokio::select! {
                lock = order.lock(user) => lock,
                // The requester waits no more, and nothing has been written.
                () = answer.closed() => return,
            };
            let in_flight = watermark.begin();
            let changed = store.change_settings(user, change, now()).await;
            let (is_unknown, waits) = (matches!(changed, Err(StoreError::Unavailable(_))), !answer.is_closed());
            if let Ok(Some(settings)) = &changed {
                notify(settings, waits);
            }
            if let Err(Ok(Some(settings))) = answer.send(changed)
                && waits
            {
                // The requester has stopped waiting in this moment.
                notify(&settings, false);
            }
            if is_unknown && let Some(settings) = stopping.run_until_cancelled(read(&*store, user)).await {
                notify(&settings, false);
            }
            drop((in_flight, lock));
        });
        match tokio::time::timeout(STORE_TIMEOUT, answered).await {
            Ok(Ok(changed)) => changed,
            Ok(Err(_)) if self.parts.stopping().is_cancelled() => Err(StoreError::Unavailable(BROKEN_OFF.to_owned())),
            Ok(Err(_)) => Err(StoreError::Failed(BROKEN_OFF.to_owned())),
            Err(_) => Err(StoreError::no_answer_within(STORE_TIMEOUT)),
        }
    }
}

/// The settings of a user, as soon as they can be read.
async fn read(store: &dyn UserStore, user: UserId) -> Settings {
    loop {
        if let Ok(settings) = store.settings(&[user]).await {
            return settings.first().copied().unwrap_or_default();
        }
        tokio::time::sleep(RETRY_DELAY).await;
    }
}
