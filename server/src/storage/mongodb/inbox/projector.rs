//! From stored messages to inboxes, off the path on which messages are acknowledged.
//!
//! Entries wait in memory, one for each user and peer however many messages they exchange. One task writes them every few
//! seconds, or at once for a user whose inbox is queried. If too much waits, because the database is away or slow, messages
//! are left out, and the time of the first of them is remembered: the
//! [`change_poller`](crate::storage::mongodb::change_poller) then reads all messages since.
//!
//! A node writes what it has stored itself. Until it says that this is done, other nodes *hold* these entries: they show
//! them to a user who queries a conversation, write them for a user who queries an inbox, and write all of them if the node
//! is gone before.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mongodb::Database;
use parking_lot::Mutex;
use shared::{Message, MessageId, Timestamp, UserId};
use tokio::sync::{Notify, oneshot};

use super::entry::Entry;
use super::touches::Touches;
use super::write::{MAX_STATEMENTS, write};
use crate::storage::StoreError;
use crate::storage::mongodb::document::id_seconds;
use crate::storage::mongodb::error::{Backoff, timed_out};
use crate::storage::mongodb::integrity::Integrity;
use crate::storage::mongodb::timeouts::{READ_TIMEOUT, WRITE_TIMEOUT};
use crate::storage::mongodb::window::Clock;
use state::{Pending, Rounds, earlier};

mod state;

/// How often entries are written. The longer they wait, the more messages one statement stands for.
const WRITE_INTERVAL: Duration = Duration::from_secs(3);

/// Writes inboxes. Its clones are the same one.
#[derive(Clone)]
pub(in crate::storage::mongodb) struct Projector {
    database: Database,
    clock: Clock,
    shared: Arc<Shared>,
}

struct Shared {
    /// Held to add or take entries.
    state: Mutex<Pending>,
    /// An inbox is queried, or the store closes.
    wake: Notify,
    /// Whether the inboxes in the database are complete, except for what waits here.
    complete: AtomicBool,
}

impl Projector {
    pub(in crate::storage::mongodb) fn new(database: &Database, clock: Clock) -> Self {
        let state = Pending::new(clock());
        Self {
            database: database.clone(),
            clock,
            shared: Arc::new(Shared {
                state: Mutex::new(state),
                wake: Notify::new(),
                complete: AtomicBool::new(false),
            }),
        }
    }

    pub(super) fn database(&self) -> &Database {
        &self.database
    }

    pub(in crate::storage::mongodb) fn set_complete(&self, complete: bool) {
        self.shared.complete.store(complete, Ordering::Release);
    }

    /// What waits to be written into these inboxes, or is being written. `None` if that and what is written are not
    /// everything.
    pub(in crate::storage::mongodb) fn waiting(&self, pairs: &[(UserId, UserId)]) -> Option<Vec<Option<Entry>>> {
        let state = self.shared.state.lock();
        if !self.shared.complete.load(Ordering::Acquire) || !state.has_everything() {
            return None;
        }
        let find = |touches: &Touches, (owner, peer): &(UserId, UserId)| touches.get(owner)?.get(peer).copied();
        let held = state.held.iter().map(|held| &held.touches);
        let all: Vec<&Touches> = held.chain([&state.writing, &state.waiting]).collect();
        let merged = |pair| {
            let entries = all.iter().filter_map(|touches| find(touches, pair));
            entries.reduce(|one, other| one.merge(other))
        };
        Some(pairs.iter().map(merged).collect())
    }

    /// Adds durable messages. Those without a sender or receiver are in no inbox.
    pub(in crate::storage::mongodb) fn add<'a>(&self, messages: impl Iterator<Item = &'a Message>) {
        let mut state = self.shared.state.lock();
        messages.for_each(|message| state.add(message));
    }

    /// Holds messages that another node, which lives, has stored and projects.
    pub(in crate::storage::mongodb) fn hold<'a>(&self, messages: impl Iterator<Item = &'a Message>) {
        let mut state = self.shared.state.lock();
        messages.for_each(|message| state.hold(message));
    }

    /// Has everything that is held written here: a node is gone, and no other process has what it left.
    pub(in crate::storage::mongodb) fn take_over(&self) {
        self.shared.state.lock().take_over(None);
    }

    /// Drops what is held of the time before a second: all other nodes have written it.
    pub(in crate::storage::mongodb) fn release(&self, before: u32) {
        self.shared.state.lock().held.retain(|held| held.newest >= before);
    }

    /// From which second on, of the time in ids, something is held, or was held and is not written yet.
    pub(in crate::storage::mongodb) fn held_since(&self) -> Option<u32> {
        let state = self.shared.state.lock();
        let held = state.held.iter().map(|held| held.oldest).min();
        earlier(held, earlier(state.taken_over, state.writing_over))
    }

    /// Remembers messages of this process whose commit failed with an unknown outcome.
    pub(in crate::storage::mongodb) fn record_unknown_outcomes(&self, messages: impl Iterator<Item = MessageId>) {
        let mut state = self.shared.state.lock();
        messages.for_each(|message| state.record_unknown_outcome(message));
    }

    /// The messages of before a second, of the time in ids, whose outcome is still unknown. To be followed by
    /// [`resolve_unknown_outcomes`](Self::resolve_unknown_outcomes).
    pub(in crate::storage::mongodb) fn unknown_outcomes(&self, end: u32) -> Vec<MessageId> {
        let state = self.shared.state.lock();
        let is_before = |message: &&MessageId| id_seconds(**message) < end;
        state.unknown.iter().take_while(is_before).copied().collect()
    }

    /// A message of unknown outcome turns out to be stored. Returns whether the caller delivers it; false if another did.
    pub(in crate::storage::mongodb) fn claim_found(&self, message: MessageId) -> bool {
        self.shared.state.lock().claim_found(message)
    }

    /// Forgets messages of unknown outcome: they are not stored, or were found.
    pub(in crate::storage::mongodb) fn resolve_unknown_outcomes(&self, messages: &[MessageId]) {
        let mut state = self.shared.state.lock();
        for message in messages {
            state.unknown.remove(message);
        }
    }

    /// See [`crate::storage::FeedStore::claim_delivery`].
    pub(in crate::storage::mongodb) fn claim_delivery(&self, message: MessageId) -> bool {
        let mut state = self.shared.state.lock();
        state.unknown.remove(&message);
        !state.delivered.remove(&message)
    }

    /// Since when messages were left out, if any were. To be followed by [`finish_left_out`](Self::finish_left_out).
    pub(in crate::storage::mongodb) fn take_left_out(&self) -> Option<u32> {
        let mut state = self.shared.state.lock();
        state.backfilling = state.left_out.take();
        state.backfilling
    }

    /// Says whether the messages since that second were projected now.
    pub(in crate::storage::mongodb) fn finish_left_out(&self, projected: bool) {
        let mut state = self.shared.state.lock();
        if let Some(since) = state.backfilling.take().filter(|_| !projected) {
            state.leave_out(since);
        }
    }

    /// Every message whose write was acknowledged before this moment is in the inboxes.
    pub(in crate::storage::mongodb) fn done(&self) -> Timestamp {
        self.shared.state.lock().done
    }

    /// How often everything that waited was written.
    pub(in crate::storage::mongodb) fn rounds(&self) -> Rounds {
        self.shared.state.lock().rounds
    }

    /// Waits until what was added for this user is written.
    pub(in crate::storage::mongodb) async fn flush(&self, owner: UserId) -> Result<(), StoreError> {
        let written = {
            let mut state = self.shared.state.lock();
            if !state.has_everything() {
                return Err(StoreError::Unavailable("inboxes are not up to date".into()));
            }
            state.take_over(Some(owner));
            if !state.waiting.contains_key(&owner) && !state.writing.contains_key(&owner) {
                return Ok(());
            }
            let (reply, written) = oneshot::channel();
            state.requested.entry(owner).or_default().push(reply);
            written
        };
        self.shared.wake.notify_one();
        let late = || timed_out("writing an inbox", READ_TIMEOUT);
        tokio::time::timeout(READ_TIMEOUT, written)
            .await
            .map_err(|_| late())?
            .map_err(|_| late())
    }

    /// Writes what waits, again and again. Never returns.
    pub(in crate::storage::mongodb) async fn run(self, integrity: Integrity) {
        let mut tick = tokio::time::interval(WRITE_INTERVAL);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut backoff = Backoff::default();
        loop {
            let result = tokio::select! {
                () = self.shared.wake.notified() => self.write_requested(&integrity).await,
                _ = tick.tick() => self.write_all(&integrity).await,
            };
            match result {
                Ok(()) => backoff = Backoff::default(),
                Err(error) => {
                    tracing::debug!(%error, "inboxes: writing failed; it will be tried again");
                    backoff.wait().await;
                    self.shared.wake.notify_one();
                }
            }
        }
    }

    /// Writes what waits now, and before that whatever is queried.
    pub(in crate::storage::mongodb) async fn write_all(&self, integrity: &Integrity) -> Result<(), StoreError> {
        let begin = (self.clock)();
        let (owners, round): (Vec<UserId>, u64) = {
            let mut state = self.shared.state.lock();
            state.rounds.begun += 1;
            state.writing_over = earlier(state.writing_over, state.taken_over.take());
            (state.waiting.keys().copied().collect(), state.rounds.begun)
        };
        let mut owners = owners.into_iter();
        loop {
            self.write_requested(integrity).await?;
            let batch = self.take_batch(&mut owners);
            if batch.is_empty() {
                break;
            }
            self.write(batch, Vec::new(), integrity).await?;
        }
        let mut state = self.shared.state.lock();
        state.writing_over = None;
        if state.has_everything() {
            state.done = begin;
            state.rounds.ended = round;
        }
        Ok(())
    }

    async fn write_requested(&self, integrity: &Integrity) -> Result<(), StoreError> {
        loop {
            let (requested, replies): (Vec<UserId>, Vec<_>) = {
                let mut state = self.shared.state.lock();
                std::mem::take(&mut state.requested).into_iter().unzip()
            };
            if requested.is_empty() {
                return Ok(());
            }
            let replies: Vec<(UserId, Vec<_>)> = requested.iter().copied().zip(replies).collect();
            let batch = self.take_owners(&requested);
            self.write(batch, replies, integrity).await?;
        }
    }

    /// Takes the entries of some of these owners, about as many as go into one command.
    fn take_batch(&self, owners: &mut impl Iterator<Item = UserId>) -> Touches {
        let mut state = self.shared.state.lock();
        let mut taken = Touches::new();
        let mut count = 0;
        while count < MAX_STATEMENTS {
            let Some(owner) = owners.next() else { break };
            let Some(entries) = state.waiting.remove(&owner) else {
                continue;
            };
            count += entries.len();
            taken.insert(owner, entries);
        }
        state.entries -= count;
        state.writing = taken.clone();
        taken
    }

    fn take_owners(&self, owners: &[UserId]) -> Touches {
        let mut state = self.shared.state.lock();
        let taken: Touches = owners
            .iter()
            .filter_map(|owner| Some((*owner, state.waiting.remove(owner)?)))
            .collect();
        state.entries -= taken.values().map(HashMap::len).sum::<usize>();
        state.writing = taken.clone();
        taken
    }

    /// Writes what was taken, or puts it back.
    async fn write(
        &self,
        batch: Touches,
        replies: Vec<(UserId, Vec<oneshot::Sender<()>>)>,
        integrity: &Integrity,
    ) -> Result<(), StoreError> {
        // What went into a database that replaced this one is not written.
        let written = integrity.guard(WRITE_TIMEOUT, write(&self.database, &batch)).await;
        let mut state = self.shared.state.lock();
        state.writing.clear();
        if written.is_err() {
            for (owner, entries) in batch {
                for (peer, touch) in entries {
                    let waiting = state.waiting.entry(owner).or_default();
                    let known = waiting.get_mut(&peer).map(|old| *old = old.merge(touch)).is_some();
                    if !known {
                        waiting.insert(peer, touch);
                        state.entries += 1;
                    }
                }
            }
            for (owner, mut replies) in replies {
                replies.retain(|reply| !reply.is_closed());
                if !replies.is_empty() {
                    state.requested.entry(owner).or_default().extend(replies);
                }
            }
            return written;
        }
        for reply in replies.into_iter().flat_map(|(_, replies)| replies) {
            // A caller who no longer waits needs no answer.
            let _ = reply.send(());
        }
        Ok(())
    }
}
