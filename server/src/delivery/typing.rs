//! Who is typing to whom: told on, never stored, and over by itself.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use shared::{UserId, limits};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Who types, to whom.
type Key = (UserId, UserId);

/// What somebody was told, until it expires.
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
    /// Notes what somebody says, and returns whether the other one is to be told.
    pub fn note(&self, typist: UserId, receiver: UserId, is_typing: bool) -> bool {
        let key = (typist, receiver);
        let mut table = self.table.lock();
        if !is_typing {
            return table.until.remove(&key).is_some();
        }
        let until = Instant::now() + limits::TYPING;
        table.until.insert(key, until);
        table.times.push_back((until, key));
        let first = table.times.len() == 1;
        drop(table);
        if first {
            self.changed.notify_one();
        }
        true
    }

    /// Tells what has expired until `stop` is cancelled.
    pub async fn keep(self: Arc<Self>, stop: CancellationToken, expired: impl Fn(UserId, UserId) + Send) {
        loop {
            let (over, next) = self.take_expired(Instant::now());
            for (typist, receiver) in over {
                expired(typist, receiver);
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.changed.notified() => {}
                () = super::sleep_until(next) => {}
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
        let typing_tracker = TypingTracker::default();
        assert!(!typing_tracker.note(ada, bob, false), "nobody was told that she types");
        assert!(typing_tracker.note(ada, bob, true));
        tokio::time::advance(limits::TYPING / 2).await;
        assert!(typing_tracker.note(ada, bob, true));
        tokio::time::advance(limits::TYPING / 2).await;
        assert_eq!(typing_tracker.take_expired(Instant::now()).0, []);
        tokio::time::advance(limits::TYPING / 2).await;
        assert_eq!(typing_tracker.take_expired(Instant::now()).0, [(ada, bob)]);
        assert!(typing_tracker.note(ada, bob, true) && typing_tracker.note(ada, bob, false));
        tokio::time::advance(limits::TYPING).await;
        assert_eq!(typing_tracker.take_expired(Instant::now()), (vec![], None));
    }
}
