//! Who is typing to whom: passed on, never stored, and over by itself.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use shared::{UserId, limits};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::timer::sleep_until;

/// Who types, to whom.
type Key = (UserId, UserId);

/// What receivers were sent, until it expires.
#[derive(Default)]
pub struct TypingTracker {
    /// Held to change one entry, or to take what has expired.
    table: Mutex<Table>,
    changed: Notify,
}

/// Senders are limited in rate, which bounds both.
#[derive(Default)]
struct Table {
    until: HashMap<Key, Instant>,
    /// Each time that was ever in `until`, in order. One that is there no more was said again, or taken back.
    times: VecDeque<(Instant, Key)>,
}

impl TypingTracker {
    /// A user begins, goes on or stops typing. Returns whether the receiver is to be sent that.
    pub fn set(&self, typist: UserId, receiver: UserId, is_typing: bool) -> bool {
        let key = (typist, receiver);
        let mut table = self.table.lock();
        if !is_typing {
            return table.until.remove(&key).is_some();
        }
        let until = Instant::now() + limits::TYPING_TIMEOUT;
        table.until.insert(key, until);
        table.times.push_back((until, key));
        let first = table.times.len() == 1;
        drop(table);
        if first {
            self.changed.notify_one();
        }
        true
    }

    /// Calls `expired` for each that has expired, with who typed and to whom, until `stop` is cancelled.
    pub async fn run(self: Arc<Self>, stop: CancellationToken, expired: impl Fn(UserId, UserId) + Send) {
        loop {
            let (over, next) = self.take_expired(Instant::now());
            for (typist, receiver) in over {
                expired(typist, receiver);
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.changed.notified() => {}
                () = sleep_until(next) => {}
            }
        }
    }

    fn take_expired(&self, now: Instant) -> (Vec<Key>, Option<Instant>) {
        let mut table = self.table.lock();
        let mut over = Vec::new();
        while let Some((time, key)) = table.times.front().copied() {
            if time > now {
                return (over, Some(time));
            }
            table.times.pop_front();
            if table.until.get(&key) == Some(&time) {
                table.until.remove(&key);
                over.push(key);
            }
        }
        (over, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn expires_unless_it_is_said_again() {
        let [ada, bob] = [1, 2].map(|byte| UserId::from_bytes([byte; 12]));
        let typing = TypingTracker::default();
        assert!(!typing.set(ada, bob, false), "nobody was sent that she types");
        assert!(typing.set(ada, bob, true));
        tokio::time::advance(limits::TYPING_TIMEOUT / 2).await;
        assert!(typing.set(ada, bob, true));
        tokio::time::advance(limits::TYPING_TIMEOUT / 2).await;
        assert_eq!(typing.take_expired(Instant::now()).0, []);
        tokio::time::advance(limits::TYPING_TIMEOUT / 2).await;
        assert_eq!(typing.take_expired(Instant::now()).0, [(ada, bob)]);
        assert!(typing.set(ada, bob, true) && typing.set(ada, bob, false));
        tokio::time::advance(limits::TYPING_TIMEOUT).await;
        assert_eq!(typing.take_expired(Instant::now()), (vec![], None));
    }
}
