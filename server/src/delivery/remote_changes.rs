//! Telling those who are connected here of what other programs commit to the same database.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use shared::{Settings, UserId, events};
use socketioxide::socket::Sid;
use tokio_util::sync::CancellationToken;

use super::Dispatcher;
use crate::chat::{SettingsChanges, read_receipts};
use crate::delivery::PresenceSubscriptions;
use crate::domain::{Marker, RemoteChange};
use crate::outage::Outage;
use crate::storage::{Store, StoreError};
use crate::transport::socketio::emit::Way;

/// Pause before the store is asked again after it failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Users whose settings are read at a time.
const SETTINGS: usize = 16;

/// What is needed to tell them.
pub struct Hearer {
    /// Where other programs write.
    pub store: Arc<dyn Store>,
    /// The way to those who are connected here.
    pub dispatcher: Dispatcher,
    /// Whose settings are being changed here.
    pub settings: Arc<SettingsChanges>,
    /// Who follows whose presence, which settings can hide.
    pub watch: Arc<PresenceSubscriptions<Sid, Way>>,
}

/// Those changes of a batch that are told with the help of the store.
#[derive(Default)]
struct Rest {
    markers: Vec<Marker>,
    settings: BTreeSet<UserId>,
}

impl Hearer {
    /// Tells until `stop` is cancelled. Each batch is told to its end before the next is asked for, because the store takes
    /// that for the sign that it was told.
    pub async fn hear(self, stop: CancellationToken) {
        let mut foreign = self.store.remote_changes();
        let mut outage = Outage::default();
        loop {
            let changes = tokio::select! {
                () = stop.cancelled() => return,
                changes = foreign.next() => changes,
            };
            let Some(changes) = changes else { return };
            let mut rest = Rest::default();
            for change in changes {
                match change {
                    RemoteChange::Message(message) => self.dispatcher.foreign_message(&message),
                    RemoteChange::Marker(marker) => rest.markers.push(marker),
                    RemoteChange::Settings(user) => {
                        rest.settings.insert(user);
                    }
                }
            }
            while let Err(error) = self.tell(&rest).await {
                if outage.failed() {
                    tracing::warn!(%error, "receipts or settings of another process could not be told; it will be tried again");
                }
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(PAUSE) => {}
                }
            }
            if let Some(ended) = outage.worked() {
                tracing::info!(lasted = ?ended.lasted, "receipts and settings of other processes are told again");
            }
        }
    }

    async fn tell(&self, rest: &Rest) -> Result<(), StoreError> {
        tell_markers(&*self.store, &self.dispatcher, &rest.markers).await?;
        stream::iter(rest.settings.iter().copied().collect::<Vec<_>>())
            .map(|user| self.tell_settings(user))
            .buffer_unordered(SETTINGS)
            .try_collect()
            .await
    }

    /// Tells a user's connections of the settings, and those who follow the user what they may see now.
    async fn tell_settings(&self, user: UserId) -> Result<(), StoreError> {
        self.watch.look(user);
        if self.dispatcher.directory.has(user) {
            let tell = |settings: &Settings| self.dispatcher.tell(user, events::SETTINGS_UPDATED, settings, None);
            if !self.settings.tell(user, tell).await? {
                // Nobody else is to wait for a user who changes settings all the time.
                self.dispatcher.hang_up_all(user);
            }
        }
        Ok(())
    }
}

/// Tells the peers of the receipts, and both that their conversation changed.
async fn tell_markers(store: &dyn Store, dispatcher: &Dispatcher, markers: &[Marker]) -> Result<(), StoreError> {
    let is_here = |user| dispatcher.directory.has(user);
    // Only they are told, so only for them the store is asked.
    let heard: Vec<Marker> = markers.iter().filter(|marker| is_here(marker.peer)).copied().collect();
    let pairs: Vec<(UserId, UserId)> = heard.iter().map(|marker| (marker.user, marker.peer)).collect();
    for (marker, shown) in heard.iter().zip(read_receipts(store, &pairs).await?) {
        // Which of the two has moved is not known.
        dispatcher.receipts(marker, true, shown);
    }
    let both = markers
        .iter()
        .filter(|marker| is_here(marker.user) || is_here(marker.peer));
    both.for_each(|marker| dispatcher.foreign_marker(marker));
    Ok(())
}
