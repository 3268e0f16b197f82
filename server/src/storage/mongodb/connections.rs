//! The connections that the driver makes, and the primaries that it finds: after each of them the database is verified again.

use std::sync::atomic::{AtomicU64, Ordering};

use mongodb::event::cmap::CmapEvent;
use mongodb::event::sdam::{SdamEvent, TopologyDescription};
use mongodb::options::ServerAddress;
use mongodb::{ServerInfo, ServerType};
use tokio::sync::Notify;

/// Counts connections to servers. The driver counts each before it sends anything on it.
#[derive(Debug, Default)]
pub(super) struct Connections {
    made: AtomicU64,
    /// How often the driver found a primary.
    elections: AtomicU64,
    more: Notify,
}

impl Connections {
    /// How many were made so far.
    pub(super) fn made(&self) -> u64 {
        self.made.load(Ordering::SeqCst)
    }

    /// How often the driver has found a primary so far.
    pub(super) fn elections(&self) -> u64 {
        self.elections.load(Ordering::SeqCst)
    }

    /// Waits until a connection is made, or a primary is found; one that was made since the last call counts.
    pub(super) async fn changed(&self) {
        self.more.notified().await;
    }

    /// Lets [`changed`](Self::changed) return once more.
    pub(super) fn recheck(&self) {
        self.more.notify_one();
    }

    /// Counts a connection that is ready.
    pub(super) fn count(&self, event: &CmapEvent) {
        if let CmapEvent::ConnectionReady(_) = event {
            self.made.fetch_add(1, Ordering::SeqCst);
            self.more.notify_one();
        }
    }

    /// A primary that is another one, or was none before, counts as a new connection: it is to be verified.
    pub(super) fn count_elections(&self, event: &SdamEvent) {
        let SdamEvent::TopologyDescriptionChanged(event) = event else {
            return;
        };
        let now = primary(&event.new_description);
        if now.is_some() && now != primary(&event.previous_description) {
            self.elections.fetch_add(1, Ordering::SeqCst);
            self.made.fetch_add(1, Ordering::SeqCst);
            self.more.notify_one();
        }
    }
}

/// Which member of a replica set takes writes, as the driver sees it.
fn primary(topology: &TopologyDescription) -> Option<ServerAddress> {
    let servers = topology.servers();
    let primary = |(address, server): (&ServerAddress, ServerInfo<'_>)| {
        (server.server_type() == ServerType::RsPrimary).then(|| address.clone())
    };
    servers.into_iter().find_map(primary)
}
