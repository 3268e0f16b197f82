//! Ids and times of new messages.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use shared::{MessageId, Timestamp};

use crate::clock::Clock;

/// Gives out the `(createdAt, _id)` of new messages, each pair greater than the one before, and than all stored ones.
///
/// Messages are listed in the order of that pair, so it must grow even if the clock is set back, while this runs or
/// while it did not, or if many messages come in one millisecond. So `createdAt` never goes back: after a clock that was
/// ahead was set right, messages get the time of the newest one until the clock has passed that.
///
/// The id has the layout of MongoDB's ObjectId: seconds, five bytes that are this process's own, and a counter. Its seconds
/// are the clock's, whatever `createdAt` says: by them stores find what was written lately.
pub struct MessageIdGenerator {
    clock: Clock,
    process: [u8; 5],
    /// Guards the last pair given out; held for a few instructions.
    last: Mutex<Last>,
}

struct Last {
    /// The last `createdAt`, in milliseconds.
    millis: i64,
    /// Seconds and counter of the last id.
    id: (u32, u32),
    /// The greatest seconds of all ids.
    greatest: u32,
    /// The least seconds of the next ids: no id is given twice, though the clock is set back and the counter starts over.
    floor: u32,
    watch: ClockWatch,
}

/// The counter has three bytes in the id.
const COUNTER_END: u32 = 1 << 24;

impl MessageIdGenerator {
    /// A generator with five random bytes of its own. `newest` is the time of the newest stored message. Warns if the clock is
    /// earlier than that.
    #[expect(clippy::disallowed_methods, reason = "the part of an id that tells processes apart")]
    pub fn new(clock: Clock, newest: Option<Timestamp>) -> Self {
        let mut watch = ClockWatch::new(clock());
        let newest = newest.map_or(i64::MIN, Timestamp::millis);
        watch.compare(clock(), newest);
        Self {
            process: rand::random(),
            last: Mutex::new(Last {
                // A message of the same millisecond may have a greater id than any that comes from here.
                millis: newest.saturating_add(1),
                id: (0, 0),
                greatest: 0,
                floor: 0,
                watch,
            }),
            clock,
        }
    }

    /// The next pair. Warns when the clock begins to be wrong.
    pub fn next(&self) -> (Timestamp, MessageId) {
        let now = (self.clock)();
        let mut last = self.last.lock();
        let mut counter = last.id.1 + 1;
        if counter == COUNTER_END {
            // Starting over within one second would break the order of ids, so their time moves on instead.
            counter = 0;
            last.floor = last.greatest.saturating_add(1);
        }
        let seconds = u32::try_from(now.millis().max(0) / 1_000)
            .unwrap_or(u32::MAX)
            .max(last.floor);
        let newest = last.millis;
        last.watch.compare(now, newest);
        if now.millis() > last.millis {
            last.millis = now.millis();
        } else if (seconds, counter) < last.id {
            last.millis += 1;
        }
        last.id = (seconds, counter);
        last.greatest = last.greatest.max(seconds);
        let mut id = [0; 12];
        id[..4].copy_from_slice(&seconds.to_be_bytes());
        id[4..9].copy_from_slice(&self.process);
        id[9..].copy_from_slice(&counter.to_be_bytes()[1..]);
        (Timestamp::from_millis(last.millis), MessageId::from_bytes(id))
    }
}

/// Less than this is not worth a line in the log: a time service corrects as much now and then.
const TOLERANCE: Duration = Duration::from_secs(2);

/// Says when the clock is wrong.
struct ClockWatch {
    /// What the clock said last, and when that was by a clock that can't be set.
    last: (Timestamp, Instant),
    /// Whether the clock is earlier than messages, and that was logged.
    is_late: bool,
}

impl ClockWatch {
    fn new(now: Timestamp) -> Self {
        Self {
            last: (now, Instant::now()),
            is_late: false,
        }
    }

    /// Compares the clock with the greatest `createdAt` so far, and with how much time has passed.
    fn compare(&mut self, now: Timestamp, newest: i64) {
        let (before, at) = std::mem::replace(&mut self.last, (now, Instant::now()));
        let passed = self.last.1.duration_since(at);
        if let Some(jump) = span(before, now)
            .and_then(|span| span.checked_sub(passed))
            .filter(|jump| *jump > TOLERANCE)
        {
            tracing::warn!(
                ?jump, clock = %now,
                "the clock jumped ahead; if it is wrong, messages keep its time after it was set right"
            );
        }
        let newest = Timestamp::from_millis(newest);
        match span(now, newest) {
            Some(lag) if lag > TOLERANCE && !self.is_late => {
                self.is_late = true;
                tracing::warn!(
                    ?lag, clock = %now, %newest,
                    "message ids: the clock is earlier than the newest message; new ones get that one's time until the clock has passed it"
                );
            }
            None if self.is_late => {
                self.is_late = false;
                tracing::info!("the clock has passed the newest message");
            }
            _ => {}
        }
    }
}

/// How much later the second is, if it is.
fn span(from: Timestamp, to: Timestamp) -> Option<Duration> {
    let millis = to.millis().checked_sub(from.millis())?;
    u64::try_from(millis)
        .ok()
        .filter(|millis| *millis > 0)
        .map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    const NOON: i64 = 1_795_428_222_886;
    const DAY: i64 = 86_400_000;

    fn set_clock() -> (Arc<AtomicI64>, Clock) {
        let time = Arc::new(AtomicI64::new(NOON));
        let clock = Arc::clone(&time);
        (
            time,
            Arc::new(move || Timestamp::from_millis(clock.load(Ordering::Relaxed))),
        )
    }

    #[test]
    fn grows_though_the_clock_goes_back_and_the_counter_ends() {
        let (time, clock) = set_clock();
        let ids = MessageIdGenerator::new(clock, None);
        ids.last.lock().id.1 = COUNTER_END - 3;
        let mut last = ids.next();
        let mut seen = std::collections::HashSet::from([last.1]);
        for step in [0, -1, 1, -DAY, 0, 1, DAY, -1, -DAY, 2 * DAY, 3] {
            time.fetch_add(step, Ordering::Relaxed);
            for _ in 0..3 {
                let next = ids.next();
                assert!(next > last, "{last:?} {next:?}");
                assert!(seen.insert(next.1));
                last = next;
            }
        }
    }

    #[test]
    fn goes_on_from_the_newest_message_of_a_clock_that_was_ahead() {
        let (time, clock) = set_clock();
        time.store(NOON + DAY, Ordering::Relaxed);
        let newest = MessageIdGenerator::new(Arc::clone(&clock), None).next();
        time.store(NOON, Ordering::Relaxed);
        let ids = MessageIdGenerator::new(clock, Some(newest.0));
        let next = ids.next();
        assert!(next > newest && next.0 > newest.0, "{newest:?} {next:?}");
        // Its id is of the moment in which it was made.
        assert_eq!(next.1.bytes()[..4], u32::try_from(NOON / 1_000).unwrap().to_be_bytes());
        time.store(NOON + 2 * DAY, Ordering::Relaxed);
        assert_eq!(ids.next().0.millis(), NOON + 2 * DAY);
    }

    #[test]
    fn takes_the_clock_as_it_is_where_nothing_is_stored() {
        let (_, clock) = set_clock();
        assert_eq!(MessageIdGenerator::new(clock, None).next().0.millis(), NOON);
    }
}
