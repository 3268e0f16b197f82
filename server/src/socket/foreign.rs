//! Telling those who are connected here of what other programs commit to the same database.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use shared::UserId;
use tokio_util::sync::CancellationToken;

use super::outlet::Outlet;
use crate::chat::{inbox, read_receipts};
use crate::outage::Outage;
use crate::store::{Change, Marker, Store, StoreError};

/// Pause before the store is asked again after it failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Conversations that are read at once.
const CONVERSATIONS: usize = 128;

/// Tells until `stop` is cancelled. Each batch is told to its end before the next is asked for, because the store takes
/// that for the sign that it was told.
pub async fn hear(store: Arc<dyn Store>, stop: CancellationToken, outlet: Outlet) {
    let mut foreign = store.foreign();
    let mut outage = Outage::default();
    loop {
        let changes = tokio::select! {
            () = stop.cancelled() => return,
            changes = foreign.next() => changes,
        };
        let Some(changes) = changes else { return };
        let mut markers = Vec::new();
        for change in changes {
            match change {
                Change::Message(message) => outlet.foreign_message(&message),
                Change::Marker(marker) => markers.push(marker),
                Change::Settings(_) => {}
            }
        }
        while let Err(error) = tell_markers(&*store, &outlet, &markers).await {
            if outage.failed() {
                tracing::warn!(%error, "receipts of another process could not be told; it will be tried again");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
        if let Some(ended) = outage.worked() {
            tracing::info!(lasted = ?ended.lasted, "receipts of other processes are told again");
        }
    }
}

/// Tells the peers of the receipts, and both how their conversation stands.
async fn tell_markers(store: &dyn Store, outlet: &Outlet, markers: &[Marker]) -> Result<(), StoreError> {
    let heard: Vec<Marker> = markers
        .iter()
        .filter(|marker| outlet.directory.has(marker.peer))
        .copied()
        .collect();
    let pairs: Vec<(UserId, UserId)> = heard.iter().map(|marker| (marker.user, marker.peer)).collect();
    for (marker, shown) in heard.iter().zip(read_receipts(store, &pairs).await?) {
        outlet.receipts(marker, shown && marker.read.is_some());
    }
    let both = markers
        .iter()
        .flat_map(|marker| [(marker.user, marker.peer), (marker.peer, marker.user)]);
    let here: BTreeSet<(UserId, UserId)> = both.filter(|(viewer, _)| outlet.directory.has(*viewer)).collect();
    let here: Vec<(UserId, UserId)> = here.into_iter().collect();
    for here in here.chunks(CONVERSATIONS) {
        for ((viewer, _), conversation) in here.iter().zip(inbox::conversations(store, here).await?) {
            outlet.updated(*viewer, &conversation);
        }
    }
    Ok(())
}
