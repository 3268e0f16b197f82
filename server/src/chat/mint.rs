//! Ids and times of new messages.

use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use shared::{MessageId, Timestamp};

/// The time by this machine's clock.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Gives out the `(createdAt, _id)` of new messages, each pair greater than the one before.
///
/// Messages are listed in the order of that pair, so it must grow even if the clock is set back or many messages
/// come in one millisecond. The id has the layout of MongoDB's ObjectId: seconds, five bytes that are this process's
/// own, and a counter.
pub struct Mint {
    process: [u8; 5],
    /// Guards the last pair given out; held for a few instructions.
    last: Mutex<Last>,
}

struct Last {
    millis: i64,
    counter: u32,
}

/// The counter has three bytes in the id.
const COUNTER_END: u32 = 1 << 24;

impl Mint {
    /// A mint with five random bytes of its own.
    pub fn new() -> Self {
        Self {
            process: rand::random(),
            last: Mutex::new(Last { millis: 0, counter: 0 }),
        }
    }

    /// The next pair, as of `now`.
    pub fn next(&self, now: Timestamp) -> (Timestamp, MessageId) {
        let mut last = self.last.lock();
        last.millis = last.millis.max(now.millis());
        last.counter += 1;
        if last.counter == COUNTER_END {
            // Starting over within one second would break the order of ids, so time moves on instead.
            last.counter = 0;
            last.millis = (last.millis / 1_000 + 1) * 1_000;
        }
        let seconds = u32::try_from(last.millis / 1_000).unwrap_or(u32::MAX);
        let mut id = [0; 12];
        id[..4].copy_from_slice(&seconds.to_be_bytes());
        id[4..9].copy_from_slice(&self.process);
        id[9..].copy_from_slice(&last.counter.to_be_bytes()[1..]);
        (Timestamp::from_millis(last.millis), MessageId::from_bytes(id))
    }
}

impl Default for Mint {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_though_the_clock_goes_back_and_the_counter_ends() {
        let mint = Mint::new();
        mint.last.lock().counter = COUNTER_END - 3;
        let mut last = mint.next(Timestamp::from_millis(1_795_428_222_886));
        for step in 0..6 {
            let next = mint.next(Timestamp::from_millis(1_795_428_222_886 - step));
            assert!(next > last && next.1 > last.1, "{last:?} {next:?}");
            last = next;
        }
    }
}
