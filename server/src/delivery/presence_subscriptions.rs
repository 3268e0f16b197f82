//! Who follows whose presence.
//!
//! A user with a connection here is online; of others the store says whether another process serves them. What was
//! sent last is kept for each user who is followed, so that only changes are sent. A departure is sent only
//! [`limits::ABSENCE_DELAY`] after it happened: a user who is back by then never left.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use shared::{Presence, Timestamp, UserId, limits};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::client::ConnectionId;
use super::timer::sleep_until;
use super::{Connections, privacy};
use crate::clock::now;
use crate::outage::Outage;
use crate::storage::{HEARTBEAT_INTERVAL, Store, StoreError};

/// Most users read from the store with one query.
const MAX_BATCH: usize = 500;

/// Time before the store is queried again after it failed.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// After so many heartbeats without another process those who are absent are checked all the same: programs without
/// heartbeats can bring them online, too.
const MAX_HEARTBEAT_INTERVALS_UNCHECKED: u32 = 20;

/// A connection would follow more users than are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("one connection follows at most {} users", limits::PRESENCE_SUBSCRIPTIONS)]
pub struct CantFollow;

/// Which connection follows whom.
pub struct PresenceSubscriptions {
    store: Arc<dyn Store>,
    connections: Arc<Connections>,
    /// Held to change or look up a few entries, or to list who is followed; never across an await.
    table: Mutex<Table>,
    changed: Notify,
}

#[derive(Default)]
struct Table {
    followed: HashMap<UserId, Followed>,
    /// Whom each connection follows, and who is on it.
    follows: HashMap<ConnectionId, (UserId, HashSet<UserId>)>,
    /// Who is to be checked, and when; only those who are followed.
    checks: HashMap<UserId, Instant>,
}

struct Followed {
    followers: HashSet<ConnectionId>,
    /// What they were sent last.
    sent: Presence,
    /// When the user's last connection to this process ended. The store knows of it a moment later.
    left: Option<Timestamp>,
}

impl PresenceSubscriptions {
    /// No connection follows a user yet.
    pub fn new(store: Arc<dyn Store>, connections: Arc<Connections>) -> Self {
        Self {
            store,
            connections,
            table: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// How many users are followed, and by how many connections in all, one that follows several counted for each.
    pub fn size(&self) -> (usize, usize) {
        let table = self.table.lock();
        let followers = table.followed.values().map(|followed| followed.followers.len());
        (table.followed.len(), followers.sum())
    }

    /// A user came or left, or what others may see of them changed.
    pub fn recheck(&self, user: UserId) {
        self.schedule([user], Instant::now());
    }

    /// The last connection of a user to this process has ended.
    pub fn left(&self, user: UserId) {
        if let Some(followed) = self.table.lock().followed.get_mut(&user) {
            followed.left = Some(now());
        }
    }

    /// Has those who are followed checked, at a time or earlier.
    fn schedule(&self, users: impl IntoIterator<Item = UserId>, when: Instant) {
        let mut table = self.table.lock();
        for user in users {
            if table.followed.contains_key(&user) {
                let check = table.checks.entry(user).or_insert(when);
                *check = when.min(*check);
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
        connection: ConnectionId,
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
                    sent: *state,
                    left: None,
                });
                followed.followers.insert(connection);
                // All followers have the same state, so that the next change is one for each of them.
                *state = followed.sent;
            }
        }
        // A change since the query has reached no follower yet.
        self.schedule(users.iter().copied(), Instant::now());
        Ok(Ok(states))
    }

    /// A connection follows these users no more.
    pub fn unfollow(&self, connection: ConnectionId, users: &[UserId]) {
        let mut table = self.table.lock();
        if let Some((_, follows)) = table.follows.get_mut(&connection) {
            users.iter().for_each(|user| {
                follows.remove(user);
            });
        }
        table.forget(connection, users.iter().copied());
    }

    /// A connection has ended.
    pub fn end(&self, connection: ConnectionId) {
        let mut table = self.table.lock();
        if let Some((_, follows)) = table.follows.remove(&connection) {
            table.forget(connection, follows);
        }
    }

    /// Sends changes through `emit`, which is given the followers and what they are to be sent, until `stop` is cancelled.
    pub async fn run(
        self: Arc<Self>,
        stop: CancellationToken,
        emit: impl Fn(&[(UserId, ConnectionId)], &Presence) + Send,
    ) {
        let mut beat = tokio::time::interval(HEARTBEAT_INTERVAL);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut outage = Outage::default();
        let (mut others, mut unchecked) = (false, 0);
        loop {
            let (due, next) = self.due();
            for batch in due.chunks(MAX_BATCH) {
                match self.states(batch).await {
                    Ok(states) => {
                        if let Some(ended) = outage.worked() {
                            tracing::info!(lasted = ?ended.lasted, "presence subscriptions: the store can be read again");
                        }
                        states.iter().for_each(|state| self.emit_change(state, &emit));
                    }
                    Err(error) => {
                        if outage.failed() {
                            tracing::warn!(%error, "presence subscriptions: reading failed; it will be tried again");
                        }
                        self.schedule(batch.iter().copied(), Instant::now() + RETRY_DELAY);
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.changed.notified() => {}
                () = sleep_until(next) => {}
                // No event says when another process's users come and go. Once more when the last other process is gone.
                _ = beat.tick(), if self.store.is_shared() => {
                    let before = std::mem::replace(&mut others, self.store.others_live());
                    unchecked += 1;
                    if others || before || unchecked >= MAX_HEARTBEAT_INTERVALS_UNCHECKED {
                        unchecked = 0;
                        self.check_absent();
                    }
                }
            }
        }
    }

    /// Takes those who are to be checked now, and returns when the next ones are.
    fn due(&self) -> (Vec<UserId>, Option<Instant>) {
        let mut table = self.table.lock();
        let now = Instant::now();
        let due = table
            .checks
            .extract_if(|_, when| *when <= now)
            .map(|(user, _)| user)
            .collect();
        (due, table.checks.values().min().copied())
    }

    fn check_absent(&self) {
        let followed: Vec<UserId> = self.table.lock().followed.keys().copied().collect();
        let absent = followed.into_iter().filter(|user| !self.connections.has(*user));
        self.schedule(absent, Instant::now());
    }

    fn emit_change(&self, state: &Presence, emit: &impl Fn(&[(UserId, ConnectionId)], &Presence)) {
        let followers: Vec<(UserId, ConnectionId)> = {
            let mut table = self.table.lock();
            let Table {
                followed,
                follows,
                checks,
            } = &mut *table;
            let Some(followed) = followed.get_mut(&state.user_id) else {
                return;
            };
            // A user who connects once more while online has another `lastSeen`, which is no change.
            if followed.sent.is_online == state.is_online {
                return;
            }
            let left = state.last_seen.max(followed.left).filter(|_| !state.is_online);
            if let Some(wait) = left.and_then(still_absent) {
                let when = Instant::now() + wait;
                checks.insert(state.user_id, when);
                return;
            }
            followed.sent = *state;
            let named = |connection: &ConnectionId| follows.get(connection).map(|(user, _)| (*user, *connection));
            followed.followers.iter().filter_map(named).collect()
        };
        emit(&followers, state);
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
            // What the store has of those who are here is a moment old.
            let here = self.connections.has(*id);
            if here != user.is_online && (here || !self.store.is_shared()) {
                user.is_online = here;
                user.last_seen = Some(now());
            }
            // Only those with whom a message was exchanged can follow a user.
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

/// How long a user who left at this time must still be away before that is sent.
fn still_absent(left: Timestamp) -> Option<Duration> {
    let absent = Duration::from_millis(u64::try_from(now().millis() - left.millis()).unwrap_or(0));
    limits::ABSENCE_DELAY.checked_sub(absent).filter(|wait| !wait.is_zero())
}

impl Table {
    fn forget(&mut self, connection: ConnectionId, users: impl IntoIterator<Item = UserId>) {
        for user in users {
            if let Some(followed) = self.followed.get_mut(&user) {
                followed.followers.remove(&connection);
                if followed.followers.is_empty() {
                    self.followed.remove(&user);
                    self.checks.remove(&user);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
