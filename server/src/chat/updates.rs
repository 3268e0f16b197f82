//! Telling users how their conversations stand, off the way of a message.
//!
//! A conversation's numbers are read from the store, which costs more than a message does. So they are told at once
//! after the first change of a quiet conversation, and then at most once in [`REST`] while it goes on changing; and all
//! of this together takes at most a small share of the time ([`SHARE`]), whatever the load.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use shared::{Conversation, UserId};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::inbox;
use crate::store::Store;

/// How long a conversation that was told is left alone.
const REST: Duration = Duration::from_secs(1);

/// One part in so many of the time is spent on reading conversations.
const SHARE: u32 = 20;

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
    states: HashMap<Key, State>,
    /// Those that are [`State::Waiting`], in order.
    waiting: VecDeque<Key>,
    /// Those that are resting, each until when, in order.
    resting: VecDeque<(Instant, Key)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Resting { changed: bool },
}

impl Updates {
    /// A user's conversation with somebody changed.
    pub fn note(&self, user: UserId, peer: UserId) {
        let key = (user, peer);
        let mut table = self.table.lock();
        match table.states.get(&key) {
            Some(State::Waiting) => {}
            Some(State::Resting { .. }) => {
                table.states.insert(key, State::Resting { changed: true });
            }
            None if table.states.len() < MOST => {
                table.states.insert(key, State::Waiting);
                table.waiting.push_back(key);
                drop(table);
                self.changed.notify_one();
            }
            None => {
                tracing::warn!(%user, "too many conversations wait to be told; this one is told at its next change")
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
                let keys = self.take();
                if keys.is_empty() {
                    break;
                }
                let begun = Instant::now();
                let pause = match inbox::conversations(&*store, &keys).await {
                    Ok(conversations) => {
                        for ((user, _), conversation) in keys.iter().zip(&conversations) {
                            tell(*user, conversation);
                        }
                        self.rest(&keys);
                        begun.elapsed() * (SHARE - 1)
                    }
                    Err(error) => {
                        tracing::warn!(%error, "conversations could not be told; it will be tried again");
                        self.put_back(&keys);
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
            if table.states.get(&key) == Some(&State::Resting { changed: true }) {
                table.states.insert(key, State::Waiting);
                table.waiting.push_back(key);
            } else {
                table.states.remove(&key);
            }
        }
        None
    }

    /// Takes a batch. What changes from now on counts as a change behind it.
    fn take(&self) -> Vec<Key> {
        let mut table = self.table.lock();
        let count = table.waiting.len().min(BATCH);
        let keys: Vec<Key> = table.waiting.drain(..count).collect();
        for key in &keys {
            table.states.insert(*key, State::Resting { changed: false });
        }
        keys
    }

    fn rest(&self, keys: &[Key]) {
        let until = Instant::now() + REST;
        self.table.lock().resting.extend(keys.iter().map(|key| (until, *key)));
    }

    fn put_back(&self, keys: &[Key]) {
        let mut table = self.table.lock();
        for key in keys {
            table.states.insert(*key, State::Waiting);
            table.waiting.push_back(*key);
        }
    }
}
