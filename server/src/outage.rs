//! What goes wrong again and again for one reason: said once when it begins and once when it ends.
//!
//! The owner of the work logs the lines; here it is only decided whether one is due. Something that fails every other time is said
//! once a minute at most, unless it goes on for a few seconds.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Two lines that say that something begins to fail are at least so far apart, if it fails for a moment only.
const MIN_LOG_INTERVAL: Duration = Duration::from_secs(60);

/// What has failed for so long without once succeeding is said whenever the last line was.
const LASTING_AFTER: Duration = Duration::from_secs(5);

/// Work that fails and succeeds, as its owner sees it.
#[derive(Debug, Default)]
pub struct Outage {
    failing: Option<Failing>,
    /// When it was last said that it begins.
    said: Option<Instant>,
}

#[derive(Debug)]
struct Failing {
    since: Instant,
    failures: u64,
    /// Whether it was said.
    said: bool,
}

/// An outage that was said to have begun, and has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// How often the work failed.
    pub failures: u64,
    /// How long it did.
    pub lasted: Duration,
}

impl Outage {
    /// The work failed. Returns whether that is to be said.
    #[must_use]
    pub fn failed(&mut self) -> bool {
        let now = Instant::now();
        let failing = self.failing.get_or_insert(Failing {
            since: now,
            failures: 0,
            said: false,
        });
        failing.failures += 1;
        let lately = self.said.is_some_and(|said| now - said < MIN_LOG_INTERVAL);
        if failing.said || (lately && now - failing.since < LASTING_AFTER) {
            return false;
        }
        failing.said = true;
        self.said = Some(now);
        true
    }

    /// The work was really done, which is more than that there was nothing to do. Returns what is to be said of an outage that this ends.
    #[must_use]
    pub fn worked(&mut self) -> Option<Ended> {
        let ended = self.failing.take().filter(|failing| failing.said)?;
        Some(Ended {
            failures: ended.failures,
            lasted: ended.since.elapsed(),
        })
    }
}

/// A line that many may want to say for one reason, and that is said once a minute at most.
#[derive(Debug, Default)]
pub struct Seldom {
    /// When it was last said, and how often it was not since. Held to look and count.
    state: Mutex<(Option<Instant>, u64)>,
}

impl Seldom {
    /// One that was never said.
    pub const fn new() -> Self {
        Self {
            state: Mutex::new((None, 0)),
        }
    }

    /// Whether it is to be said now; then, for how many it stands.
    #[must_use]
    pub fn due(&self) -> Option<u64> {
        let now = Instant::now();
        let mut state = self.state.lock();
        let (said, unsaid) = &mut *state;
        *unsaid += 1;
        if said.is_some_and(|said| now - said < MIN_LOG_INTERVAL) {
            return None;
        }
        *said = Some(now);
        Some(std::mem::take(unsaid))
    }
}

/// Lines of few kinds, each said once a minute at most.
#[derive(Debug, Default)]
pub struct SeldomEach(Mutex<BTreeMap<&'static str, Seldom>>);

impl SeldomEach {
    /// Ones that were never said.
    pub const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    /// As [`Seldom::due`], of this kind.
    #[must_use]
    pub fn due(&self, kind: &'static str) -> Option<u64> {
        self.0.lock().entry(kind).or_default().due()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_line_when_it_begins_and_one_when_it_ends() {
        let mut outage = Outage::default();
        assert_eq!(outage.worked(), None);
        let said = (0..500).filter(|_| outage.failed()).count();
        assert_eq!(said, 1);
        tokio::time::advance(MIN_LOG_INTERVAL * 3).await;
        assert!(!outage.failed(), "it was said that it began");
        let ended = Ended {
            failures: 501,
            lasted: MIN_LOG_INTERVAL * 3,
        };
        assert_eq!(outage.worked(), Some(ended));
        assert_eq!(outage.worked(), None);
        assert!(outage.failed(), "another one");
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_and_goes_is_said_once_a_minute() {
        let mut outage = Outage::default();
        let mut lines = 0;
        for _ in 0..120 {
            lines += usize::from(outage.failed());
            tokio::time::advance(Duration::from_secs(1)).await;
            lines += usize::from(outage.worked().is_some());
        }
        assert_eq!(lines, 4);
        // One that goes on is said in the end.
        let said = (0..=MIN_LOG_INTERVAL.as_secs()).filter(|_| outage.failed()).count();
        tokio::time::advance(MIN_LOG_INTERVAL).await;
        assert_eq!(said + usize::from(outage.failed()), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_goes_on_is_said_though_another_was_just_before() {
        let mut outage = Outage::default();
        assert!(outage.failed());
        assert!(outage.worked().is_some());
        let begun = Instant::now();
        let mut lines = 0;
        for second in 0..20 {
            let said = outage.failed();
            assert!(!said || begun.elapsed() == LASTING_AFTER, "said after {second} s");
            lines += usize::from(said);
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(lines, 1);
        let ended = Ended {
            failures: 20,
            lasted: Duration::from_secs(20),
        };
        assert_eq!(outage.worked(), Some(ended));
    }

    #[tokio::test(start_paused = true)]
    async fn what_many_say_is_counted() {
        let seldom = Seldom::new();
        assert_eq!(seldom.due(), Some(1));
        assert!((0..99).all(|_| seldom.due().is_none()));
        tokio::time::advance(MIN_LOG_INTERVAL).await;
        assert_eq!(seldom.due(), Some(100));
    }

    #[tokio::test(start_paused = true)]
    async fn each_kind_is_said_by_itself() {
        let each = SeldomEach::new();
        assert_eq!((each.due("a"), each.due("b")), (Some(1), Some(1)));
        assert_eq!((each.due("a"), each.due("b")), (None, None));
        tokio::time::advance(MIN_LOG_INTERVAL).await;
        assert_eq!((each.due("a"), each.due("b")), (Some(2), Some(2)));
    }
}
