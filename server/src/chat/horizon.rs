//! Up to where everything that this process committed has been told to everybody it concerns.
//!
//! Several tasks commit and deliver side by side, so that a change can be on its way while a later one is already
//! told. A cursor that goes out with the later one must not lie behind the earlier: whoever resumed from it would
//! never hear of that. So each task takes a [`Ticket`] before it commits and gives it back when it has delivered; the
//! horizon is in front of whatever was committed under a ticket that is still out.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::sync::Mutex;
use crate::domain::Cursor;
use crate::storage::Store;

/// The tickets of one server.
pub struct Horizon {
    store: Arc<dyn Store>,
    /// How many tickets began at which frontier. Held to look at the store's frontier, to count one up or down.
    out: Mutex<BTreeMap<i64, usize>>,
}

/// Held from before a commit until all that it committed is delivered.
pub struct Ticket {
    horizon: Arc<Horizon>,
    began: i64,
}

impl Horizon {
    /// The horizon of a store's changes.
    pub fn new(store: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self {
            store,
            out: Mutex::default(),
        })
    }

    /// Takes a ticket.
    pub fn begin(self: &Arc<Self>) -> Ticket {
        let mut out = self.out.lock();
        let began = self.store.frontier();
        *out.entry(began).or_default() += 1;
        Ticket {
            horizon: Arc::clone(self),
            began,
        }
    }

    /// The cursor of a connection that caught up once and has heard all that was told to it since.
    pub fn cursor(&self) -> Cursor {
        let out = self.out.lock();
        let frontier = self.store.frontier();
        #[cfg(feature = "sabotage")]
        if crate::sabotage::is("no-window") {
            return self.store.cursor(frontier);
        }
        let told = out.keys().next().map_or(frontier, |first| frontier.min(*first));
        drop(out);
        self.store.cursor(told)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut out = self.horizon.out.lock();
        if let Some(count) = out.get_mut(&self.began) {
            *count -= 1;
            if *count == 0 {
                out.remove(&self.began);
            }
        }
    }
}
