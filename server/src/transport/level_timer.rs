//! The end of the time for which an administrator has other lines logged.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use shared::Timestamp;

use super::socketio::timers::{Moment, Timed, Timers};
use crate::telemetry;

/// Takes the level back when its time is over.
#[derive(Default)]
pub struct LevelTimer {
    /// When that is. Held to set it.
    moment: Mutex<Option<Moment>>,
}

impl LevelTimer {
    /// Sets when it is over, if it ends by itself. What was set before counts no more.
    pub fn set(self: &Arc<Self>, timers: &Timers, until: Option<Timestamp>) {
        let mut moment = self.moment.lock();
        let before = moment.take();
        match until {
            Some(until) => {
                let this: Weak<Self> = Arc::downgrade(self);
                *moment = Some(timers.set(before, until, this));
            }
            None => before.into_iter().for_each(|before| timers.remove(before)),
        }
    }
}

impl Timed for LevelTimer {
    fn is_due(&self, now: Timestamp) {
        if let Some(level) = telemetry::level() {
            level.end(now);
        }
    }
}
