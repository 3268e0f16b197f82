//! Something that is to happen to a connection at a moment of the clock: its token ends, or the connection does.
//!
//! One task for all connections. Each has one moment at most, so the table is no longer than there are connections.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use shared::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;

/// The longest time until the clock is read again: it may be set meanwhile.
const MAX_SLEEP: Duration = Duration::from_secs(1);

/// What happens to a connection at its moment.
pub trait Timed: Send + Sync {
    /// The moment has come, or passed.
    fn is_due(&self, now: Timestamp);
}

/// A moment in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    at: i64,
    number: u64,
}

/// The moments of all connections.
pub struct Timers {
    clock: Clock,
    /// Held to add, remove or take some.
    table: Mutex<Table>,
    changed: Notify,
}

#[derive(Default)]
struct Table {
    moments: BTreeMap<Moment, Weak<dyn Timed>>,
    /// Tells moments of one millisecond apart.
    last: u64,
}

impl Timers {
    /// No moments, by this clock.
    pub fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            clock,
            table: Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// The time by the clock of these moments.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Adds a moment, in the place of `before`. A connection that is dropped before has none.
    pub fn set(&self, before: Option<Moment>, at: Timestamp, timed: Weak<dyn Timed>) -> Moment {
        let mut table = self.table.lock();
        if let Some(before) = before {
            table.moments.remove(&before);
        }
        table.last += 1;
        let moment = Moment {
            at: at.millis(),
            number: table.last,
        };
        table.moments.insert(moment, timed);
        let is_first = table
            .moments
            .first_key_value()
            .is_some_and(|(first, _)| *first == moment);
        drop(table);
        if is_first {
            self.changed.notify_one();
        }
        moment
    }

    /// Removes a moment.
    pub fn remove(&self, moment: Moment) {
        self.table.lock().moments.remove(&moment);
    }

    /// Calls the connections whose moment has come, until `stop` is cancelled.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let now = self.now();
            let (due, next) = self.take_due(now);
            for timed in due {
                timed.is_due(now);
            }
            let sleep = async {
                match next {
                    Some(next) => {
                        let millis = u64::try_from(next.saturating_sub(self.now().millis())).unwrap_or(0);
                        tokio::time::sleep(Duration::from_millis(millis).min(MAX_SLEEP)).await;
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.changed.notified() => {}
                () = sleep => {}
            }
        }
    }

    /// Those whose moment has come, and the next moment after that.
    fn take_due(&self, now: Timestamp) -> (Vec<Arc<dyn Timed>>, Option<i64>) {
        let mut table = self.table.lock();
        let later = table.moments.split_off(&Moment {
            at: now.millis().saturating_add(1),
            number: 0,
        });
        let due = std::mem::replace(&mut table.moments, later);
        let next = table.moments.first_key_value().map(|(first, _)| first.at);
        (due.values().filter_map(Weak::upgrade).collect(), next)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    #[derive(Default)]
    struct Called(AtomicI64);

    impl Timed for Called {
        fn is_due(&self, now: Timestamp) {
            self.0.store(now.millis(), Ordering::Relaxed);
        }
    }

    #[test]
    fn each_is_taken_once_and_in_time() {
        let at = Timestamp::from_millis;
        let timers = Timers::new(Arc::new(move || at(0)));
        let clients: [Arc<Called>; 4] = Default::default();
        let weak = |index: usize| Arc::downgrade(&clients[index]) as Weak<dyn Timed>;
        let first = timers.set(None, at(5), weak(0));
        timers.set(None, at(5), weak(1));
        let third = timers.set(None, at(7), weak(2));
        let gone = Arc::new(Called::default());
        timers.set(None, at(5), Arc::downgrade(&gone) as Weak<dyn Timed>);
        drop(gone);
        assert_eq!(timers.take_due(at(4)).1, Some(5));
        timers.set(Some(first), at(6), weak(0));
        let (due, next) = timers.take_due(at(5));
        assert_eq!((due.len(), next), (1, Some(6)));
        timers.remove(third);
        let (due, next) = timers.take_due(at(9));
        assert_eq!((due.len(), next), (1, None));
    }
}
