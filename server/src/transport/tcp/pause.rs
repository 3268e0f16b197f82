//! Time in which nothing is read of a session, because its user is refused so often that this costs others.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::registry::Registry;

/// Until when, in milliseconds since the registry began; 0 if there was no pause.
#[derive(Default)]
pub(super) struct Pause(AtomicU64);

impl Pause {
    /// Lasts for so long from now on, or as long as before.
    pub(super) fn begin(&self, time: Duration, registry: &Registry) {
        let time = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        // Who never had a pause asks for no time.
        if time == 0 {
            return;
        }
        let until = now(registry).saturating_add(time);
        self.0.fetch_max(until, Ordering::Relaxed);
    }

    /// How long it lasts from now on; `None` if it is over.
    pub(super) fn left(&self, registry: &Registry) -> Option<Duration> {
        let until = self.0.load(Ordering::Relaxed);
        if until == 0 {
            return None;
        }
        let left = until.saturating_sub(now(registry));
        (left > 0).then(|| Duration::from_millis(left))
    }
}

fn now(registry: &Registry) -> u64 {
    registry.uptime.now() / 1_000_000
}
