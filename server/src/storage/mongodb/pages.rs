//! From a cursor to the place where a page begins, and from the end of a page to the next cursor.
//!
//! A cursor's `point` P means: *every change with `updatedAt <= P` that concerns the user was given.* It is drawn
//! from what [`window`] shows: a read at time `t` sees all that is settled, up to its delivery_watermark
//! `H = t - WINDOW`. A run of pages goes from one place to the next; a place is `(updatedAt, kind, key)`.
//!
//! - A page that ends at a place E with `E.at <= H`, and before which all was settled, gave everything up to E for good. Its
//!   cursor has the point `E.at - 1`, and E as its page: that is how a *settled* page is recognised, and it can be
//!   continued exactly, at any time.
//! - The first page that ends beyond its delivery_watermark gave everything up to H for good, and beyond it what could be seen then.
//!   Its cursor has the point H, not larger than `E.at - 2`, and E as its page. The pages that follow keep that point, however
//!   much time passes, because what becomes visible behind the reader's back lies behind the point.
//! - The last page of a run ends at nothing, so it gave everything up to its own H; but a run that has passed a delivery_watermark before
//!   ends with the point that it kept. What lies behind the point comes again in the next run.
//! - A run that comes to its end more than [`GRACE`] after it has passed its delivery_watermark says that there is more: the next one, from
//!   the point. So whoever is told that there is no more has all that could be seen when that last run passed its delivery_watermark.
//! - A run that passed its delivery_watermark more than [`ABANDONED`] ago is not continued but begins again at its point: by now
//!   most of that is settled, so it comes further this time.
//!
//! So no change is passed over from cursor to cursor. A client that hears changes live since some moment, and then comes
//! to the end of a run, has everything as long as the run passed its delivery_watermark after that moment. A connection therefore
//! begins the run of an earlier one again, at its point: a cursor without its page is always allowed.

use shared::Timestamp;

use super::window::{self, WINDOW};
use crate::domain::{Cursor, PageEnd};

/// How long a run may take that has passed its delivery_watermark, in milliseconds.
const ABANDONED: i64 = 5 * 60_000;

/// How long after it has passed its delivery_watermark a run may end without another one, in milliseconds.
const GRACE: i64 = 10_000;

/// A place in a feed: `updatedAt` in milliseconds, and a kind with a key. Ordered as feeds are.
pub(super) type Place = (i64, Vec<u8>);

/// A run of pages, as it is about to read.
#[derive(Debug)]
pub(super) struct Run {
    /// Everything up to this was given, or will have been when the run has ended.
    point: i64,
    /// Behind which place the page begins; without one, behind everything of the moment `point`.
    pub(super) behind: Option<Place>,
    /// Whether it has passed its delivery_watermark.
    passed: bool,
    /// Whether that was so long ago that another run is needed.
    stale: bool,
    delivery_watermark: i64,
}

impl Run {
    /// Goes on from a cursor at the time `now`, which must be taken before reading.
    pub(super) fn resume(since: &Cursor, now: Timestamp) -> Self {
        let delivery_watermark = now.millis().saturating_sub(window::of_cursors());
        let mut run = Self {
            point: since.point,
            behind: None,
            passed: false,
            stale: false,
            delivery_watermark,
        };
        let Some(page) = &since.page else { return run };
        let settled = page.at.millis() == since.point.saturating_add(1);
        let passed_at = since.point.saturating_add(WINDOW);
        let age = now.millis().saturating_sub(passed_at);
        let abandoned = age > ABANDONED;
        if page.at.millis() > since.point && (settled || !abandoned) {
            run.behind = Some((page.at.millis(), page.key.clone()));
            run.passed = !settled;
            run.stale = !settled && age > GRACE;
        }
        run
    }

    /// Whether there is another run to be made when this one has come to its end.
    pub(super) fn is_stale(&self) -> bool {
        self.stale
    }

    /// The first moment of which the page holds something.
    pub(super) fn first_moment(&self) -> i64 {
        match &self.behind {
            Some((at, _)) => *at,
            None => self.point.saturating_add(1),
        }
    }

    /// The point and page of the cursor behind what was read: `last` is where a page ended behind which there is more.
    pub(super) fn next(self, last: Option<Place>) -> (i64, Option<PageEnd>) {
        let Some((at, key)) = last else {
            let point = match self.passed {
                true => self.point,
                false => self.point.max(self.delivery_watermark),
            };
            return (point, None);
        };
        let point = if self.passed {
            self.point
        } else if at <= self.delivery_watermark {
            at.saturating_sub(1)
        } else {
            // Not the point that would say that the page is settled; a smaller one is always true.
            self.point.max(self.delivery_watermark).min(at.saturating_sub(2))
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
        place: Place,
        visible: i64,
    }

    fn read(changes: &[Change], since: &Cursor, now: i64, skew: i64, limit: usize) -> (Vec<Place>, Cursor, bool) {
        let run = Run::resume(since, Timestamp::from_millis(now + skew));
        let is_behind = |place: &Place| match &run.behind {
            Some(behind) => place > behind,
            None => place.0 > run.point,
        };
        let seen = changes.iter().filter(|change| change.visible <= now);
        let mut page: Vec<Place> = seen.map(|change| change.place.clone()).filter(is_behind).collect();
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
            assert_eq!(missed(seed, super::super::window::HALF), 0, "seed {seed}");
        }
        // The same play finds what is wrong if commits take longer than is assumed.
        assert!((0..20).any(|seed| missed(seed, 2 * WINDOW) > 0));
    }
}
