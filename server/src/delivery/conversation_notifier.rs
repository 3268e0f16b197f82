//! Telling users how their conversations stand, off the way of a message.
//!
//! A conversation's numbers are read from the store, which costs more than a message does. So they are told at once
//! after the first change of a quiet conversation, and then at most once in [`REST`] while it goes on changing. All of
//! this together takes a small share of the time; the longer something waits, the larger a share ([`share`]).
//!
//! Users take turns, so that somebody with a thousand busy conversations delays nobody else's.
//!
//! A user's other devices learn from this, and from nothing else, that a watermark moved. So until they were told, they
//! are given no cursor that lies behind the mark: [`ConversationNotifier::held`]. Nobody else's cursors are held back.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use shared::{Conversation, UserId};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::chat::inbox;
use crate::domain::Cursor;
use crate::outage::Outage;
use crate::storage::Store;
use table::{Key, Table, Taken};

mod table;

/// How long a conversation that was told is left alone.
const REST: Duration = Duration::from_secs(1);

/// How long one reading of conversations should take: as many are read at once as the store does in that time.
const READING: Duration = Duration::from_millis(50);

/// Conversations read at once. The newest message of each is held: 8 MiB of the longest ones.
const AT_ONCE: std::ops::RangeInclusive<usize> = 16..=512;

/// The longest pause between two readings.
const LONGEST: Duration = Duration::from_millis(500);

/// Conversations that wait or rest, of all users together.
const MOST: usize = 200_000;

/// What one user is told of one reading, in bytes: the rest comes with a later one.
const TOLD: usize = 256 * 1024;

/// How long a conversation waits for a client that has not read what it was sent. Then it is sent all the same, and a
/// client that has no room for it is disconnected.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a conversation is left alone whose user can't be told anything now: others need not wait for that.
const BUSY: Duration = Duration::from_millis(100);

/// Pause after the store failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Whether a user can be told something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hearing {
    /// They have no connection here.
    Nobody,
    /// A connection of theirs has not read what it was sent.
    Busy,
    /// They can.
    Ready,
}

/// The conversations that are to be told.
#[derive(Default)]
pub struct ConversationNotifier {
    /// Held to move one entry, or a batch of them.
    table: Mutex<Table>,
    changed: Notify,
}

impl ConversationNotifier {
    /// A user's conversation with somebody changed. `hold` is given if the user's devices hear of the change in no other
    /// way: a cursor in front of it.
    ///
    /// If more waits than is kept, the user of whom most of it is is returned. The connections of that user are then to be
    /// ended, and after that what waits is to be [forgotten](Self::forget): whoever comes back reads how everything stands.
    #[must_use]
    pub fn note(&self, user: UserId, peer: UserId, hold: Option<Cursor>) -> Option<UserId> {
        let mut table = self.table.lock();
        if table.note(user, peer, hold, Instant::now()) {
            self.changed.notify_one();
        }
        (table.size > MOST).then(|| table.whose_are_most()).flatten()
    }

    /// Forgets what waits of a user whose connections were ended.
    pub fn forget(&self, user: UserId) {
        self.table.lock().forget(user);
    }

    /// The cursor that a user's devices can be given now, if not the one of everybody. To be asked after that one, so
    /// that no change lies in front of it that this does not know of.
    pub fn held(&self, user: UserId) -> Option<Cursor> {
        let table = self.table.lock();
        table.lines.get(&user)?.holds.values().next().cloned()
    }

    /// Tells what changed until `stop` is cancelled. `busy` says whether messages wait to be stored. Nothing is read for
    /// those who do not hear it any more.
    pub async fn keep(
        self: Arc<Self>,
        store: Arc<dyn Store>,
        stop: CancellationToken,
        busy: impl Fn() -> bool + Send,
        hears: impl Fn(UserId) -> Hearing + Send,
        tell: impl Fn(UserId, &Conversation) + Send,
    ) {
        let mut at_once = *AT_ONCE.start();
        let mut outage = Outage::default();
        loop {
            let due = self.table.lock().wake(Instant::now());
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.changed.notified() => {}
                () = super::sleep_until(due) => {}
            }
            loop {
                let begun = Instant::now();
                let taken = self.take(at_once, begun);
                if taken.is_empty() {
                    break;
                }
                let (mut ready, mut stalled, mut unheard) = (Vec::new(), Vec::new(), Vec::new());
                for taken in taken {
                    match hears(taken.key.0) {
                        Hearing::Nobody => unheard.push(taken),
                        Hearing::Busy if begun - taken.since < PATIENCE => stalled.push(taken),
                        Hearing::Busy | Hearing::Ready => ready.push(taken),
                    }
                }
                self.rest(unheard);
                self.put_off(stalled, begun + BUSY);
                let taken = ready;
                let Some(oldest) = taken.iter().map(|taken| taken.since).min() else {
                    continue;
                };
                let keys: Vec<Key> = taken.iter().map(|taken| taken.key).collect();
                let pause = match inbox::conversations(&*store, &keys).await {
                    Ok(conversations) => {
                        let took = begun.elapsed();
                        if let Some(ended) = outage.worked() {
                            tracing::info!(lasted = ?ended.lasted, "conversations are told again");
                        }
                        let (mut told, mut left) = (Vec::new(), Vec::new());
                        let mut bytes: HashMap<UserId, usize> = HashMap::new();
                        for (taken, conversation) in taken.into_iter().zip(&conversations) {
                            let (user, _) = taken.key;
                            let sum = bytes.entry(user).or_default();
                            if *sum > TOLD {
                                left.push(taken);
                                continue;
                            }
                            *sum += inbox::length(conversation);
                            tell(user, conversation);
                            told.push(taken);
                        }
                        self.rest(told);
                        self.put_back(left);
                        at_once = next_size(at_once, keys.len(), took);
                        (took * (share(begun - oldest, busy()) - 1)).min(LONGEST)
                    }
                    Err(error) => {
                        if outage.failed() {
                            tracing::warn!(%error, "conversations could not be told; it will be tried again");
                        }
                        self.put_back(taken);
                        PAUSE
                    }
                };
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(pause) => {}
                }
            }
        }
    }

    fn take(&self, count: usize, now: Instant) -> Vec<Taken> {
        let mut table = self.table.lock();
        table.wake(now);
        table.take(count)
    }

    fn rest(&self, told: Vec<Taken>) {
        let mut table = self.table.lock();
        let until = Instant::now() + REST;
        told.into_iter().for_each(|taken| table.rest(taken, until));
    }

    fn put_off(&self, taken: Vec<Taken>, until: Instant) {
        let mut table = self.table.lock();
        taken.into_iter().for_each(|taken| table.put_off(taken, until));
    }

    fn put_back(&self, taken: Vec<Taken>) {
        let mut table = self.table.lock();
        taken.into_iter().for_each(|taken| table.put_back(taken));
    }
}

/// One part in so many of the time is spent on reading, if something waited so long. What waits for longer than a
/// second and a half is told as fast as the store can; while messages wait to be stored, half of the time is theirs.
fn share(waited: Duration, busy: bool) -> u32 {
    match waited.as_millis() {
        0..1_000 if busy => 20,
        1_000..1_250 if busy => 10,
        1_250..1_500 if busy => 4,
        _ if busy => 2,
        0..500 => 20,
        500..1_000 => 10,
        1_000..1_500 => 4,
        _ => 1,
    }
}

/// How many are read at once after so many took so long.
fn next_size(at_once: usize, read: usize, took: Duration) -> usize {
    let next = match took {
        _ if took > READING => at_once / 2,
        _ if took < READING / 2 && read == at_once => at_once * 2,
        _ => at_once,
    };
    next.clamp(*AT_ONCE.start(), *AT_ONCE.end())
}

#[cfg(test)]
mod tests;
