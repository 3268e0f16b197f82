//! Every TCP connection and every session that polls: counted, found, and looked after.
//!
//! [`Registry::look_after`] ends what is overdue: WebSockets whose client is silent, connections that do not read at the
//! least rate, sessions that poll no more. What the server had to end or to refuse is counted, and said in
//! one line at a time, however often it happens.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use shared::UserId;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::budget::Budget;
use super::connection::{CloseHandle, Connection, EndReason};
use super::intake::Intake;
use super::link::{DepartedPlace, Link, UnknownPlace, WeakLink};

/// Most sessions that poll and have not authenticated.
const UNKNOWN_SESSIONS: usize = 4_096;

/// Most of them from one address; of IPv6, from one /64 network.
const UNKNOWN_OF_ADDRESS: u32 = 2_048;

/// Most of them begun on one connection; a proxy's carries those of many clients.
const UNKNOWN_OF_CONNECTION: usize = 64;

/// How often what is overdue is looked for.
const LOOK: Duration = Duration::from_secs(2);

/// How often it is said what was refused and ended, if anything was.
const REPORT: u32 = 10;

/// The connections and sessions of one server.
pub struct Registry {
    /// Seconds since the start, as of the last tick.
    now: AtomicU32,
    /// What waits for clients.
    pub budget: Arc<Budget>,
    /// What was read of requests and of WebSockets of nobody, by address; see [`network`].
    pub(super) intake: Intake<IpAddr>,
    /// What was read of messages of users.
    pub(super) messages: Intake<UserId>,
    /// Requests of users that wait for their turn.
    pub(super) requests: Intake<UserId>,
    /// Connections that the server has closed, whose client may still be sending.
    pub(super) lingering: TaskTracker,
    /// Held to add one connection, or to list all.
    connections: Mutex<Vec<Weak<Connection>>>,
    /// The sessions that began by polling, by their ids. Held to look up or change one entry, or to list all.
    sessions: Mutex<HashMap<Box<str>, WeakLink>>,
    /// Sessions of nobody. Held to change one entry.
    unknown: Mutex<Counted>,
    /// WebSockets that left without authenticating and of which the library still keeps something. Held to change one
    /// entry.
    departed: Mutex<Counted>,
    /// Ends a session of the Socket.IO library.
    closer: OnceLock<Closer>,
    ended: [AtomicU64; EndReason::ALL.len()],
    refused_connections: AtomicU64,
    refused_sessions: AtomicU64,
}

/// How many there are in all, and of each address.
type Counted = (usize, HashMap<IpAddr, u32>);

/// Ends a polling session by its id.
pub type Closer = Box<dyn Fn(&str) + Send + Sync>;

impl Registry {
    /// A registry of nothing.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            now: AtomicU32::new(0),
            budget: Arc::default(),
            intake: Intake::default(),
            messages: Intake::default(),
            requests: Intake::default(),
            lingering: TaskTracker::new(),
            connections: Mutex::default(),
            sessions: Mutex::default(),
            unknown: Mutex::default(),
            departed: Mutex::default(),
            closer: OnceLock::new(),
            ended: Default::default(),
            refused_connections: AtomicU64::new(0),
            refused_sessions: AtomicU64::new(0),
        })
    }

    /// Waits until the last of the clients whose connections were closed have taken what they were sent.
    pub async fn lingered(&self) {
        self.lingering.close();
        self.lingering.wait().await;
    }

    /// Says how a session of the library is ended.
    pub fn closes_by(&self, closer: Closer) {
        // There is one server to a registry.
        let _ = self.closer.set(closer);
    }

    /// Seconds since the start, as of the last look.
    pub(super) fn now(&self) -> u32 {
        self.now.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, connection: &Arc<Connection>) {
        let mut connections = self.connections.lock();
        if connections.len() == connections.capacity() {
            connections.retain(|connection| connection.strong_count() > 0);
        }
        connections.push(Arc::downgrade(connection));
    }

    pub(super) fn add_session(&self, id: &str, link: &Link) {
        self.sessions.lock().insert(id.into(), link.downgrade());
    }

    pub(super) fn remove_session(&self, id: &str) {
        self.sessions.lock().remove(id);
    }

    /// A session that began by polling and lives.
    pub(super) fn session(&self, id: &str) -> Option<Link> {
        self.sessions.lock().get(id)?.upgrade()
    }

    pub(super) fn close_session(&self, id: &str) {
        if let Some(close) = self.closer.get() {
            close(id);
        }
    }

    /// A place for a session of somebody who is not known yet, or `None` if there are too many.
    pub(super) fn enter_unknown(self: &Arc<Self>, connection: &Arc<Connection>) -> Option<UnknownPlace> {
        let address = network(connection.address());
        let of_connection = connection.unknown_sessions.load(Ordering::Relaxed);
        let mut unknown = self.unknown.lock();
        let (all, by_address) = &mut *unknown;
        let of_address = by_address.get(&address).copied().unwrap_or(0);
        if *all >= UNKNOWN_SESSIONS || of_address >= UNKNOWN_OF_ADDRESS || of_connection >= UNKNOWN_OF_CONNECTION {
            drop(unknown);
            self.refused_sessions.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        *all += 1;
        *by_address.entry(address).or_default() += 1;
        connection.unknown_sessions.fetch_add(1, Ordering::Relaxed);
        Some(UnknownPlace {
            registry: Arc::clone(self),
            address,
            connection: CloseHandle::new(connection),
        })
    }

    /// A place for what the library keeps, for ten seconds, of a WebSocket that has ended without authenticating.
    pub(super) fn depart(self: &Arc<Self>, connection: &Connection) -> DepartedPlace {
        let address = network(connection.address());
        let mut departed = self.departed.lock();
        departed.0 += 1;
        *departed.1.entry(address).or_default() += 1;
        DepartedPlace {
            registry: Arc::clone(self),
            address,
        }
    }

    /// Whether so many WebSockets of this address, or of all, have left like that that no more are begun.
    pub(super) fn too_many_departed(&self, connection: &Connection) -> bool {
        let departed = self.departed.lock();
        let of_address = departed.1.get(&network(connection.address())).copied().unwrap_or(0);
        let too_many = departed.0 >= UNKNOWN_SESSIONS || of_address >= UNKNOWN_OF_ADDRESS;
        drop(departed);
        if too_many {
            self.refused_sessions.fetch_add(1, Ordering::Relaxed);
        }
        too_many
    }

    pub(super) fn forget_departed(&self, place: &DepartedPlace) {
        leave(&mut self.departed.lock(), place.address);
    }

    pub(super) fn leave_unknown(&self, place: &UnknownPlace) {
        leave(&mut self.unknown.lock(), place.address);
        if let Some(connection) = place.connection.connection() {
            connection.unknown_sessions.fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub(super) fn note_end(&self, reason: EndReason) {
        self.ended[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn note_refused_connection(&self) {
        self.refused_connections.fetch_add(1, Ordering::Relaxed);
    }

    /// How often the server ended or refused something since its start, each with its name.
    pub fn counters(&self) -> Vec<(&'static str, u64)> {
        let ended = EndReason::ALL
            .iter()
            .map(|reason| (reason.name(), &self.ended[*reason as usize]));
        let refused = [
            ("refused_connections", &self.refused_connections),
            ("refused_sessions", &self.refused_sessions),
        ];
        let all = ended.chain(refused);
        all.map(|(name, count)| (name, count.load(Ordering::Relaxed))).collect()
    }

    /// Ends what is overdue, until `stop` is cancelled.
    pub async fn look_after(self: Arc<Self>, stop: CancellationToken) {
        let start = tokio::time::Instant::now();
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut looked, mut reported, mut told) = (0, 0, self.counters());
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            let now = u32::try_from(start.elapsed().as_secs()).unwrap_or(u32::MAX);
            self.now.store(now, Ordering::Relaxed);
            if now >= looked + LOOK.as_secs() as u32 {
                looked = now;
                self.end_overdue(now);
            }
            if now >= reported + REPORT {
                reported = now;
                told = self.report(told);
            }
        }
    }

    fn end_overdue(&self, now: u32) {
        let connections: Vec<Arc<Connection>> = {
            let mut connections = self.connections.lock();
            connections.retain(|connection| connection.strong_count() > 0);
            connections.iter().filter_map(Weak::upgrade).collect()
        };
        for connection in connections {
            if let Some(reason) = connection.overdue(now) {
                connection.end(reason);
            }
        }
        let sessions: Vec<Link> = self.sessions.lock().values().filter_map(WeakLink::upgrade).collect();
        for session in sessions {
            session.end_if_overdue(now);
        }
    }

    /// One line for what was refused since the last one, and returns what is told then.
    fn report(&self, told: Vec<(&'static str, u64)>) -> Vec<(&'static str, u64)> {
        let counters = self.counters();
        let news: Vec<String> = counters
            .iter()
            .zip(&told)
            .filter(|((_, now), (_, before))| now > before)
            .map(|((name, now), (_, before))| format!("{name} {}", now - before))
            .collect();
        if !news.is_empty() {
            tracing::warn!(
                counts = news.join(", "),
                "connections and sessions were ended or refused"
            );
        }
        counters
    }
}

/// Takes one off, in all and of its address.
fn leave((all, by_address): &mut Counted, address: IpAddr) {
    *all -= 1;
    if let Some(count) = by_address.get_mut(&address) {
        *count -= 1;
        if *count == 0 {
            by_address.remove(&address);
        }
    }
}

/// What counts as one address: of IPv6 the network, because anybody has a whole one.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(six) => match six.to_ipv4_mapped() {
            Some(four) => IpAddr::V4(four),
            None => IpAddr::V6(Ipv6Addr::from(u128::from(six) & !u128::from(u64::MAX))),
        },
    }
}
