//! From a cursor to the place where a page begins, and from the end of a page to the next cursor.
//!
//! A feed is read as a *run* of pages, each after the one before. A read at the time `t` sees every change that is *settled*,
//! by the argument of [`window`]: every change up to `H = t - WINDOW`. After `H` it sees what is visible by then.
//!
//! ```text
//!              P                      H                      t
//! -------------|----------------------|----------------------|----> updatedAt
//!  all of this |  settled: each read  |  visible sooner or   |
//!  was given   |  sees all of it      |  later               |
//!              |                      |                      |
//!              |     E                |                      |   1. a settled page ends here
//!              |                      |     E                |   2. the first page of a run that ends after H
//!              |                      |                E     |   3. the pages after it
//!              |                      |                      E   4. the last page: nothing follows
//! ```
//!
//! `P` is a cursor's `point`. It means: *every change with `updatedAt <= P` that concerns the user was given.* `E`, a
//! [`FeedPosition`] `(updatedAt, kind, key)`, is where a page ended; a cursor holds it if more follows.
//!
//! | | where the page ends | the cursor after it | why |
//! |---|---|---|---|
//! | 1 | `E.at <= H`, and all before it was settled | `P = E.at - 1`, `E` | everything up to `E` was given for good. Only a *settled* page has this `P`; the run can be continued exactly, at any time |
//! | 2 | the first one after `H` | `P = H`, but at most `E.at - 2`; `E` | everything up to `H` was given for good, after it what was visible |
//! | 3 | later | the same `P`, `E` | however much time passes: what becomes visible later lies after `P` |
//! | 4 | at the end | `P = H`, or the same `P` if the run has passed an earlier `H` | what lies after `P` comes again in the next run |
//!
//! Two rules bound how long a run may take after it has passed its `H`:
//!
//! - A run that ends more than [`GRACE_PERIOD`] later says that there is more: the next run, from `P`. So a client that is told
//!   that there is no more has everything that was visible when that last run passed its `H`.
//! - A run that is continued more than [`MAX_RUN_AGE`] later begins again at `P`: by now most of what follows is settled, so it
//!   comes further this time.
//!
//! So no change is passed over from cursor to cursor. A client that has received changes live since some moment, and then comes
//! to the end of a run, has everything if the run passed its `H` after that moment. A connection therefore begins the run of an
//! earlier connection again, at its `P`: a cursor without its page is always allowed.

use shared::Timestamp;

use super::window::{self, WINDOW};
use crate::domain::{Cursor, PageEnd};

/// How long after it has passed its `H` a run can be continued, in milliseconds.
const MAX_RUN_AGE: i64 = 5 * 60_000;

/// How long after it has passed its `H` a run may end without another one, in milliseconds.
const GRACE_PERIOD: i64 = 10_000;

/// A position in a feed: `updatedAt` in milliseconds, and a kind with a key. Ordered as feeds are.
pub(super) type FeedPosition = (i64, Vec<u8>);

/// A run of pages, as it is about to read.
#[derive(Debug)]
pub(super) struct Run {
    /// Everything up to this was given, or will have been when the run has ended.
    point: i64,
    /// The page begins after this position; without one, after everything of the moment `point`.
    pub(super) after: Option<FeedPosition>,
    /// Whether it has passed its `H`.
    passed: bool,
    /// Whether that was so long ago that another run is needed.
    stale: bool,
    /// Everything up to here is settled now: `H`.
    settled_until: i64,
}

impl Run {
    /// Continues from a cursor at the time `now`, which must be taken before reading.
    pub(super) fn resume(since: &Cursor, now: Timestamp) -> Self {
        let settled_until = now.millis().saturating_sub(window::cursor_lag());
        let mut run = Self {
            point: since.point,
            after: None,
            passed: false,
            stale: false,
            settled_until,
        };
        let Some(page) = &since.page else { return run };
        let settled = page.at.millis() == since.point.saturating_add(1);
        let passed_at = since.point.saturating_add(WINDOW);
        let age = now.millis().saturating_sub(passed_at);
        let abandoned = age > MAX_RUN_AGE;
        if page.at.millis() > since.point && (settled || !abandoned) {
            run.after = Some((page.at.millis(), page.key.clone()));
            run.passed = !settled;
            run.stale = !settled && age > GRACE_PERIOD;
        }
        run
    }

    /// Whether another run must follow when this one has come to its end.
    pub(super) fn is_stale(&self) -> bool {
        self.stale
    }

    /// The first moment of which the page holds something.
    pub(super) fn first_moment(&self) -> i64 {
        match &self.after {
            Some((at, _)) => *at,
            None => self.point.saturating_add(1),
        }
    }

    /// The point and page of the cursor after what was read: `last` is where the page ended, if more follows.
    pub(super) fn next(self, last: Option<FeedPosition>) -> (i64, Option<PageEnd>) {
        let Some((at, key)) = last else {
            let point = match self.passed {
                true => self.point,
                false => self.point.max(self.settled_until),
            };
            return (point, None);
        };
        let point = if self.passed {
            self.point
        } else if at <= self.settled_until {
            at.saturating_sub(1)
        } else {
            // Not the point that would say that the page is settled; a smaller one is always true.
            self.point.max(self.settled_until).min(at.saturating_sub(2))
        };
        let page = PageEnd {
            at: Timestamp::from_millis(at),
            key,
        };
        (point, Some(page))
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    /// A change, and when it can be seen.
    struct Change {
        place: FeedPosition,
        visible: i64,
    }

    fn read(
        changes: &[Change],
        since: &Cursor,
        now: i64,
        skew: i64,
        limit: usize,
    ) -> (Vec<FeedPosition>, Cursor, bool) {
        let run = Run::resume(since, Timestamp::from_millis(now + skew));
        let follows = |place: &FeedPosition| match &run.after {
            Some(after) => place > after,
            None => place.0 > run.point,
        };
        let seen = changes.iter().filter(|change| change.visible <= now);
        let mut page: Vec<FeedPosition> = seen.map(|change| change.place.clone()).filter(follows).collect();
        page.sort();
        let full = page.len() > limit;
        page.truncate(limit);
        let more = full || run.is_stale();
        let (point, end) = run.next(page.last().filter(|_| full).cloned());
        let next = Cursor {
            point,
            page: end,
            ..since.clone()
        };
        (page, next, more)
    }

    /// Plays many changes against one reader; answers how many that one was never given. `delay` is the longest time from a
    /// change's `updatedAt` until it is visible, by the writer's clock.
    fn missed(seed: u64, delay: i64) -> usize {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut changes: Vec<Change> = Vec::new();
        let mut given = std::collections::HashSet::new();
        let mut now = 1_000_000;
        let mut cursor = Cursor::at([0; 6], now - WINDOW);
        for _ in 0..400 {
            now += match rng.random_ratio(1, 50) {
                true => rng.random_range(0..900_000),
                false => rng.random_range(0..3_000),
            };
            for _ in 0..rng.random_range(0..5) {
                let visible = now + rng.random_range(0..=delay);
                // Coarse times, so that many changes share one.
                let at = (now + rng.random_range(-10_000..=10_000)) / 500 * 500;
                let key = vec![rng.random_range(0..3), rng.random()];
                changes.push(Change {
                    place: (at, key),
                    visible,
                });
            }
            for _ in 0..rng.random_range(0..3) {
                let skew = rng.random_range(-10_000..=10_000);
                let (page, next, _) = read(&changes, &cursor, now, skew, rng.random_range(1..8));
                given.extend(page);
                cursor = next;
            }
        }
        now += 2 * delay;
        loop {
            let (page, next, more) = read(&changes, &cursor, now, 0, 10);
            given.extend(page);
            assert!(next.point >= cursor.point || next.page.is_some());
            cursor = next;
            if !more {
                break;
            }
        }
        changes.iter().filter(|change| !given.contains(&change.place)).count()
    }

    #[test]
    fn nothing_is_passed_over() {
        for seed in 0..40 {
            assert_eq!(missed(seed, super::super::window::HALF_WINDOW), 0, "seed {seed}");
        }
        // The same play finds what is wrong if commits take longer than is assumed.
        assert!((0..20).any(|seed| missed(seed, 2 * WINDOW) > 0));
    }
}
