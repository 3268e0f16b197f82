//! Telling users how their conversations stand, off the way of a message.
//!
//! A conversation's numbers are read from the store, which costs more than a message does. So they are told at once
//! after the first change of a quiet conversation, and then at most once in [`REST`] while it goes on changing. All of
//! this together takes a small share of the time; the longer something waits, the larger a share ([`share`]).
//!
//! Users take turns, so that somebody with a thousand busy conversations delays nobody else's.
//!
//! A user's other devices learn from this, and from nothing else, that a watermark moved. So until they were told, they
//! are given no cursor that lies behind the mark: [`Updates::held`]. Nobody else's cursors are held back.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use shared::{Conversation, UserId};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::inbox;
use crate::store::{Cursor, Store};

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

/// Pause after the store failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Whose conversation, with whom.
type Key = (UserId, UserId);

/// The conversations that are to be told.
#[derive(Default)]
pub struct Updates {
    /// Held to move one entry, or a batch of them.
    table: Mutex<Table>,
    changed: Notify,
}

#[derive(Default)]
struct Table {
    lines: HashMap<UserId, Line>,
    /// Users of whom something waits, in the order of their turns.
    turns: VecDeque<UserId>,
    /// Those that are resting, each until when, in order.
    resting: VecDeque<(Instant, Key)>,
    /// Entries of all lines.
    size: usize,
    /// Counts the holds.
    holds: u64,
}

/// What one user is to be told.
#[derive(Default)]
struct Line {
    entries: HashMap<UserId, Entry>,
    /// With whom those conversations are that wait, in order.
    waiting: VecDeque<UserId>,
    /// The cursors in front of what the user's devices were not told yet, the oldest first.
    holds: BTreeMap<u64, Cursor>,
}

struct Entry {
    state: State,
    /// The first hold since it was told; later ones add nothing to it.
    hold: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting { since: Instant },
    Told { changed: bool },
    Resting { changed: bool },
}

/// A conversation that is being told.
struct Taken {
    key: Key,
    hold: Option<u64>,
    since: Instant,
}

impl Updates {
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
        let mut table = self.table.lock();
        if let Some(line) = table.lines.remove(&user) {
            table.size -= line.entries.len();
        }
    }

    /// The cursor that a user's devices can be given now, if not the one of everybody. To be asked after that one, so
    /// that no change lies in front of it that this does not know of.
    pub fn held(&self, user: UserId) -> Option<Cursor> {
        let table = self.table.lock();
        table.lines.get(&user)?.holds.values().next().cloned()
    }

    /// Tells what changed until `stop` is cancelled. Nothing is read for those who do not hear it any more.
    pub async fn keep(
        self: Arc<Self>,
        store: Arc<dyn Store>,
        stop: CancellationToken,
        hears: impl Fn(UserId) -> bool + Send,
        tell: impl Fn(UserId, &Conversation) + Send,
    ) {
        let mut at_once = *AT_ONCE.start();
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
                let (taken, unheard): (Vec<_>, Vec<_>) = taken.into_iter().partition(|taken| hears(taken.key.0));
                self.rest(unheard);
                let Some(oldest) = taken.iter().map(|taken| taken.since).min() else {
                    continue;
                };
                let keys: Vec<Key> = taken.iter().map(|taken| taken.key).collect();
                let pause = match inbox::conversations(&*store, &keys).await {
                    Ok(conversations) => {
                        let took = begun.elapsed();
                        for ((user, _), conversation) in keys.iter().zip(&conversations) {
                            tell(*user, conversation);
                        }
                        self.rest(taken);
                        at_once = next_size(at_once, keys.len(), took);
                        (took * (share(begun - oldest) - 1)).min(LONGEST)
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

    fn put_back(&self, taken: Vec<Taken>) {
        let mut table = self.table.lock();
        taken.into_iter().for_each(|taken| table.put_back(taken));
    }
}

/// One part in so many of the time is spent on reading, if something waited so long. What waits for longer than a
/// second and a half is told as fast as the store can.
fn share(waited: Duration) -> u32 {
    match waited.as_millis() {
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

impl Table {
    /// Returns whether something waits now that did not.
    fn note(&mut self, user: UserId, peer: UserId, hold: Option<Cursor>, now: Instant) -> bool {
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
            State::Told { changed } | State::Resting { changed } => *changed = true,
            State::Waiting { .. } => {}
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

    /// Puts a conversation behind the others of its user, and the user behind the others.
    fn wait(&mut self, user: UserId, peer: UserId) {
        if let Some(line) = self.lines.get_mut(&user) {
            if line.waiting.is_empty() {
                self.turns.push_back(user);
            }
            line.waiting.push_back(peer);
        }
    }

    /// Ends the rest of those whose time is over, and returns when the next one's is.
    fn wake(&mut self, now: Instant) -> Option<Instant> {
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
                _ => {}
            }
        }
        None
    }

    /// Takes up to `count`, one of each user after the other. What changes from now on counts as a change behind it.
    fn take(&mut self, count: usize) -> Vec<Taken> {
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
                entry.state = State::Told { changed: false };
                let (key, hold) = ((user, peer), entry.hold.take());
                taken.push(Taken { key, hold, since });
            }
        }
        taken
    }

    /// It was told.
    fn rest(&mut self, told: Taken, until: Instant) {
        let (user, peer) = told.key;
        let Some(line) = self.lines.get_mut(&user) else { return };
        if let Some(hold) = told.hold {
            line.holds.remove(&hold);
        }
        if let Some(entry) = line.entries.get_mut(&peer)
            && let State::Told { changed } = entry.state
        {
            entry.state = State::Resting { changed };
            self.resting.push_back((until, told.key));
        }
    }

    /// It could not be told.
    fn put_back(&mut self, taken: Taken) {
        let (user, peer) = taken.key;
        let Some(line) = self.lines.get_mut(&user) else { return };
        if let Some(entry) = line.entries.get_mut(&peer)
            && let State::Told { .. } = entry.state
        {
            entry.state = State::Waiting { since: taken.since };
            if taken.hold.is_some()
                && let Some(later) = std::mem::replace(&mut entry.hold, taken.hold)
            {
                line.holds.remove(&later);
            }
            self.wait(user, peer);
        }
    }

    fn whose_are_most(&self) -> Option<UserId> {
        let counts = self.lines.iter().map(|(user, line)| (line.entries.len(), *user));
        let (count, user) = counts.max()?;
        tracing::warn!(%user, count, "too many conversations wait to be told; the user who has most of them is disconnected");
        Some(user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(number: u32) -> UserId {
        let mut id = [0; 12];
        id[..4].copy_from_slice(&number.to_be_bytes());
        UserId::from_bytes(id)
    }

    fn cursor(point: i64) -> Cursor {
        Cursor::at([0; 6], point)
    }

    fn taken(updates: &Updates, count: usize) -> Vec<Taken> {
        updates.take(count, Instant::now())
    }

    fn keys(taken: &[Taken]) -> Vec<Key> {
        taken.iter().map(|taken| taken.key).collect()
    }

    #[tokio::test]
    async fn users_take_turns() {
        let updates = Updates::default();
        let [busy, ada, bob] = [1, 2, 3].map(user);
        for peer in 100..1_100 {
            assert_eq!(updates.note(busy, user(peer), None), None);
        }
        for quiet in [ada, bob] {
            assert_eq!(updates.note(quiet, busy, None), None);
        }
        assert_eq!(
            keys(&taken(&updates, 4)),
            [(busy, user(100)), (ada, busy), (bob, busy), (busy, user(101))]
        );
        assert_eq!(taken(&updates, 2_000).len(), 998);
    }

    #[tokio::test]
    async fn only_cursors_of_those_who_were_not_told_are_held() {
        let updates = Updates::default();
        let [ada, bob, eve] = [1, 2, 3].map(user);
        for (peer, point) in [(bob, 10), (eve, 20), (bob, 30)] {
            assert_eq!(updates.note(ada, peer, Some(cursor(point))), None);
        }
        assert_eq!(updates.note(bob, ada, None), None);
        let held = || (updates.held(ada), updates.held(bob));
        assert_eq!(held(), (Some(cursor(10)), None));

        // While the first is being told there is another mark, and the store fails.
        let first = taken(&updates, 1);
        assert_eq!(updates.note(ada, bob, Some(cursor(40))), None);
        assert_eq!(held(), (Some(cursor(10)), None));
        updates.put_back(first);
        assert_eq!(held(), (Some(cursor(10)), None));

        let rest = taken(&updates, 10);
        assert_eq!(keys(&rest), [(bob, ada), (ada, eve), (ada, bob)]);
        assert_eq!(updates.note(ada, eve, Some(cursor(50))), None);
        updates.rest(rest);
        // What was marked while it was told is told after its rest.
        assert_eq!(held(), (Some(cursor(50)), None));
        let due = updates.table.lock().wake(Instant::now()).expect("they rest");
        let again = updates.take(10, due);
        assert_eq!(keys(&again), [(ada, eve)]);
        updates.rest(again);
        assert_eq!(held(), (None, None));
        let due = updates.table.lock().wake(due).expect("it rests");
        updates.table.lock().wake(due);
        let table = updates.table.lock();
        assert_eq!((table.size, table.lines.len(), table.resting.len()), (0, 0, 0));
    }

    #[tokio::test]
    async fn a_full_table_forgets_nobody_but_who_filled_it() {
        let updates = Updates::default();
        let [flood, ada, bob] = [1, 2, 3].map(user);
        assert_eq!(updates.note(ada, bob, None), None);
        for peer in 1..MOST as u32 {
            assert_eq!(updates.note(flood, user(1_000 + peer), Some(cursor(1))), None);
        }
        assert_eq!(updates.note(bob, ada, Some(cursor(2))), Some(flood));
        updates.forget(flood);
        assert_eq!((updates.held(flood), updates.held(bob)), (None, Some(cursor(2))));
        // The flood comes again; what is there of it takes a turn, not the table.
        assert_eq!(updates.note(flood, ada, None), None);
        let mut all = keys(&taken(&updates, 10));
        all.sort_unstable();
        assert_eq!(all, [(flood, ada), (ada, bob), (bob, ada)]);
    }

    #[test]
    fn as_many_are_read_as_the_store_does() {
        let mut at_once = *AT_ONCE.start();
        for _ in 0..10 {
            at_once = next_size(at_once, at_once, READING / 10);
        }
        assert_eq!(at_once, *AT_ONCE.end());
        assert_eq!(next_size(at_once, 3, READING / 10), at_once, "a few tell nothing");
        for _ in 0..10 {
            at_once = next_size(at_once, at_once, READING * 2);
        }
        assert_eq!(at_once, *AT_ONCE.start());
    }
}
