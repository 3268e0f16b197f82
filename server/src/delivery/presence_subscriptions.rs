//! Who is told of whose presence.
//!
//! Whoever has a connection here is online; of others the store knows whether another process serves them. What was
//! told last is kept for each user who is followed, so that only changes are told. A departure is told only
//! [`limits::ABSENCE`] after it happened: somebody who is back by then never left.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use shared::{Presence, Timestamp, UserId, limits};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{ConnectionRegistry, privacy};
use crate::clock::now;
use crate::outage::Outage;
use crate::storage::{HEARTBEAT_INTERVAL, Store, StoreError};

/// Users looked at with one question to the store.
const BATCH: usize = 500;

/// Pause before the store is asked again after it failed.
const PAUSE: Duration = Duration::from_secs(1);

/// After so many heartbeats without another process those who are absent are looked at all the same: programs that know of no
/// heartbeats can bring them online, too.
const ALONE: u32 = 20;

/// A connection would follow more users than are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("one connection follows at most {} users", limits::PRESENCE_SUBSCRIPTIONS)]
pub struct CantFollow;

/// Who follows whom; `C` names a connection, `W` leads to it.
pub struct PresenceSubscriptions<C, W> {
    store: Arc<dyn Store>,
    directory: Arc<ConnectionRegistry<C, W>>,
    /// Held to change or look up a few entries, or to list who is followed; never across an await.
    table: Mutex<Table<C>>,
    changed: Notify,
}

struct Table<C> {
    followed: HashMap<UserId, Followed<C>>,
    /// Whom each connection follows, and who is on it.
    follows: HashMap<C, (UserId, HashSet<UserId>)>,
    /// Who is to be looked at, and when; only those who are followed.
    looks: HashMap<UserId, Instant>,
}

struct Followed<C> {
    followers: HashSet<C>,
    /// What they were told last.
    told: Presence,
}

impl<C: Copy + Eq + Hash + Send + 'static, W: Clone + Send + 'static> PresenceSubscriptions<C, W> {
    /// Nobody follows anybody.
    pub fn new(store: Arc<dyn Store>, directory: Arc<ConnectionRegistry<C, W>>) -> Self {
        let table = Table {
            followed: HashMap::new(),
            follows: HashMap::new(),
            looks: HashMap::new(),
        };
        Self {
            store,
            directory,
            table: Mutex::new(table),
            changed: Notify::new(),
        }
    }

    /// A user came or left, or what others may know of them changed.
    pub fn look(&self, user: UserId) {
        self.look_at([user], Instant::now());
    }

    /// Looks at those who are followed, at a time or earlier.
    fn look_at(&self, users: impl IntoIterator<Item = UserId>, when: Instant) {
        let mut table = self.table.lock();
        for user in users {
            if table.followed.contains_key(&user) {
                let look = table.looks.entry(user).or_insert(when);
                *look = when.min(*look);
            }
        }
        drop(table);
        self.changed.notify_one();
    }

    /// Lets a connection of `follower` follow users, and returns how they are now, in the order given.
    ///
    /// # Errors
    /// [`CantFollow`] inside, if that would be more than are allowed; the connection then follows none of them anew.
    pub async fn follow(
        &self,
        connection: C,
        follower: UserId,
        users: &[UserId],
    ) -> Result<Result<Vec<Presence>, CantFollow>, StoreError> {
        let mut states = self.states(users).await?;
        {
            let mut table = self.table.lock();
            let follows = &mut table
                .follows
                .entry(connection)
                .or_insert_with(|| (follower, HashSet::new()))
                .1;
            let more = users
                .iter()
                .filter(|user| !follows.contains(user))
                .collect::<HashSet<_>>();
            if follows.len() + more.len() > limits::PRESENCE_SUBSCRIPTIONS {
                return Ok(Err(CantFollow));
            }
            follows.extend(users);
            for state in &mut states {
                let followed = table.followed.entry(state.user_id).or_insert_with(|| Followed {
                    followers: HashSet::new(),
                    told: *state,
                });
                followed.followers.insert(connection);
                // All followers know the same, so that the next change is one for each of them.
                *state = followed.told;
            }
        }
        // What changed since the store was asked was told to nobody.
        self.look_at(users.iter().copied(), Instant::now());
        Ok(Ok(states))
    }

    /// A connection follows these users no more.
    pub fn unfollow(&self, connection: C, users: &[UserId]) {
        let mut table = self.table.lock();
        if let Some((_, follows)) = table.follows.get_mut(&connection) {
            users.iter().for_each(|user| {
                follows.remove(user);
            });
        }
        table.forget(connection, users.iter().copied());
    }

    /// A connection has ended.
    pub fn end(&self, connection: C) {
        let mut table = self.table.lock();
        if let Some((_, follows)) = table.follows.remove(&connection) {
            table.forget(connection, follows);
        }
    }

    /// Tells changes until `stop` is cancelled.
    pub async fn keep(self: Arc<Self>, stop: CancellationToken, tell: impl Fn(C, &Presence) + Send) {
        let mut beat = tokio::time::interval(HEARTBEAT_INTERVAL);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut outage = Outage::default();
        let (mut others, mut unlooked) = (false, 0);
        loop {
            let (due, next) = self.due();
            for batch in due.chunks(BATCH) {
                match self.states(batch).await {
                    Ok(states) => {
                        if let Some(ended) = outage.worked() {
                            tracing::info!(lasted = ?ended.lasted, "presence can be looked up again");
                        }
                        states.iter().for_each(|state| self.tell(state, &tell));
                    }
                    Err(error) => {
                        if outage.failed() {
                            tracing::warn!(%error, "presence could not be looked up; it will be tried again");
                        }
                        self.look_at(batch.iter().copied(), Instant::now() + PAUSE);
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.changed.notified() => {}
                () = super::sleep_until(next) => {}
                // Nobody tells this process when another one's users come and go. Once more when the last other one is gone.
                _ = beat.tick(), if self.store.is_shared() => {
                    let before = std::mem::replace(&mut others, self.store.others_live());
                    unlooked += 1;
                    if others || before || unlooked >= ALONE {
                        unlooked = 0;
                        self.look_at_absent();
                    }
                }
            }
        }
    }

    /// Takes those who are to be looked at now, and returns when the next ones are.
    fn due(&self) -> (Vec<UserId>, Option<Instant>) {
        let mut table = self.table.lock();
        let now = Instant::now();
        let due = table
            .looks
            .extract_if(|_, when| *when <= now)
            .map(|(user, _)| user)
            .collect();
        (due, table.looks.values().min().copied())
    }

    fn look_at_absent(&self) {
        let followed: Vec<UserId> = self.table.lock().followed.keys().copied().collect();
        let absent = followed.into_iter().filter(|user| !self.directory.has(*user));
        self.look_at(absent, Instant::now());
    }

    fn tell(&self, state: &Presence, tell: &impl Fn(C, &Presence)) {
        let followers: Vec<C> = {
            let mut table = self.table.lock();
            let Some(followed) = table.followed.get_mut(&state.user_id) else {
                return;
            };
            // A user who connects once more while online has another `lastSeen`, which is no change.
            if followed.told.is_online == state.is_online {
                return;
            }
            if let Some(wait) = state.last_seen.filter(|_| !state.is_online).and_then(still_absent) {
                let when = Instant::now() + wait;
                table.looks.insert(state.user_id, when);
                return;
            }
            followed.told = *state;
            followed.followers.iter().copied().collect()
        };
        for follower in followers {
            tell(follower, state);
        }
    }

    /// How users are now, as others may see them, in the order given.
    pub async fn states(&self, users: &[UserId]) -> Result<Vec<Presence>, StoreError> {
        let found = self.store.people(users).await?;
        let state = |(id, (found, settings)): (&UserId, (Option<shared::User>, shared::Settings))| {
            let Some(mut user) = found else {
                return Presence {
                    user_id: *id,
                    is_online: false,
                    last_seen: None,
                };
            };
            // The store hears of those who are here a moment later.
            let here = self.directory.has(*id);
            if here != user.is_online && (here || !self.store.is_shared()) {
                user.is_online = here;
                user.last_seen = Some(now());
            }
            // Only those with whom a message was exchanged can follow somebody.
            let user = privacy::to_acquaintances(user, settings);
            Presence {
                user_id: *id,
                is_online: user.is_online,
                last_seen: user.last_seen,
            }
        };
        Ok(users.iter().zip(found).map(state).collect())
    }
}

/// How long somebody who left at this time must still be away before that is told.
fn still_absent(left: Timestamp) -> Option<Duration> {
    let absent = Duration::from_millis(u64::try_from(now().millis() - left.millis()).unwrap_or(0));
    limits::ABSENCE.checked_sub(absent).filter(|wait| !wait.is_zero())
}

impl<C: Copy + Eq + Hash> Table<C> {
    fn forget(&mut self, connection: C, users: impl IntoIterator<Item = UserId>) {
        for user in users {
            if let Some(followed) = self.followed.get_mut(&user) {
                followed.followers.remove(&connection);
                if followed.followers.is_empty() {
                    self.followed.remove(&user);
                    self.looks.remove(&user);
                }
            }
        }
    }
}
