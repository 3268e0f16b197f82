//! From a cursor to the place where a page begins, and from the end of a page to the next cursor.
//!
//! A cursor's `point` P means: *every change with `updatedAt <= P` that concerns the user was given.* It is drawn
//! from what [`window`](super::window) shows: a read at time `t` sees all that is settled, up to its horizon
//! `H = t - WINDOW`. A run of pages goes from one place to the next; a place is `(updatedAt, kind, key)`.
//!
//! - A page that ends at a place E with `E.at <= H`, and before which all was settled, gave everything up to E for good. Its
//!   cursor has the point `E.at - 1`, and E as its page: that is how a *settled* page is recognised, and it can be
//!   continued exactly, at any time.
//! - The first page that ends beyond its horizon gave everything up to H for good, and beyond it what could be seen then.
//!   Its cursor has the point H, not larger than `E.at - 2`, and E as its page. The pages that follow keep that point, however
//!   much time passes, because what becomes visible behind the reader's back lies behind the point.
//! - The last page of a run ends at nothing, so it gave everything up to its own H; but a run that has passed a horizon before
//!   ends with the point that it kept. What lies behind the point comes again in the next run.
//! - A run that passed its horizon more than [`ABANDONED`] ago is not continued but begins again at its point: by now
//!   most of that is settled, so it comes further this time.
//!
//! So no change is passed over from cursor to cursor. A client that hears changes live since some moment, and then comes
//! to the end of a run, has everything as long as the run passed its horizon after that moment; a run of an earlier
//! connection is to be begun again at its point, which is always allowed.

use shared::Timestamp;

use super::window::{self, WINDOW};
use crate::store::{Cursor, PageEnd};

/// How long a run may take that has passed its horizon, in milliseconds.
const ABANDONED: i64 = 5 * 60_000;

/// A place in a feed: `updatedAt` in milliseconds, and a kind with a key. Ordered as feeds are.
pub(super) type Place = (i64, Vec<u8>);

/// A run of pages, as it is about to read.
#[derive(Debug)]
pub(super) struct Run {
    /// Everything up to this was given, or will have been when the run has ended.
    point: i64,
    /// Behind which place the page begins; without one, behind everything of the moment `point`.
    pub(super) behind: Option<Place>,
    /// Whether it has passed its horizon.
    passed: bool,
    horizon: i64,
}

impl Run {
    /// Goes on from a cursor at the time `now`, which must be taken before reading.
    pub(super) fn resume(since: &Cursor, now: Timestamp) -> Self {
        let horizon = now.millis().saturating_sub(window::of_cursors());
        let mut run = Self {
            point: since.point,
            behind: None,
            passed: false,
            horizon,
        };
        let Some(page) = &since.page else { return run };
        let settled = page.at.millis() == since.point.saturating_add(1);
        let began = since.point.saturating_add(WINDOW);
        let abandoned = now.millis().saturating_sub(began) > ABANDONED;
        if page.at.millis() > since.point && (settled || !abandoned) {
            run.behind = Some((page.at.millis(), page.key.clone()));
            run.passed = !settled;
        }
        run
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
                false => self.point.max(self.horizon),
            };
            return (point, None);
        };
        let point = if self.passed {
            self.point
        } else if at <= self.horizon {
            at.saturating_sub(1)
        } else {
            // Not the point that would say that the page is settled; a smaller one is always true.
            self.point.max(self.horizon).min(at.saturating_sub(2))
        };
        let page = PageEnd {
            at: Timestamp::from_millis(at),
            key,
        };
        (point, Some(page))
    }
}
