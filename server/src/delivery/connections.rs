//! Who is connected to this process, and through which connections.

use std::collections::HashMap;

use shared::UserId;
use smallvec::SmallVec;

use super::sync::Mutex;

/// A user has as many connections as are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyConnections;

/// A connection, and whether its client has received everything so far.
#[derive(Debug, Clone)]
pub struct Connection<I, C> {
    /// Its name.
    pub id: I,
    /// The way to its client.
    pub client: C,
    /// Whether its client has caught up, so that it can be given a cursor with each event from now on.
    pub caught_up: bool,
}

/// The connections of one user: nearly always one, so that it needs no allocation of its own.
pub(super) type OfUser<I, C> = SmallVec<[Connection<I, C>; 1]>;

/// The connections of each user; `I` names a connection, `C` leads to its client.
pub struct ConnectionRegistry<I, C> {
    /// Guards the whole table; held to look up or change one user's few connections, never across an await.
    users: Mutex<HashMap<UserId, OfUser<I, C>>>,
    limit: usize,
}

impl<I: Copy + Eq, C: Clone> ConnectionRegistry<I, C> {
    /// An empty registry that takes up to `limit` connections of each user.
    pub fn new(limit: usize) -> Self {
        Self {
            users: Mutex::new(HashMap::new()),
            limit,
        }
    }

    /// Adds a connection. `on_first` runs, before anyone else can see a change, if it is the user's first.
    pub fn enter(&self, user: UserId, id: I, client: C, on_first: impl FnOnce()) -> Result<(), TooManyConnections> {
        let mut users = self.users.lock();
        let connections = users.entry(user).or_default();
        if connections.len() >= self.limit {
            return Err(TooManyConnections);
        }
        connections.push(Connection {
            id,
            client,
            caught_up: false,
        });
        if connections.len() == 1 {
            on_first();
        }
        Ok(())
    }

    /// Removes a connection; one that isn't there is no error. `on_last` runs, before anyone else can see a change,
    /// if it was the user's last.
    pub fn leave(&self, user: UserId, id: I, on_last: impl FnOnce()) {
        let mut users = self.users.lock();
        let Some(connections) = users.get_mut(&user) else {
            return;
        };
        let Some(index) = connections.iter().position(|one| one.id == id) else {
            return;
        };
        connections.swap_remove(index);
        if connections.is_empty() {
            users.remove(&user);
            on_last();
        }
    }

    /// The connections of a user now.
    pub fn of(&self, user: UserId) -> OfUser<I, C> {
        self.users.lock().get(&user).cloned().unwrap_or_default()
    }

    /// The connections of a user now, except one.
    pub fn others(&self, user: UserId, except: Option<I>) -> OfUser<I, C> {
        let users = self.users.lock();
        let connections = users.get(&user).into_iter().flatten();
        connections
            .filter(|connection| Some(connection.id) != except)
            .cloned()
            .collect()
    }

    /// How many connections a user has.
    pub fn count(&self, user: UserId) -> usize {
        self.users.lock().get(&user).map_or(0, SmallVec::len)
    }

    /// Whether a user has a connection.
    pub fn has(&self, user: UserId) -> bool {
        self.users.lock().contains_key(&user)
    }

    /// A connection has caught up, or has missed something. One that isn't there is no error.
    pub fn set_caught_up(&self, user: UserId, id: I, caught_up: bool) {
        let mut users = self.users.lock();
        let mut connections = users.get_mut(&user).into_iter().flatten();
        if let Some(connection) = connections.find(|one| one.id == id) {
            connection.caught_up = caught_up;
        }
    }

    /// The way to a connection of whichever user. It looks at all of them.
    pub fn find(&self, id: I) -> Option<C> {
        let users = self.users.lock();
        let found = users.values().flatten().find(|one| one.id == id);
        found.map(|one| one.client.clone())
    }

    /// The way to every connection there is.
    pub fn clients(&self) -> Vec<C> {
        let users = self.users.lock();
        users.values().flatten().map(|one| one.client.clone()).collect()
    }

    /// How many users and connections there are.
    pub fn size(&self) -> (usize, usize) {
        let users = self.users.lock();
        (users.len(), users.values().map(SmallVec::len).sum())
    }
}
