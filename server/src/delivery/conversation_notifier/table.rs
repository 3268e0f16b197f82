//! Which conversations wait to be sent, in which order, and which rest: nothing here waits or sends.

use std::collections::{BTreeMap, HashMap, VecDeque};

use shared::UserId;
use tokio::time::Instant;

use crate::domain::Cursor;

/// Whose conversation, with whom.
pub(super) type Key = (UserId, UserId);

#[derive(Default)]
pub(super) struct Table {
    pub(super) lines: HashMap<UserId, Line>,
    /// Users of whom something waits, in the order of their turns.
    turns: VecDeque<UserId>,
    /// Those that are resting, each until when, in order.
    pub(super) resting: VecDeque<(Instant, Key)>,
    /// Entries of all lines.
    pub(super) size: usize,
    /// Counts the holds.
    holds: u64,
}

/// What one user is to be sent.
#[derive(Default)]
pub(super) struct Line {
    pub(super) entries: HashMap<UserId, Entry>,
    /// With whom those conversations are that wait, in order.
    waiting: VecDeque<UserId>,
    /// The cursors before what the user's connections were not sent yet, the oldest first.
    pub(super) holds: BTreeMap<u64, Cursor>,
}

pub(super) struct Entry {
    state: State,
    /// The first hold since it was sent; later ones add nothing to it.
    hold: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Waiting {
        since: Instant,
    },
    Sending {
        changed: bool,
    },
    Resting {
        changed: bool,
    },
    /// Waiting, and not to be taken for a moment.
    PutOff {
        since: Instant,
    },
}

/// A conversation that is being sent.
pub(super) struct Taken {
    pub(super) key: Key,
    hold: Option<u64>,
    pub(super) since: Instant,
}

impl Table {
    /// Returns whether something waits now that did not.
    pub(super) fn insert(&mut self, user: UserId, peer: UserId, hold: Option<Cursor>, now: Instant) -> bool {
        let line = self.lines.entry(user).or_default();
        let mut is_new = false;
        let entry = line.entries.entry(peer).or_insert_with(|| {
            is_new = true;
            Entry {
                state: State::Waiting { since: now },
                hold: None,
            }
        });
        match &mut entry.state {
            State::Sending { changed } | State::Resting { changed } => *changed = true,
            State::Waiting { .. } | State::PutOff { .. } => {}
        }
        if let Some(cursor) = hold.filter(|_| entry.hold.is_none()) {
            self.holds += 1;
            entry.hold = Some(self.holds);
            line.holds.insert(self.holds, cursor);
        }
        if is_new {
            self.size += 1;
            self.wait(user, peer);
        }
        is_new
    }

    /// Puts a conversation after the others of its user, and the user after the other users.
    fn wait(&mut self, user: UserId, peer: UserId) {
        if let Some(line) = self.lines.get_mut(&user) {
            if line.waiting.is_empty() {
                self.turns.push_back(user);
            }
            line.waiting.push_back(peer);
        }
    }

    /// Ends the rest of those whose time is over, and returns when the next one's is.
    pub(super) fn wake(&mut self, now: Instant) -> Option<Instant> {
        while let Some((until, (user, peer))) = self.resting.front().copied() {
            if until > now {
                return Some(until);
            }
            self.resting.pop_front();
            let Some(line) = self.lines.get_mut(&user) else {
                continue;
            };
            match line.entries.get_mut(&peer).map(|entry| &mut entry.state) {
                Some(State::Resting { changed: false }) => {
                    line.entries.remove(&peer);
                    self.size -= 1;
                    if line.entries.is_empty() {
                        self.lines.remove(&user);
                    }
                }
                Some(state @ State::Resting { changed: true }) => {
                    *state = State::Waiting { since: now };
                    self.wait(user, peer);
                }
                Some(state @ State::PutOff { .. }) => {
                    if let State::PutOff { since } = *state {
                        *state = State::Waiting { since };
                    }
                    self.wait(user, peer);
                }
                _ => {}
            }
        }
        None
    }

    /// Takes up to `count`, one of each user after the other. What changes from now on counts as a change after it.
    pub(super) fn take(&mut self, count: usize) -> Vec<Taken> {
        let mut taken = Vec::new();
        while taken.len() < count
            && let Some(user) = self.turns.pop_front()
        {
            let Some(line) = self.lines.get_mut(&user) else {
                continue;
            };
            let Some(peer) = line.waiting.pop_front() else { continue };
            if !line.waiting.is_empty() {
                self.turns.push_back(user);
            }
            if let Some(entry) = line.entries.get_mut(&peer)
                && let State::Waiting { since } = entry.state
            {
                entry.state = State::Sending { changed: false };
                let (key, hold) = ((user, peer), entry.hold.take());
                taken.push(Taken { key, hold, since });
            }
        }
        taken
    }

    /// It was sent.
    pub(super) fn rest(&mut self, sent: Taken, until: Instant) {
        let (user, peer) = sent.key;
        let Some(line) = self.lines.get_mut(&user) else { return };
        if let Some(hold) = sent.hold {
            line.holds.remove(&hold);
        }
        if let Some(entry) = line.entries.get_mut(&peer)
            && let State::Sending { changed } = entry.state
        {
            entry.state = State::Resting { changed };
            self.resting.push_back((until, sent.key));
        }
    }

    /// It could not be sent, and waits again at once.
    pub(super) fn put_back(&mut self, taken: Taken) {
        let (user, peer) = taken.key;
        if self.returns(taken, |since| State::Waiting { since }) {
            self.wait(user, peer);
        }
    }

    /// It could not be sent, and waits again from then on.
    pub(super) fn put_off(&mut self, taken: Taken, until: Instant) {
        let key = taken.key;
        if self.returns(taken, |since| State::PutOff { since }) {
            let index = self.resting.partition_point(|(time, _)| *time <= until);
            self.resting.insert(index, (until, key));
        }
    }

    fn returns(&mut self, taken: Taken, state: impl FnOnce(Instant) -> State) -> bool {
        let (user, peer) = taken.key;
        let Some(line) = self.lines.get_mut(&user) else {
            return false;
        };
        if let Some(entry) = line.entries.get_mut(&peer)
            && let State::Sending { .. } = entry.state
        {
            entry.state = state(taken.since);
            if taken.hold.is_some()
                && let Some(later) = std::mem::replace(&mut entry.hold, taken.hold)
            {
                line.holds.remove(&later);
            }
            return true;
        }
        false
    }

    /// Drops all of a user, and the turn with it: a user who is here again takes one turn, not two.
    pub(super) fn forget(&mut self, user: UserId) {
        let Some(line) = self.lines.remove(&user) else { return };
        self.size -= line.entries.len();
        if !line.waiting.is_empty() {
            self.turns.retain(|other| *other != user);
        }
    }

    pub(super) fn user_with_most(&self) -> Option<UserId> {
        let counts = self.lines.iter().map(|(user, line)| (line.entries.len(), *user));
        let (count, user) = counts.max()?;
        tracing::warn!(%user, count, "conversation notifier: too many conversations wait; the user with most of them is disconnected");
        Some(user)
    }
}
