//! Up to where everything that this process committed has been told to everybody it concerns.
//!
//! Several tasks commit and deliver side by side, so that a change can be on its way while a later one is already
//! told. A cursor that goes out with the later one must not lie behind the earlier: whoever resumed from it would
//! never hear of that. So each task takes a [`InFlightGuard`] before it commits and gives it back when it has delivered; the
//! delivery_watermark is in front of whatever was committed under a in_flight that is still out.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::sync::Mutex;
use crate::domain::Cursor;
use crate::storage::FeedStore;

/// The tickets of one server.
pub struct DeliveryWatermark {
    store: Arc<dyn FeedStore>,
    /// How many tickets began at which committed_position. Held to look at the store's committed_position, to count one up or down.
    out: Mutex<BTreeMap<i64, usize>>,
}

/// Held from before a commit until all that it committed is delivered.
pub struct InFlightGuard {
    delivery_watermark: Arc<DeliveryWatermark>,
    began: i64,
}

impl DeliveryWatermark {
    /// The delivery_watermark of a store's changes.
    pub fn new(store: Arc<dyn FeedStore>) -> Arc<Self> {
        Arc::new(Self {
            store,
            out: Mutex::default(),
        })
    }

    /// Takes a in_flight.
    pub fn begin(self: &Arc<Self>) -> InFlightGuard {
        let mut out = self.out.lock();
        let began = self.store.committed_position();
        *out.entry(began).or_default() += 1;
        InFlightGuard {
            delivery_watermark: Arc::clone(self),
            began,
        }
    }

    /// The cursor of a connection that caught up once and has heard all that was told to it since.
    pub fn cursor(&self) -> Cursor {
        let out = self.out.lock();
        let committed_position = self.store.committed_position();
        fail::fail_point!("delivery::watermark", |_| self.store.cursor(committed_position));
        let told = out
            .keys()
            .next()
            .map_or(committed_position, |first| committed_position.min(*first));
        drop(out);
        self.store.cursor(told)
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        let mut out = self.delivery_watermark.out.lock();
        if let Some(count) = out.get_mut(&self.began) {
            *count -= 1;
            if *count == 0 {
                out.remove(&self.began);
            }
        }
    }
}
