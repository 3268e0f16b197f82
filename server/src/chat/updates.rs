//! Telling users how their conversations stand, off the way of a message.
//!
//! A conversation's numbers are read from the store, which costs more than a message does. So they are told at once
//! after the first change of a quiet conversation, and then at most once in [`REST`] while it goes on changing; and all
//! of this together takes a small share of the time ([`SHARE`]), whatever the load.
//!
//! A user's other devices learn from this, and from nothing else, that a watermark moved. So the [`Ticket`] under which
//! it was committed is out until they were told.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use shared::{Conversation, UserId};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Ticket, inbox};
use crate::store::Store;

/// How long a conversation that was told is left alone.
const REST: Duration = Duration::from_secs(1);

/// One part in so many of the time is spent on reading conversations, unless the pauses would be too long.
const SHARE: u32 = 20;

/// The longest pause.
const LONGEST: Duration = Duration::from_secs(1);

/// Conversations read at once.
const BATCH: usize = 64;

/// Conversations that may wait or rest. There are never more than changed in the last moments; the bound is for a
/// store that hangs.
const MOST: usize = 200_000;

/// Pause after the store failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Whose conversation, with whom.
type Key = (UserId, UserId);

/// The conversations that are to be told.
#[derive(Default)]
pub struct Updates {
    /// Held to move one entry.
    table: Mutex<Table>,
    changed: Notify,
}

#[derive(Default)]
struct Table {
    entries: HashMap<Key, Entry>,
    /// Those that are waiting, in order.
    waiting: VecDeque<Key>,
    /// Those that are resting, each until when, in order.
    resting: VecDeque<(Instant, Key)>,
}

struct Entry {
    state: State,
    /// The first one under which something was committed that is not told yet; later ones add nothing to it.
    ticket: Option<Arc<Ticket>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Resting { changed: bool },
}

/// A conversation that is being told, and the ticket of what is told with it.
type Taken = (Key, Option<Arc<Ticket>>);

impl Updates {
    /// A user's conversation with somebody changed. `ticket` is given if the user's devices hear of the change in no
    /// other way.
    pub fn note(&self, user: UserId, peer: UserId, ticket: Option<&Arc<Ticket>>) {
        let key = (user, peer);
        let mut table = self.table.lock();
        let full = table.entries.len() >= MOST;
        match table.entries.get_mut(&key) {
            Some(entry) => {
                if let State::Resting { changed } = &mut entry.state {
                    *changed = true;
                }
                if entry.ticket.is_none() {
                    entry.ticket = ticket.cloned();
                }
            }
            None if full => {
                tracing::warn!(%user, "too many conversations wait to be told; this one is told at its next change");
            }
            None => {
                table.entries.insert(
                    key,
                    Entry {
                        state: State::Waiting,
                        ticket: ticket.cloned(),
                    },
                );
                table.waiting.push_back(key);
                drop(table);
                self.changed.notify_one();
            }
        }
    }

    /// Tells what changed until `stop` is cancelled.
    pub async fn keep(
        self: Arc<Self>,
        store: Arc<dyn Store>,
        stop: CancellationToken,
        tell: impl Fn(UserId, &Conversation) + Send,
    ) {
        loop {
            let due = self.wake();
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.changed.notified() => {}
                () = super::sleep_until(due) => {}
            }
            loop {
                self.wake();
                let taken = self.take();
                if taken.is_empty() {
                    break;
                }
                let keys: Vec<Key> = taken.iter().map(|(key, _)| *key).collect();
                let begun = Instant::now();
                let pause = match inbox::conversations(&*store, &keys).await {
                    Ok(conversations) => {
                        for ((user, _), conversation) in keys.iter().zip(&conversations) {
                            tell(*user, conversation);
                        }
                        self.rest(&keys);
                        (begun.elapsed() * (SHARE - 1)).min(LONGEST)
                    }
                    Err(error) => {
                        tracing::warn!(%error, "conversations could not be told; it will be tried again");
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

    /// Ends the rest of those whose time is over, and returns when the next one's is.
    fn wake(&self) -> Option<Instant> {
        let mut table = self.table.lock();
        let now = Instant::now();
        while let Some((until, key)) = table.resting.front().copied() {
            if until > now {
                return Some(until);
            }
            table.resting.pop_front();
            match table.entries.get_mut(&key) {
                Some(entry) if entry.state == (State::Resting { changed: true }) => {
                    entry.state = State::Waiting;
                    table.waiting.push_back(key);
                }
                _ => {
                    table.entries.remove(&key);
                }
            }
        }
        None
    }

    /// Takes a batch. What changes from now on counts as a change behind it.
    fn take(&self) -> Vec<Taken> {
        let mut table = self.table.lock();
        let Table { entries, waiting, .. } = &mut *table;
        let count = waiting.len().min(BATCH);
        let take = |key: Key| {
            let entry = entries.get_mut(&key)?;
            entry.state = State::Resting { changed: false };
            Some((key, entry.ticket.take()))
        };
        waiting.drain(..count).filter_map(take).collect()
    }

    fn rest(&self, keys: &[Key]) {
        let until = Instant::now() + REST;
        let resting = keys.iter().map(|key| (until, *key));
        self.table.lock().resting.extend(resting);
    }

    fn put_back(&self, taken: Vec<Taken>) {
        let mut table = self.table.lock();
        for (key, ticket) in taken {
            // What was committed since began later.
            if let Some(entry) = table.entries.get_mut(&key) {
                entry.state = State::Waiting;
                entry.ticket = ticket.or_else(|| entry.ticket.take());
            }
            table.waiting.push_back(key);
        }
    }
}
