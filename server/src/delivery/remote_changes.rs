//! Sending those who are connected here what other programs commit to the same database.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use shared::{Settings, UserId};
use tokio_util::sync::CancellationToken;

use super::dispatcher::Dispatcher;
use super::presence_subscriptions::PresenceSubscriptions;
use super::privacy::read_receipts;
use super::settings_order::SettingsOrder;
use crate::domain::{Marker, RemoteChange};
use crate::outage::Outage;
use crate::storage::{Store, StoreError};

/// Time before the store is queried again after it failed.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Users whose settings are read at a time.
const MAX_CONCURRENT_SETTINGS: usize = 16;

/// Passes on what other programs commit.
pub struct RemoteChangeListener {
    /// Where other programs write.
    pub store: Arc<dyn Store>,
    /// The way to those who are connected here.
    pub dispatcher: Dispatcher,
    /// Whose settings are being changed here.
    pub settings_order: Arc<SettingsOrder>,
    /// Who follows whose presence, which settings can hide.
    pub presence_subscriptions: Arc<PresenceSubscriptions>,
}

/// Those changes of a batch for which the store is queried before they are sent.
#[derive(Default)]
struct Rest {
    markers: Vec<Marker>,
    settings: BTreeSet<UserId>,
}

impl RemoteChangeListener {
    /// Sends changes until `stop` is cancelled. Each batch is sent to its end before the next is requested, because the store takes
    /// that request for the sign that all of it was sent.
    pub async fn run(self, stop: CancellationToken) {
        let mut remote = self.store.remote_changes();
        let mut outage = Outage::default();
        loop {
            let changes = tokio::select! {
                () = stop.cancelled() => return,
                changes = remote.next() => changes,
            };
            let Some(changes) = changes else { return };
            let mut rest = Rest::default();
            for change in changes {
                match change {
                    RemoteChange::Message(message) => self.dispatcher.remote_message(&message),
                    RemoteChange::Marker(marker) => rest.markers.push(marker),
                    RemoteChange::Settings(user) => {
                        rest.settings.insert(user);
                    }
                }
            }
            while let Err(error) = self.send_rest(&rest).await {
                if outage.failed() {
                    tracing::warn!(%error, "remote changes: receipts or settings could not be sent; it will be tried again");
                }
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(RETRY_DELAY) => {}
                }
            }
            if let Some(ended) = outage.worked() {
                tracing::info!(lasted = ?ended.lasted, "remote changes: receipts and settings are sent again");
            }
        }
    }

    async fn send_rest(&self, rest: &Rest) -> Result<(), StoreError> {
        send_markers(&*self.store, &self.dispatcher, &rest.markers).await?;
        stream::iter(rest.settings.iter().copied().collect::<Vec<_>>())
            .map(|user| self.send_settings(user))
            .buffer_unordered(MAX_CONCURRENT_SETTINGS)
            .try_collect()
            .await
    }

    /// Sends a user's connections the settings, and those who follow the user what they may see now.
    async fn send_settings(&self, user: UserId) -> Result<(), StoreError> {
        self.presence_subscriptions.recheck(user);
        if self.dispatcher.connections.has(user) {
            let send = |settings: &Settings| self.dispatcher.settings(user, settings, None);
            if !self.settings_order.notify(&*self.store, user, send).await? {
                // Others are not to wait for a user who changes settings all the time.
                self.dispatcher.end_all(user);
            }
        }
        Ok(())
    }
}

/// Sends the peers the receipts, and both that their conversation changed.
async fn send_markers(store: &dyn Store, dispatcher: &Dispatcher, markers: &[Marker]) -> Result<(), StoreError> {
    let is_here = |user| dispatcher.connections.has(user);
    // Only peers who are here are sent receipts, so only for them the store is queried.
    let received: Vec<Marker> = markers.iter().filter(|marker| is_here(marker.peer)).copied().collect();
    let pairs: Vec<(UserId, UserId)> = received.iter().map(|marker| (marker.user, marker.peer)).collect();
    for (marker, shown) in received.iter().zip(read_receipts(store, &pairs).await?) {
        // Which of the two has moved is not known.
        dispatcher.receipts(marker, true, shown);
    }
    let both = markers
        .iter()
        .filter(|marker| is_here(marker.user) || is_here(marker.peer));
    both.for_each(|marker| dispatcher.remote_marker(marker));
    Ok(())
}
