//! One accepted TCP connection: what it has cost so far, and how it is ended from outside.
//!
//! The Socket.IO library can leave a namespace but not end the transport under it, and a writer that is stuck on a
//! client that no longer reads waits for ever. Shutting the TCP stream down wakes it and starts the ordinary cleaning.

use std::net::IpAddr;
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::Mutex;
use shared::UserId;

use super::client_address::ClientAddress;
use super::end_reason::EndReason;
use super::intake::{self, Charge, FREE_BYTES, Requests};
use super::link::{Carrier, Link};
use super::places::Place;
use super::registry::{MAX_SECONDS, Overdue, Registry};
use super::socket::Socket;
use crate::delivery::budget::Account;
use crate::rates::addresses::{OpenConnection, network};

/// Seconds without a byte from a client after which its WebSocket is ended: the library sends a ping every 25 s and
/// gives 20 s for the answer, but can't end a connection whose writer is stuck.
const MAX_SILENT_SECONDS: u32 = 46;

/// The least rate in bytes a second at which what waits must be read.
const MIN_RATE: u64 = 1_024;

/// No message has begun that is not complete.
const COMPLETE: u32 = u32::MAX;

/// From where a connection came, and which way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Came {
    /// From where; [`UNIX`](crate::config::UNIX) from programs of this machine through a file.
    pub(super) peer: IpAddr,
    /// Whether it was by the way for administration.
    pub(super) is_for_administration: bool,
}

/// An accepted connection.
pub struct Connection {
    pub(super) socket: Socket,
    came: Came,
    client: ClientAddress,
    /// Given back when the connection is closed, as its place is.
    _open: Option<OpenConnection>,
    /// Given back when the connection is closed, also if it became a WebSocket.
    place: Place,
    registry: Arc<Registry>,
    /// The session that took the connection over, if it became a WebSocket.
    link: OnceLock<Link>,
    /// HTTP answers that wait to be written.
    answers: Account,
    /// Bytes that wait and are held once for all, so that they are charged to no user. Taken off first, so that what is charged stays so until it is written.
    uncharged: AtomicUsize,
    /// Engine.IO sessions that were begun here by polling and have not authenticated.
    pub(super) unknown_sessions: Arc<AtomicUsize>,
    /// What was read and waits. Held to note one read, request or answer; of WebSockets, one of a long message.
    intake: Mutex<Waits>,
    /// Since which second the message that came last is not complete; [`COMPLETE`] if it is.
    incomplete: AtomicU32,
    /// The second in which something was read.
    last_read: AtomicU32,
    written: AtomicU64,
    /// Whether the last attempt to write found no room.
    blocked: AtomicBool,
    ended: AtomicBool,
    /// Since when, and since how many bytes written, the rate is measured. Used by the reaper alone.
    measured: (AtomicU32, AtomicU64),
}

/// What was read of a connection and waits for its rest.
#[derive(Default)]
struct Waits {
    requests: Requests,
    charge: Option<Charge>,
    /// Whose body it is that comes, if that is known.
    user: Option<UserId>,
    /// What was said and waits, as of the last count.
    said: usize,
    /// What TLS holds: a handshake, or records that are not complete or not taken yet.
    sealed: usize,
}

/// What a TLS handshake costs until it is done.
const HANDSHAKE_COST: usize = FREE_BYTES + (16 << 10);

impl Connection {
    pub(super) fn new(
        socket: Socket,
        came: Came,
        client: ClientAddress,
        open: Option<OpenConnection>,
        place: Place,
        registry: &Arc<Registry>,
    ) -> Arc<Self> {
        let now = registry.now();
        let connection = Arc::new(Self {
            socket,
            came,
            client,
            _open: open,
            place,
            registry: Arc::clone(registry),
            link: OnceLock::new(),
            answers: Account::new(&registry.budget),
            uncharged: AtomicUsize::new(0),
            unknown_sessions: Arc::default(),
            intake: Mutex::default(),
            incomplete: AtomicU32::new(COMPLETE),
            last_read: AtomicU32::new(now),
            written: AtomicU64::new(0),
            blocked: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            measured: (AtomicU32::new(now), AtomicU64::new(0)),
        });
        registry.add(Arc::downgrade(&connection) as Weak<dyn Overdue>);
        connection
    }

    /// Whether it has one of the places that are kept for probes.
    pub fn is_reserved(&self) -> bool {
        self.place.is_reserved()
    }

    /// Whether it came by the way for administration.
    pub fn is_for_administration(&self) -> bool {
        self.came.is_for_administration
    }

    /// Where it comes from: the client, or a proxy whose requests say who that is.
    pub(super) fn client(&self) -> &ClientAddress {
        &self.client
    }

    /// What its HTTP answers are charged to.
    pub fn answers(&self) -> &Account {
        &self.answers
    }

    /// The connection is, or is about to become, the WebSocket of this session.
    pub(super) fn carries(self: &Arc<Self>, link: &Link) {
        link.set_carrier(Arc::downgrade(self) as Weak<dyn Carrier>);
        // A connection is upgraded once.
        let _ = self.link.set(link.clone());
    }

    /// The session whose WebSocket it is, if it is one.
    pub(super) fn link(&self) -> Option<&Link> {
        self.link.get()
    }

    /// A body comes of a session of this user, who is charged with it from now on: others may have the same address. False
    /// if the connection is to be read from no more.
    pub(super) fn reads_body_of(&self, user: UserId) -> bool {
        let mut intake = self.intake.lock();
        intake.user = Some(user);
        intake.charge = None;
        let waits = intake.requests.waits();
        let may = self.charge(&mut intake, waits);
        drop(intake);
        self.end_unless(may)
    }

    /// A request was answered. If it has a body, `body` counts the bytes that are read of it, also from now on.
    pub(super) fn answered(&self, body: Option<Arc<AtomicUsize>>) {
        let mut intake = self.intake.lock();
        let waits = intake.requests.answered(body);
        if intake.user.take().is_some() {
            intake.charge = None;
        }
        // It is less than before, so it may be.
        self.charge(&mut intake, waits);
    }

    /// Whether the client has sent one head of a request since the last answer, and nothing else.
    pub(super) fn is_one_head(&self) -> bool {
        self.intake.lock().requests.is_one_head()
    }

    /// Something came, or the end.
    pub(super) fn received(&self) {
        self.last_read.store(self.registry.now(), Ordering::Relaxed);
    }

    /// Counts what was read of requests. False if the connection is to be read from no more.
    pub(super) fn read(&self, read: &[u8]) -> bool {
        let mut intake = self.intake.lock();
        let waits = intake.requests.read(read);
        let may = self.charge(&mut intake, waits);
        drop(intake);
        self.end_unless(may)
    }

    /// Counts how much was read of a message that is not complete. False if the connection is to be read from no more.
    pub(super) fn hold(&self, bytes: usize) -> bool {
        let may = self.charge(&mut self.intake.lock(), bytes);
        self.end_unless(may)
    }

    /// Begins a TLS handshake, which is charged to its address. False if too many are under way.
    pub(super) fn begin_handshake(&self) -> bool {
        let mut intake = self.intake.lock();
        intake.sealed = HANDSHAKE_COST;
        let may = self.charge(&mut intake, 0);
        if !may {
            intake.sealed = 0;
            self.charge(&mut intake, 0);
        }
        may
    }

    /// TLS holds so many bytes. False if the connection is to be read from no more.
    pub(super) fn seal(&self, bytes: usize) -> bool {
        let mut intake = self.intake.lock();
        intake.sealed = bytes;
        let said = intake.said;
        let may = self.charge(&mut intake, said);
        drop(intake);
        self.end_unless(may)
    }

    /// Remembers whether another message than before is not complete.
    pub(super) fn begin_message(&self, begun: bool) {
        let since = if begun { self.registry.now() } else { COMPLETE };
        self.incomplete.store(since, Ordering::Relaxed);
    }

    /// Charges what waits, and returns whether it may.
    fn charge(&self, waits: &mut Waits, bytes: usize) -> bool {
        let user = waits.user.or_else(|| self.link.get().and_then(Link::user));
        waits.said = bytes;
        intake::charge(&mut waits.charge, bytes + waits.sealed, || {
            Some(match user {
                Some(user) => self.registry.messages.of(user),
                None => self.registry.intake.of(network(self.client.address)),
            })
        })
    }

    fn end_unless(&self, may: bool) -> bool {
        if !may {
            self.end(EndReason::Intake);
        }
        may
    }

    /// The kernel took so many bytes, of whatever.
    pub(super) fn moves(&self, bytes: usize) {
        self.blocked.store(false, Ordering::Relaxed);
        self.written.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// So many bytes of what was charged went out.
    pub(super) fn wrote(&self, bytes: usize) {
        match self.link.get() {
            Some(link) => link.account().written(bytes),
            None => self.answers.written(bytes - self.take_uncharged(bytes)),
        }
    }

    /// So many bytes of an answer wait that are held once for all who ask.
    pub(super) fn answers_with_held_once(&self, bytes: usize) {
        self.uncharged.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Takes off up to so many of the bytes that are charged to no user, and returns how many.
    fn take_uncharged(&self, bytes: usize) -> usize {
        let less = |waits: usize| Some(waits.saturating_sub(bytes)).filter(|_| waits > 0);
        let before = self.uncharged.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        before.unwrap_or(0).min(bytes)
    }

    /// There is no room to write.
    pub(super) fn block(&self) {
        self.blocked.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }

    pub(super) fn is_upgraded(&self) -> bool {
        self.link.get().is_some()
    }

    /// Ends the connection in both directions, once; what was not sent yet is lost.
    pub fn end(&self, reason: EndReason) {
        if !self.ended.swap(true, Ordering::Relaxed) {
            self.registry.count_end(reason);
            let link = self.link.get();
            let connection = link.and_then(Link::name);
            tracing::warn!(connection, peer = %self.client, reason = reason.name(), "tcp: a connection was ended");
            if let Some(link) = link {
                link.ends_because(reason);
                link.is_gone();
            }
            self.shut_down();
        }
    }

    /// Ends it without counting that, or logging it.
    pub(super) fn shut_down(&self) {
        // It fails only if the peer was faster.
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// Why it should be ended at this second, if it should.
    fn overdue(&self, now: u32) -> Option<EndReason> {
        let silent = now.saturating_sub(self.last_read.load(Ordering::Relaxed)) > MAX_SILENT_SECONDS;
        if silent && self.is_upgraded() {
            return Some(EndReason::Silent);
        }
        let since = self.incomplete.load(Ordering::Relaxed);
        if since != COMPLETE && now.saturating_sub(since) > MAX_SECONDS {
            return Some(EndReason::Intake);
        }
        let (since, of) = &self.measured;
        let written = self.written.load(Ordering::Relaxed);
        let blocked = self.blocked.load(Ordering::Relaxed);
        let over = now.saturating_sub(since.load(Ordering::Relaxed)) >= MAX_SECONDS;
        let slow = written - of.load(Ordering::Relaxed) < MIN_RATE * u64::from(MAX_SECONDS);
        if blocked && over && slow {
            return Some(EndReason::TooSlow);
        }
        if !blocked || over {
            since.store(now, Ordering::Relaxed);
            of.store(written, Ordering::Relaxed);
        }
        None
    }
}

impl Overdue for Connection {
    fn end_if_overdue(&self, now: u32) {
        if let Some(reason) = self.overdue(now) {
            self.end(reason);
        }
    }
}

impl Carrier for Connection {
    fn end(&self, reason: EndReason) {
        Self::end(self, reason);
    }

    fn shut_down(&self) {
        Self::shut_down(self);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(link) = self.link.get() {
            link.carrier_is_gone();
        }
    }
}

/// A handle to a connection that does not keep it open.
#[derive(Clone)]
pub struct CloseHandle(Weak<Connection>);

impl CloseHandle {
    /// A handle to this connection.
    pub fn new(connection: &Arc<Connection>) -> Self {
        Self(Arc::downgrade(connection))
    }

    /// The connection, while it is open.
    pub fn connection(&self) -> Option<Arc<Connection>> {
        self.0.upgrade()
    }
}
