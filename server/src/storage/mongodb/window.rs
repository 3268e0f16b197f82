//! Why a client that continues from a cursor misses no change: the argument about time, and the rules that keep it.
//!
//! A feed is ordered by `updatedAt`, which is given before a change is committed, by clocks that do not agree. So a
//! change can become visible with an earlier `updatedAt` than one that was visible before. What is assumed:
//!
//! 1. The clocks of all programs that write or read here differ by less than [`HALF_WINDOW`].
//! 2. A program beside this one (Mongoose) commits within [`HALF_WINDOW`] of the `updatedAt` that it gives, and gives its
//!    messages ids whose time is that of `createdAt`, as every driver does.
//!
//! Every write of this engine keeps this rule: *a change is acknowledged at most [`HALF_WINDOW`] after its `updatedAt`.* A change
//! whose commit took longer, whatever the reason (a failover, a paused process, a stalled network), is given a new `updatedAt`
//! by a durable write, and only then acknowledged; if that took too long as well, again. A message that is found already stored
//! when it is sent again may have been stored without an acknowledgement, so it is under the same rule.
//!
//! It follows that a reader at the time `t` can see every change with `updatedAt <= t - WINDOW` that was ever acknowledged, or
//! will be: it was visible at `updatedAt + HALF_WINDOW` by its writer's clock, which is before `updatedAt + WINDOW` by the
//! reader's. Such changes are *settled*. Feeds are read at read concern `majority`, so what was seen stays.
//! [`pages`](super::pages) makes cursors of this, [`change_poller`](super::change_poller) the changes that are delivered live.
//!
//! A message whose commit was never acknowledged may become visible at any time, and is then in history, but not
//! necessarily in every feed. Documents without `updatedAt`, which old databases can hold, are in no feed.

use bson::{Document, doc};
use shared::Timestamp;

use super::document::date;

pub use crate::clock::Clock;

/// A feed is settled up to this long before now, in milliseconds.
pub(super) const WINDOW: i64 = 60_000;
/// Cursors therefore stay this long before now.
pub(super) fn cursor_lag() -> i64 {
    fail::fail_point!("mongodb::window", |_| 0);
    WINDOW
}

/// How old an `updatedAt` may be when its change is acknowledged, in milliseconds.
pub(super) const HALF_WINDOW: i64 = WINDOW / 2;
/// How old a change may be when it is acknowledged, in milliseconds, so that other nodes find it at their next poll:
/// [`change_poller`](super::change_poller) reads the last seconds again and again, and everything else only once it is settled.
pub(super) const MAX_PROMPT_AGE: i64 = 3_000;
/// How old an `updatedAt` may be when its commit begins, in milliseconds.
const MAX_QUEUED_AGE: i64 = 15_000;

/// The `updatedAt` of a change of the moment `at` whose commit begins `now`: later if it has waited in a queue.
///
/// And not later than now by more than clocks may differ. A message's `createdAt` can lie far ahead, after a clock that was
/// ahead was set right; with such an `updatedAt` it would not be settled until then, and every client that catches up
/// would receive it again.
pub(super) fn stamp(at: Timestamp, now: Timestamp) -> Timestamp {
    match age(at, now) > MAX_QUEUED_AGE || is_ahead(at, now) {
        true => now,
        false => at,
    }
}

/// The `updatedAt` of a document that is changed again and again, as an expression: `at`, or one millisecond after that of the
/// change before, which a clock that is ahead can have given. So no two changes have the same `updatedAt`, and a node that has
/// read one reads the next, too.
pub(super) fn next_updated_at(at: Timestamp) -> Document {
    doc! { "$max": [{ "$add": ["$updatedAt", 1] }, date(at)] }
}

/// Whether a time lies further in the future than clocks may differ.
pub(super) fn is_ahead(at: Timestamp, now: Timestamp) -> bool {
    age(at, now) < -HALF_WINDOW
}

/// Whether a change of this `updatedAt` must not be acknowledged `now`.
pub(super) fn is_late(updated_at: Timestamp, now: Timestamp) -> bool {
    age(updated_at, now) > HALF_WINDOW
}

/// Whether other nodes may have missed a change of this time that is acknowledged `now`, until it settles.
pub(super) fn is_passed_over(at: Timestamp, now: Timestamp) -> bool {
    age(at, now) > MAX_PROMPT_AGE
}

fn age(at: Timestamp, now: Timestamp) -> i64 {
    now.millis().saturating_sub(at.millis())
}
