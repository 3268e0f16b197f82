//! Requests of a session that wait for their turn, and their bounds in bytes.
//!
//! Requests that read are answered one after the other, as their client takes the answers: a client that takes none lets all
//! its requests wait. What they take in memory is charged to their user, as what is read of clients and not complete is
//! ([`intake`](super::intake)).

use super::link::Link;
use crate::delivery::budget::OverBudget;

/// A request that waits for its turn, until this is dropped.
pub struct WaitingRequest {
    link: Link,
    bytes: usize,
}

impl WaitingRequest {
    /// Counts a request of a session that takes so many bytes.
    ///
    /// # Errors
    /// If so much may not wait.
    pub fn new(link: &Link, bytes: usize) -> Result<Self, OverBudget> {
        // Dropped, it is taken off again.
        let waiting = Self {
            link: link.clone(),
            bytes,
        };
        waiting
            .change(|waits| waits + bytes)
            .then_some(waiting)
            .ok_or(OverBudget)
    }

    fn change(&self, to: impl FnOnce(usize) -> usize) -> bool {
        let (waits, registry) = self.link.requests();
        let owner = || self.link.user().map(|user| registry.requests.of(user));
        waits.lock().change(to, owner)
    }
}

impl Drop for WaitingRequest {
    fn drop(&mut self) {
        // It is less than before, so it may be.
        self.change(|waits| waits - self.bytes);
    }
}
