//! The low watermark of delivery: everything that this process committed before it has been sent to everybody it concerns.
//!
//! Several tasks commit and deliver side by side, so a change can be on its way while a later one is already
//! sent. The cursor that goes out with the later one must not be after the earlier one: a client that resumed from it would
//! never receive that. So each task takes an [`InFlightGuard`] before it commits and drops it when it has delivered. The
//! watermark is before whatever was committed under a guard that is still held.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::sync::Mutex;
use crate::domain::Cursor;
use crate::storage::FeedStore;

/// The guards of one server.
pub struct DeliveryWatermark {
    store: Arc<dyn FeedStore>,
    /// Held to read the store's position, or to count a guard.
    in_flight: Mutex<InFlight>,
}

#[derive(Default)]
struct InFlight {
    /// How many guards began at which committed position.
    began: BTreeMap<i64, usize>,
    /// Whether guards are dropped without anything having been delivered.
    is_cut_off: bool,
}

/// Held from before a commit until all that it committed is delivered.
pub struct InFlightGuard {
    watermark: Arc<DeliveryWatermark>,
    began: i64,
}

impl DeliveryWatermark {
    /// The watermark of a store's changes.
    pub fn new(store: Arc<dyn FeedStore>) -> Arc<Self> {
        Arc::new(Self {
            store,
            in_flight: Mutex::default(),
        })
    }

    /// Takes a guard.
    pub fn begin(self: &Arc<Self>) -> InFlightGuard {
        let mut in_flight = self.in_flight.lock();
        let began = self.store.committed_position();
        *in_flight.began.entry(began).or_default() += 1;
        InFlightGuard {
            watermark: Arc::clone(self),
            began,
        }
    }

    /// The cursor of a connection that caught up once and has received all that was sent to it since.
    pub fn cursor(&self) -> Cursor {
        let in_flight = self.in_flight.lock();
        let committed_position = self.store.committed_position();
        fail::fail_point!("delivery::watermark", |_| self.store.cursor(committed_position));
        let delivered = in_flight
            .began
            .keys()
            .next()
            .map_or(committed_position, |first| committed_position.min(*first));
        drop(in_flight);
        self.store.cursor(delivered)
    }

    /// Tasks are about to be cut off: whatever they hold a guard for is not delivered any more, and no cursor passes it.
    pub fn cut_off(&self) {
        self.in_flight.lock().is_cut_off = true;
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        let mut in_flight = self.watermark.in_flight.lock();
        // A task that panics has not delivered either. The server stops then; until it has, cursors stay before what was lost.
        if in_flight.is_cut_off || std::thread::panicking() {
            return;
        }
        if let Some(count) = in_flight.began.get_mut(&self.began) {
            *count -= 1;
            if *count == 0 {
                in_flight.began.remove(&self.began);
            }
        }
    }
}
