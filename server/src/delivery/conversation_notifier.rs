//! Sending users how their conversations stand, off the way of a message.
//!
//! A conversation's numbers are read from the store, which costs more than a message does. So they are sent at once
//! after the first change of a quiet conversation, and then at most once in [`REST_INTERVAL`] while it goes on changing. All of
//! this together takes a small share of the time; the longer something waits, the larger a share ([`share`]).
//!
//! Users take turns, so that a user with a thousand busy conversations delays nobody else's.
//!
//! A user's other connections learn from this event, and from no other, that a watermark moved. So until it is sent, they
//! are given no cursor after the mark: [`ConversationNotifier::held`]. Nobody else's cursors are held back.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use shared::{Conversation, UserId};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::conversation_view;
use super::timer::sleep_until;
use crate::domain::Cursor;
use crate::outage::Outage;
use crate::storage::Store;
use table::{Key, Table, Taken};

mod table;

/// How long a conversation is left alone after it was sent.
const REST_INTERVAL: Duration = Duration::from_secs(1);

/// How long one read of conversations should take: as many are read at once as the store does in that time.
const READ_TARGET: Duration = Duration::from_millis(50);

/// Conversations read at once. The newest message of each is held: 8 MiB of the longest ones.
const BATCH_SIZES: std::ops::RangeInclusive<usize> = 16..=512;

/// The longest delay between two reads.
const MAX_READ_DELAY: Duration = Duration::from_millis(500);

/// Most conversations that wait or rest, of all users together.
const MAX_CONVERSATIONS: usize = 200_000;

/// Bytes after which one user is sent nothing more of one read: the rest comes with a later one.
const MAX_USER_BYTES: usize = 256 * 1024;

/// How long a conversation waits for a client that has not read what it was sent. Then it is sent all the same, and a
/// client that has no room for it is disconnected.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a conversation is left alone whose user can't be sent anything now: others need not wait for that.
const BUSY_DELAY: Duration = Duration::from_millis(100);

/// Time before the store is read again after it failed.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Whether a user can be sent something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// They have no connection here.
    Absent,
    /// A connection of theirs has not read what it was sent.
    Busy,
    /// They can.
    Ready,
}

/// The conversations that are to be sent.
#[derive(Default)]
pub struct ConversationNotifier {
    /// Held to move one entry, or a batch of them.
    table: Mutex<Table>,
    changed: Notify,
}

impl ConversationNotifier {
    /// A user's conversation with a peer changed. `hold` is given if no other event brings the change to the user's
    /// connections: a cursor before it.
    ///
    /// If more waits than is kept, this returns the user of whom most of it is. The connections of that user are then to be
    /// ended, and after that what waits is to be [forgotten](Self::forget): a client that connects again reads how everything stands.
    #[must_use]
    pub fn changed(&self, user: UserId, peer: UserId, hold: Option<Cursor>) -> Option<UserId> {
        let mut table = self.table.lock();
        if table.insert(user, peer, hold, Instant::now()) {
            self.changed.notify_one();
        }
        (table.size > MAX_CONVERSATIONS)
            .then(|| table.user_with_most())
            .flatten()
    }

    /// Forgets what waits of a user whose connections were ended.
    pub fn forget(&self, user: UserId) {
        self.table.lock().forget(user);
    }

    /// The cursor that a user's connections can be given now, if not the one of everybody. To be read after that one: then every
    /// change before that one is known here.
    pub fn held(&self, user: UserId) -> Option<Cursor> {
        let table = self.table.lock();
        table.lines.get(&user)?.holds.values().next().cloned()
    }

    /// Sends what changed, through `emit`, until `stop` is cancelled. `busy` says whether messages wait to be stored. Nothing is
    /// read for users who are `Absent`.
    pub async fn run(
        self: Arc<Self>,
        store: Arc<dyn Store>,
        stop: CancellationToken,
        busy: impl Fn() -> bool + Send,
        readiness: impl Fn(UserId) -> Readiness + Send,
        emit: impl Fn(UserId, &Conversation) + Send,
    ) {
        let mut batch_size = *BATCH_SIZES.start();
        let mut outage = Outage::default();
        loop {
            let due = self.table.lock().wake(Instant::now());
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.changed.notified() => {}
                () = sleep_until(due) => {}
            }
            loop {
                let begun = Instant::now();
                let taken = self.take(batch_size, begun);
                if taken.is_empty() {
                    break;
                }
                let (mut ready, mut stalled, mut absent) = (Vec::new(), Vec::new(), Vec::new());
                for taken in taken {
                    match readiness(taken.key.0) {
                        Readiness::Absent => absent.push(taken),
                        Readiness::Busy if begun - taken.since < BUSY_TIMEOUT => stalled.push(taken),
                        Readiness::Busy | Readiness::Ready => ready.push(taken),
                    }
                }
                self.rest(absent);
                self.put_off(stalled, begun + BUSY_DELAY);
                let taken = ready;
                let Some(oldest) = taken.iter().map(|taken| taken.since).min() else {
                    continue;
                };
                let keys: Vec<Key> = taken.iter().map(|taken| taken.key).collect();
                let delay = match conversation_view::read(&*store, &keys).await {
                    Ok(conversations) => {
                        let took = begun.elapsed();
                        if let Some(ended) = outage.worked() {
                            tracing::info!(lasted = ?ended.lasted, "conversation notifier: conversations are read again");
                        }
                        let (mut sent, mut left) = (Vec::new(), Vec::new());
                        let mut bytes: HashMap<UserId, usize> = HashMap::new();
                        for (taken, conversation) in taken.into_iter().zip(&conversations) {
                            let (user, _) = taken.key;
                            let sum = bytes.entry(user).or_default();
                            if *sum > MAX_USER_BYTES {
                                left.push(taken);
                                continue;
                            }
                            *sum += conversation_view::max_length(conversation);
                            emit(user, conversation);
                            sent.push(taken);
                        }
                        self.rest(sent);
                        self.put_back(left);
                        batch_size = next_size(batch_size, keys.len(), took);
                        (took * (share(begun - oldest, busy()) - 1)).min(MAX_READ_DELAY)
                    }
                    Err(error) => {
                        if outage.failed() {
                            tracing::warn!(%error, "conversation notifier: reading failed; it will be tried again");
                        }
                        self.put_back(taken);
                        RETRY_DELAY
                    }
                };
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(delay) => {}
                }
            }
        }
    }

    fn take(&self, count: usize, now: Instant) -> Vec<Taken> {
        let mut table = self.table.lock();
        table.wake(now);
        table.take(count)
    }

    fn rest(&self, sent: Vec<Taken>) {
        let mut table = self.table.lock();
        let until = Instant::now() + REST_INTERVAL;
        sent.into_iter().for_each(|taken| table.rest(taken, until));
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
/// second and a half is sent as fast as the store can; while messages wait to be stored, half of the time is theirs.
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
fn next_size(batch_size: usize, read: usize, took: Duration) -> usize {
    let next = match took {
        _ if took > READ_TARGET => batch_size / 2,
        _ if took < READ_TARGET / 2 && read == batch_size => batch_size * 2,
        _ => batch_size,
    };
    next.clamp(*BATCH_SIZES.start(), *BATCH_SIZES.end())
}

#[cfg(test)]
mod tests;
