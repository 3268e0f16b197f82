//! What the TCP connections and Engine.IO sessions of one server share: their clock, their bounds, their counters.
//!
//! [`Registry::run`] ends what is overdue: WebSockets whose client is silent, connections that do not read at the
//! least rate, sessions that poll no more. What the server had to end or to refuse is counted, and logged in
//! one line at a time, however often it happens.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use shared::UserId;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::end_reason::EndReason;
use super::intake::Intake;
use super::proxies::Proxies;
use crate::config::Limits;
use crate::delivery::budget::Budget;
use crate::rates::addresses::{Addresses, network};
use crate::rates::limiter::Uptime;

/// Seconds over which the rate of a reader is measured, and in which what has begun must be complete.
pub(super) const MAX_SECONDS: u32 = 30;

/// How often what is overdue is looked for, in seconds.
const CHECK_INTERVAL: u32 = 2;

/// How often what was refused and ended is logged, if anything was; in seconds.
const REPORT_INTERVAL: u32 = 10;

/// The connections and sessions of one server.
pub struct Registry {
    /// Seconds since the start, as of the last tick.
    now: AtomicU32,
    /// The same in smaller parts, read when it is asked for.
    pub(super) uptime: Uptime,
    /// What waits for clients.
    pub budget: Arc<Budget>,
    /// How often addresses may do what, and how many connections each has.
    pub addresses: Addresses,
    /// Whose word about its client is believed.
    pub(super) proxies: Proxies,
    /// Most sessions that poll and have not authenticated: in all, of an address, begun on one connection.
    max_unknown: (usize, u32, usize),
    /// What was read of requests and of WebSockets that have not authenticated, by address; see [`network`].
    pub(super) intake: Intake<IpAddr>,
    /// What was read of messages of users.
    pub(super) messages: Intake<UserId>,
    /// Requests of users that wait for their turn.
    pub(super) requests: Intake<UserId>,
    /// Connections that the server has closed, whose client may still be sending.
    pub(super) lingering: TaskTracker,
    /// What may become overdue. Held to add one, or to list all.
    watched: Mutex<Vec<Weak<dyn Overdue>>>,
    /// Sessions that have not authenticated. Held to change one entry.
    unknown: Mutex<Counted>,
    /// WebSockets that left without authenticating and of which the library still keeps something. Held to change one
    /// entry.
    departed: Mutex<Counted>,
    /// Ends a session of the Socket.IO library.
    closer: OnceLock<Closer>,
    ended: [AtomicU64; EndReason::ALL.len()],
    refused_connections: AtomicU64,
    refused_sessions: AtomicU64,
    refused_handshakes: AtomicU64,
    refused_addresses: AtomicU64,
    refused_requests: AtomicU64,
    refused_tokens: AtomicU64,
    proxy_headers: AtomicU64,
}

/// What is ended when it is overdue.
pub(super) trait Overdue: Send + Sync {
    /// Ends what is overdue at this second.
    fn end_if_overdue(&self, now: u32);
}

/// A place among the sessions that have not authenticated: in all, of an address, of a connection.
pub(super) struct UnknownPlace {
    registry: Arc<Registry>,
    address: IpAddr,
    of_connection: Arc<AtomicUsize>,
}

/// A place among the WebSockets that left without authenticating.
pub(super) struct DepartedPlace {
    registry: Arc<Registry>,
    address: IpAddr,
}

/// How many there are in all, and of each address.
type Counted = (usize, HashMap<IpAddr, u32>);

/// Ends a polling session by its id.
pub type Closer = Box<dyn Fn(&str) + Send + Sync>;

impl Registry {
    /// A registry of nothing.
    pub fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            now: AtomicU32::new(0),
            uptime: Uptime::begin(),
            addresses: Addresses::new(limits),
            proxies: Proxies::new(limits),
            max_unknown: (
                limits.max_unauthenticated as usize,
                limits.max_unauthenticated_per_address,
                limits.max_unauthenticated_per_connection as usize,
            ),
            budget: Arc::default(),
            intake: Intake::default(),
            messages: Intake::default(),
            requests: Intake::default(),
            lingering: TaskTracker::new(),
            watched: Mutex::default(),
            unknown: Mutex::default(),
            departed: Mutex::default(),
            closer: OnceLock::new(),
            ended: Default::default(),
            refused_connections: AtomicU64::new(0),
            refused_sessions: AtomicU64::new(0),
            refused_handshakes: AtomicU64::new(0),
            refused_addresses: AtomicU64::new(0),
            refused_requests: AtomicU64::new(0),
            refused_tokens: AtomicU64::new(0),
            proxy_headers: AtomicU64::new(0),
        })
    }

    /// Waits until the last of the clients whose connections were closed have taken what they were sent.
    pub async fn lingered(&self) {
        self.lingering.close();
        self.lingering.wait().await;
    }

    /// Says how a session of the library is ended.
    pub fn set_closer(&self, closer: Closer) {
        // There is one server to a registry.
        let _ = self.closer.set(closer);
    }

    /// Seconds since the start, as of the last look.
    pub(super) fn now(&self) -> u32 {
        self.now.load(Ordering::Relaxed)
    }

    /// Ends this from now on when it is overdue.
    pub(super) fn add(&self, overdue: Weak<dyn Overdue>) {
        let mut watched = self.watched.lock();
        if watched.len() == watched.capacity() {
            watched.retain(|one| one.strong_count() > 0);
        }
        watched.push(overdue);
    }

    /// Has the library end a session that began by polling.
    pub(super) fn close_session(&self, id: &str) {
        if let Some(close) = self.closer.get() {
            close(id);
        }
    }

    /// A place for a session that has not authenticated, or `None` if there are too many.
    /// `of_connection` counts those that were begun on its connection.
    pub(super) fn enter_unknown(
        self: &Arc<Self>,
        address: IpAddr,
        of_connection: &Arc<AtomicUsize>,
    ) -> Option<UnknownPlace> {
        let address = network(address);
        let begun = of_connection.load(Ordering::Relaxed);
        let mut unknown = self.unknown.lock();
        let (all, by_address) = &mut *unknown;
        let of_address = by_address.get(&address).copied().unwrap_or(0);
        let (max, max_of_address, max_of_connection) = self.max_unknown;
        if *all >= max || of_address >= max_of_address || begun >= max_of_connection {
            drop(unknown);
            self.refused_sessions.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        *all += 1;
        *by_address.entry(address).or_default() += 1;
        of_connection.fetch_add(1, Ordering::Relaxed);
        Some(UnknownPlace {
            registry: Arc::clone(self),
            address,
            of_connection: Arc::clone(of_connection),
        })
    }

    /// A place for what the library keeps, for ten seconds, of a WebSocket that has ended without authenticating.
    pub(super) fn depart(self: &Arc<Self>, address: IpAddr) -> DepartedPlace {
        let address = network(address);
        let mut departed = self.departed.lock();
        departed.0 += 1;
        *departed.1.entry(address).or_default() += 1;
        DepartedPlace {
            registry: Arc::clone(self),
            address,
        }
    }

    /// Whether so many WebSockets of this address, or of all, have left like that that no more are begun.
    pub(super) fn too_many_departed(&self, address: IpAddr) -> bool {
        let departed = self.departed.lock();
        let of_address = departed.1.get(&network(address)).copied().unwrap_or(0);
        let (max, max_of_address, _) = self.max_unknown;
        let too_many = departed.0 >= max || of_address >= max_of_address;
        drop(departed);
        if too_many {
            self.refused_sessions.fetch_add(1, Ordering::Relaxed);
        }
        too_many
    }

    pub(super) fn count_end(&self, reason: EndReason) {
        self.ended[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_refused_connection(&self) {
        self.refused_connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_refused_handshake(&self) {
        self.refused_handshakes.fetch_add(1, Ordering::Relaxed);
    }

    /// An address had as many connections as it may, or began them too often.
    pub(super) fn count_refused_address(&self) {
        self.refused_addresses.fetch_add(1, Ordering::Relaxed);
    }

    /// A request was one more than its address, or its user, may send.
    pub fn count_refused_request(&self) {
        self.refused_requests.fetch_add(1, Ordering::Relaxed);
    }

    /// A token was not looked at, because too many of its address were not accepted.
    pub fn count_refused_token(&self) {
        self.refused_tokens.fetch_add(1, Ordering::Relaxed);
    }

    /// A proxy began a connection with what is no header of the PROXY protocol.
    pub(super) fn count_proxy_header(&self) {
        self.proxy_headers.fetch_add(1, Ordering::Relaxed);
    }

    /// How often the server ended or refused something since its start, each with its name.
    pub fn counters(&self) -> Vec<(&'static str, u64)> {
        self.ended().chain(self.refused()).collect()
    }

    /// How many connections and sessions the server ended, by reason.
    pub fn ended(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let count = |reason: EndReason| self.ended[reason as usize].load(Ordering::Relaxed);
        EndReason::ALL
            .into_iter()
            .map(move |reason| (reason.name(), count(reason)))
    }

    /// How much the server refused, by what it was.
    pub fn refused(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let refused = [
            ("refused_connections", &self.refused_connections),
            ("refused_sessions", &self.refused_sessions),
            ("refused_handshakes", &self.refused_handshakes),
            ("refused_addresses", &self.refused_addresses),
            ("refused_requests", &self.refused_requests),
            ("refused_tokens", &self.refused_tokens),
            ("proxy_headers", &self.proxy_headers),
        ];
        refused
            .into_iter()
            .map(|(name, count)| (name, count.load(Ordering::Relaxed)))
    }

    /// Ends what is overdue, until `stop` is cancelled, and runs `clean` now and then.
    pub async fn run(self: Arc<Self>, stop: CancellationToken, clean: impl Fn() + Send) {
        let start = tokio::time::Instant::now();
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut checked, mut reported, mut logged) = (0, 0, self.counters());
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            let now = u32::try_from(start.elapsed().as_secs()).unwrap_or(u32::MAX);
            self.now.store(now, Ordering::Relaxed);
            if now >= checked + CHECK_INTERVAL {
                checked = now;
                self.end_overdue(now);
            }
            if now >= reported + REPORT_INTERVAL {
                reported = now;
                self.addresses.clean();
                clean();
                logged = self.report(logged);
            }
        }
    }

    fn end_overdue(&self, now: u32) {
        let watched: Vec<Arc<dyn Overdue>> = {
            let mut watched = self.watched.lock();
            watched.retain(|one| one.strong_count() > 0);
            watched.iter().filter_map(Weak::upgrade).collect()
        };
        watched.iter().for_each(|one| one.end_if_overdue(now));
    }

    /// One line for what was refused since the last one. Returns what is logged then.
    fn report(&self, logged: Vec<(&'static str, u64)>) -> Vec<(&'static str, u64)> {
        let counters = self.counters();
        let news: Vec<String> = counters
            .iter()
            .zip(&logged)
            .filter(|((_, now), (_, before))| now > before)
            .map(|((name, now), (_, before))| format!("{name} {}", now - before))
            .collect();
        if !news.is_empty() {
            tracing::warn!(
                counts = news.join(", "),
                "tcp: connections and sessions were ended or refused"
            );
        }
        counters
    }
}

#[cfg(test)]
impl Registry {
    /// One with the limits that nobody has set.
    pub(super) fn with_defaults() -> Arc<Self> {
        use clap::Parser;
        Self::new(&crate::config::Config::parse_from(["server"]).limits)
    }
}

impl Drop for UnknownPlace {
    fn drop(&mut self) {
        leave(&mut self.registry.unknown.lock(), self.address);
        self.of_connection.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for DepartedPlace {
    fn drop(&mut self) {
        leave(&mut self.registry.departed.lock(), self.address);
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
