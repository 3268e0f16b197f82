//! What is logged, and changing that while the process runs.

use std::sync::OnceLock;

use parking_lot::Mutex;
use shared::Timestamp;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::reload::Handle;

/// Takes another filter. False if logging has ended.
type Reload = Box<dyn Fn(EnvFilter) -> bool + Send + Sync>;

/// The level of this process, once it logs.
static LEVEL: OnceLock<Level> = OnceLock::new();

/// What is logged.
pub struct Level {
    reload: Reload,
    configured: String,
    /// The filter, and until when it holds if it does not stay. Held to read it or to change it, the log included.
    now: Mutex<(String, Option<Timestamp>)>,
}

/// Keeps the way to change the filter, which is now as configured.
pub(super) fn keep<S: 'static>(configured: &str, handle: Handle<EnvFilter, S>) {
    // Logging is started once.
    let _ = LEVEL.set(Level {
        reload: Box::new(move |filter| handle.reload(filter).is_ok()),
        configured: configured.to_owned(),
        now: Mutex::new((configured.to_owned(), None)),
    });
}

/// What is logged; nothing if this process does not log.
pub fn level() -> Option<&'static Level> {
    LEVEL.get()
}

impl Level {
    /// The filter, and until when it holds if it does not stay.
    pub fn now(&self) -> (String, Option<Timestamp>) {
        self.now.lock().clone()
    }

    /// What `LOG_LEVEL` says.
    pub fn configured(&self) -> &str {
        &self.configured
    }

    /// Logs by another filter, which was checked: for good, or until a moment at which [`end`](Self::end) is to be called.
    /// False if logging has ended.
    pub fn set(&self, filter: &str, until: Option<Timestamp>) -> bool {
        let mut now = self.now.lock();
        self.change(&mut now, filter, until)
    }

    /// Goes back to what is configured, if the filter of now holds no longer than to this moment.
    pub fn end(&self, at: Timestamp) {
        let mut now = self.now.lock();
        if now.1.is_some_and(|until| until <= at) {
            self.change(&mut now, &self.configured, None);
        }
    }

    fn change(&self, now: &mut (String, Option<Timestamp>), filter: &str, until: Option<Timestamp>) -> bool {
        let changed = (self.reload)(super::filter(filter));
        if changed {
            *now = (filter.to_owned(), until);
            tracing::warn!(
                filter,
                until = until.map(tracing::field::display),
                "the log level was changed"
            );
        }
        changed
    }
}
