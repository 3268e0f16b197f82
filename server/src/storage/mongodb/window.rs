//! Why nobody who goes on from a cursor misses a change: the argument about time, and the rules that keep it.
//!
//! A feed is ordered by `updatedAt`, which is given before a change is committed, by clocks that do not agree. So a
//! change can become visible in front of one that was visible before. What is assumed:
//!
//! 1. The clocks of all programs that write or read here differ by less than [`HALF`].
//! 2. A program beside this one (Mongoose) commits within [`HALF`] of the `updatedAt` that it gives, and gives its
//!    messages ids whose time is that of `createdAt`, as every driver does.
//!
//! What is kept, by every write of this engine: *nobody is told that a change is committed later than [`HALF`] after
//! its `updatedAt`.* A change whose commit took longer, whatever the reason (a failover, a paused process, a stalled
//! network), is given a new `updatedAt` by a durable write, and only then acknowledged; if that took too long as well, again.
//! A message found already stored when it is sent again may have landed unheard, so it is under the same rule.
//!
//! It follows that at the time `t` of a reader every change with `updatedAt <= t - WINDOW` that anybody was ever told
//! of, or will be, can be seen: it was visible at `updatedAt + HALF` by its writer's clock, which is before
//! `updatedAt + WINDOW` by the reader's. Such changes are *settled*. Feeds are read at read concern `majority`, so what was
//! seen stays. [`pages`](super::pages) draws the cursors from this, [`follower`](super::change_poller) what is told live.
//!
//! A message whose commit was never acknowledged to anybody may become visible at any time, and is then in history, but not
//! necessarily in every feed. Documents without `updatedAt`, which old databases can hold, are in no feed.

use bson::{Document, doc};
use shared::Timestamp;

use super::document::date;

pub use crate::clock::Clock;

/// How far behind the present a feed is settled, in milliseconds.
pub(super) const WINDOW: i64 = 60_000;
/// How far behind the present cursors stay for that.
pub(super) fn of_cursors() -> i64 {
    fail::fail_point!("mongodb::window", |_| 0);
    WINDOW
}

/// How old an `updatedAt` may be when its change is acknowledged, in milliseconds.
pub(super) const HALF: i64 = WINDOW / 2;
/// How old a change may be when it is acknowledged, in milliseconds, so that other nodes come across it where they look every
/// second: [`follower`](super::change_poller) looks somewhat further back, and then only when all is settled.
pub(super) const HEARD: i64 = 3_000;
/// How old an `updatedAt` may be when its commit begins, in milliseconds.
const QUEUED: i64 = 15_000;

/// The `updatedAt` of a change of the moment `at` whose commit begins `now`: later if it has waited in a queue.
///
/// And not later than now by more than clocks may differ. A message's `createdAt` can lie far ahead, after a clock that was
/// ahead was set right; with such an `updatedAt` it would not be settled until then, and every catching up would bring it
/// again.
pub(super) fn stamp(at: Timestamp, now: Timestamp) -> Timestamp {
    match age(at, now) > QUEUED || is_ahead(at, now) {
        true => now,
        false => at,
    }
}

/// The `updatedAt` of a document that is changed again and again, as an expression: `at`, or one later than that of the change
/// before, which a clock that is ahead can have given. So no two changes have the same, and whoever has heard of one hears
/// of the next, too.
pub(super) fn next(at: Timestamp) -> Document {
    doc! { "$max": [{ "$add": ["$updatedAt", 1] }, date(at)] }
}

/// Whether a time lies further in the future than clocks may differ.
pub(super) fn is_ahead(at: Timestamp, now: Timestamp) -> bool {
    age(at, now) < -HALF
}

/// Whether a change of this `updatedAt` must not be acknowledged `now`.
pub(super) fn is_late(updated_at: Timestamp, now: Timestamp) -> bool {
    age(updated_at, now) > HALF
}

/// Whether other nodes may have passed over a change of this time that is acknowledged `now`.
pub(super) fn is_passed_over(at: Timestamp, now: Timestamp) -> bool {
    age(at, now) > HEARD
}

fn age(at: Timestamp, now: Timestamp) -> i64 {
    now.millis().saturating_sub(at.millis())
}
