//! The places for connections that a server has, some of them for probes alone.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places that are kept for probes when all others are taken.
const RESERVED_PLACES: usize = 64;

/// A connection's place among those the server holds.
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    reserved: bool,
}

impl Place {
    /// Whether it is one of those that are kept for probes.
    pub(super) fn is_reserved(&self) -> bool {
        self.reserved
    }
}

/// The places of a server.
pub(super) struct Places {
    ordinary: Arc<Semaphore>,
    reserved: Arc<Semaphore>,
}

impl Places {
    /// So many, and some more that only probes can use.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            ordinary: Arc::new(Semaphore::new(limit)),
            reserved: Arc::new(Semaphore::new(RESERVED_PLACES)),
        }
    }

    /// A free place, if there is one.
    pub(super) fn acquire(&self) -> Option<Place> {
        let of = |places: &Arc<Semaphore>, reserved| {
            let permit = Arc::clone(places).try_acquire_owned().ok()?;
            Some(Place {
                _permit: permit,
                reserved,
            })
        };
        of(&self.ordinary, false).or_else(|| of(&self.reserved, true))
    }
}
