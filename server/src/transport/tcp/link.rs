//! The way to the client of one Engine.IO session, over whichever connections that is.
//!
//! A link is made for the request that begins a session, and travels in its extensions, where the Socket.IO library keeps
//! it as long as the session lives: what a link holds is given back when, and not before, the library has let go of
//! the session. A session that polls comes over changing connections, which may be a proxy's and carry other people's
//! requests as well, so it is never ended by ending one of those.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use shared::UserId;
use socketioxide::socket::Socket;
use tokio_util::sync::CancellationToken;

use super::client_address::ClientAddress;
use super::end_reason::EndReason;
use super::intake::Waits;
use super::packets::{ATTACHMENT, CONNECT, Waiting};
use super::pause::Pause;
use super::registry::{DepartedPlace, MAX_SECONDS, Registry, UnknownPlace};
use super::rest::Rest;
use super::unserved;
use crate::delivery::budget::{Account, OverBudget};
use crate::rates::addresses::OpenConnection;

mod refusals;
mod sessions;

pub(super) use refusals::{Refusals, complete_answer};
pub use sessions::Sessions;

/// Seconds in which a session that polls must ask for what waits for it. A ping waits at least every 25 s.
const MAX_ABSENT_SECONDS: u32 = 46;

/// Bytes that a session may send before it has authenticated: a token is much shorter. The library has a task for each
/// packet that asks to connect, however many there are.
const MAX_HANDSHAKE_BYTES: usize = 16 << 10;

/// The way to one session's client.
#[derive(Clone)]
pub struct Link(Arc<Session>);

/// The connection that carries a session, as its WebSocket.
pub(super) trait Carrier: Send + Sync {
    /// Ends it, and counts and logs why.
    fn end(&self, reason: EndReason);

    /// Ends it without that.
    fn shut_down(&self);
}

struct Session {
    registry: Arc<Registry>,
    client: ClientAddress,
    /// One of the connections of its client, if it came through a proxy: that has none of its own.
    _open: Option<OpenConnection>,
    sessions: Arc<Sessions>,
    account: Account,
    /// Its id, if it began by polling.
    polls: OnceLock<Box<str>>,
    /// The second in which it last polled.
    polled: AtomicU32,
    /// Its WebSocket, if it has one or is about to. Held to put it in or copy it.
    socket: Mutex<Option<Weak<dyn Carrier>>>,
    /// Whether its one upgrade was asked for.
    upgrades: AtomicBool,
    /// Packets of a poll that its client could not be given yet.
    rest: Rest,
    /// Its place among those that have not authenticated. Held to take it out.
    unknown: Mutex<Option<UnknownPlace>>,
    /// Its place among those that left without authenticating, until the library lets go of it.
    departed: OnceLock<DepartedPlace>,
    /// Who it is, once it has authenticated.
    user: OnceLock<UserId>,
    /// What its connection is called, once it has authenticated.
    name: OnceLock<Box<str>>,
    /// Why the server ended it, if it did.
    why: OnceLock<EndReason>,
    /// Packets that asked to connect and were not refused.
    connects: AtomicUsize,
    /// Refusals that are on their way to the client.
    refusals: Refusals,
    /// Bytes that were read of it before it was known.
    handshake: AtomicUsize,
    /// Whether a body is being taken.
    posts: AtomicBool,
    /// What came by polling of an event that is not complete. Held to count one packet.
    waiting: Mutex<Waiting>,
    /// Requests that wait for their turn. Held to add one or take it off.
    requests: Mutex<Waits>,
    /// While nothing is read of it.
    pause: Pause,
    ended: AtomicBool,
    gone: CancellationToken,
}

impl Link {
    pub(super) fn new(
        sessions: &Arc<Sessions>,
        client: ClientAddress,
        open: Option<OpenConnection>,
        place: Option<UnknownPlace>,
    ) -> Self {
        let registry = &sessions.registry;
        Self(Arc::new(Session {
            registry: Arc::clone(registry),
            client,
            _open: open,
            sessions: Arc::clone(sessions),
            account: Account::new(&registry.budget),
            polls: OnceLock::new(),
            polled: AtomicU32::new(registry.now()),
            socket: Mutex::default(),
            upgrades: AtomicBool::new(false),
            rest: Rest::default(),
            unknown: Mutex::new(place),
            departed: OnceLock::new(),
            user: OnceLock::new(),
            name: OnceLock::new(),
            why: OnceLock::new(),
            connects: AtomicUsize::new(0),
            refusals: Refusals::default(),
            handshake: AtomicUsize::new(0),
            posts: AtomicBool::new(false),
            waiting: Mutex::default(),
            requests: Mutex::default(),
            pause: Pause::default(),
            ended: AtomicBool::new(false),
            gone: CancellationToken::new(),
        }))
    }

    /// The link of a Socket.IO connection.
    pub fn of(socket: &Socket) -> Option<&Self> {
        socket.req_parts().extensions.get::<Self>()
    }

    /// Where its client is.
    pub fn client(&self) -> &ClientAddress {
        &self.0.client
    }

    /// Seconds since the start of the server, as of the last look.
    pub fn second(&self) -> u32 {
        self.0.registry.now()
    }

    /// What waits for its client.
    pub fn account(&self) -> &Account {
        &self.0.account
    }

    /// Cancelled when the session has ended or is being ended: what is still done for it can be dropped.
    pub fn gone(&self) -> &CancellationToken {
        &self.0.gone
    }

    /// Waits until nearly all that waited for the client was written, or the session has ended.
    pub async fn ready_for_more(&self) {
        tokio::select! {
            () = self.0.account.drained() => {}
            () = self.0.gone.cancelled() => {}
        }
    }

    /// The session has authenticated. `name` is what administration and the log call its connection.
    pub fn is_of(&self, user: UserId, name: String) {
        let _ = self.0.name.set(name.into());
        self.0.account.belongs_to(user);
        // The library lets a session in once.
        let _ = self.0.user.set(user);
        drop(self.0.unknown.lock().take());
    }

    /// What its connection is called, if it has authenticated.
    pub fn name(&self) -> Option<&str> {
        self.0.name.get().map(|name| &**name)
    }

    /// Why the server ended it, if it did.
    pub fn why_ended(&self) -> Option<EndReason> {
        self.0.why.get().copied()
    }

    /// The server ends it for this reason. The first one counts.
    pub(super) fn ends_because(&self, reason: EndReason) {
        let _ = self.0.why.set(reason);
    }

    /// Who it is, if it has authenticated.
    pub fn user(&self) -> Option<UserId> {
        self.0.user.get().copied()
    }

    /// Begins to take a body that the session posts. `None`, and the end of the session, if another one is not taken yet.
    pub(super) fn begin_post(&self) -> Option<Posting> {
        if self.0.posts.swap(true, Ordering::Acquire) {
            self.end(EndReason::Protocol);
            return None;
        }
        Some(Posting(self.clone()))
    }

    /// Counts a packet that came by polling. False, and the end of the session, if it may not come.
    pub(super) fn packet(&self, beginning: &[u8], bytes: usize) -> bool {
        let session = &self.0;
        let owner = || self.user().map(|user| session.registry.messages.of(user));
        let came = session
            .waiting
            .lock()
            .came(beginning, bytes, session.registry.now(), owner);
        if came == Err(EndReason::Protocol) && beginning.first() == Some(&ATTACHMENT) {
            unserved::say(unserved::PARSER);
        }
        if let Err(reason) = came {
            self.end(reason);
        }
        came.is_ok() && self.asks_to_connect(usize::from(beginning.starts_with(CONNECT)))
    }

    /// So many attachments came over the WebSocket that no event there had announced. False if none by polling had, either.
    pub(super) fn attached(&self, attachments: usize) -> bool {
        let mut waiting = self.0.waiting.lock();
        let announced = waiting.since().is_some();
        waiting.came_elsewhere(attachments);
        announced
    }

    /// Reads no more of the session for a while: it is refused so often that this costs others.
    pub fn pause(&self, time: Duration) {
        self.0.pause.begin(time, &self.0.registry);
    }

    /// How long nothing more is read of it; `None` if it may be read.
    pub(super) fn paused(&self) -> Option<Duration> {
        self.0.pause.left(&self.0.registry)
    }

    /// What waits of its requests, and where that is charged.
    pub(super) fn requests(&self) -> (&Mutex<Waits>, &Registry) {
        (&self.0.requests, &self.0.registry)
    }

    /// Its WebSocket has ended.
    pub(super) fn carrier_is_gone(&self) {
        if !self.is_known() {
            // There is one WebSocket.
            let _ = self.0.departed.set(self.0.registry.depart(self.0.client.address));
        }
    }

    /// Whether it has authenticated.
    pub fn is_known(&self) -> bool {
        self.0.user.get().is_some()
    }

    /// Counts what was read of the session. False, and the end of it, if that is too much for one that is not known.
    pub(super) fn read(&self, bytes: usize) -> bool {
        let read = || self.0.handshake.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let may = self.is_known() || read() <= MAX_HANDSHAKE_BYTES;
        if !may {
            self.end(EndReason::Intake);
        }
        may
    }

    /// Charges a packet of so many bytes before it is sent.
    ///
    /// # Errors
    /// If it may not wait; the session is then ended.
    pub fn charge(&self, bytes: usize) -> Result<(), OverBudget> {
        if self.0.ended.load(Ordering::Relaxed) {
            return Err(OverBudget);
        }
        self.0
            .account
            .charge(bytes)
            .inspect_err(|_| self.end(EndReason::Unread))
    }

    /// Ends the session itself, whatever it is carried by, once.
    pub fn end(&self, reason: EndReason) {
        let session = &self.0;
        if session.ended.swap(true, Ordering::Relaxed) {
            return;
        }
        self.ends_because(reason);
        session.gone.cancel();
        if let Some(carrier) = self.carrier() {
            carrier.end(reason);
        } else {
            session.registry.count_end(reason);
            tracing::warn!(
                connection = self.name(),
                reason = reason.name(),
                "engine.io: a polling session was ended"
            );
        }
        if let Some(id) = session.polls.get() {
            session.registry.close_session(id);
        }
    }

    /// Ends the transport without counting it as a fault.
    pub fn close(&self) {
        self.0.gone.cancel();
        if let Some(carrier) = self.carrier() {
            carrier.shut_down();
        }
        if let Some(id) = self.0.polls.get() {
            self.0.registry.close_session(id);
        }
    }

    /// Lets go of what is still done for the session, which has ended.
    pub fn is_gone(&self) {
        self.0.gone.cancel();
    }

    /// The session began by polling, under this id.
    pub(super) fn polls_as(&self, id: &str) {
        // It is said once, by the answer to the request that the link was made for.
        let _ = self.0.polls.set(id.into());
        self.0.sessions.links.lock().insert(id.into(), Arc::downgrade(&self.0));
    }

    /// A poll has begun or was answered.
    pub(super) fn polled(&self) {
        self.0.polled.store(self.0.registry.now(), Ordering::Relaxed);
    }

    /// Asks for its one upgrade. False if that was asked for before: the library would answer the second one as well, and
    /// then let go of it.
    pub(super) fn begin_upgrade(&self) -> bool {
        !self.0.upgrades.swap(true, Ordering::SeqCst)
    }

    /// Keeps packets for the next poll. They are given back if the session becomes a WebSocket, which is not polled.
    pub(super) fn keep_rest(&self, packets: Bytes) -> Result<(), Bytes> {
        // An upgrade begins first, and then waits until nothing is kept.
        self.0.rest.keep(packets, || self.0.upgrades.load(Ordering::SeqCst))
    }

    /// What is kept for the next poll.
    pub(super) fn rest(&self) -> &Rest {
        &self.0.rest
    }

    /// The upgrade was refused, and may be asked for again.
    pub(super) fn no_upgrade(&self) {
        self.0.upgrades.store(false, Ordering::Relaxed);
    }

    /// This connection is, or is about to become, its WebSocket.
    pub(super) fn set_carrier(&self, carrier: Weak<dyn Carrier>) {
        *self.0.socket.lock() = Some(carrier);
    }

    fn carrier(&self) -> Option<Arc<dyn Carrier>> {
        self.0.socket.lock().as_ref().and_then(Weak::upgrade)
    }

    /// Ends it if it polls no more, or an event that came by polling lacks its attachments for too long.
    fn end_if_overdue(&self, now: u32) {
        let late = |since, seconds| now.saturating_sub(since) > seconds;
        let absent = late(self.0.polled.load(Ordering::Relaxed), MAX_ABSENT_SECONDS);
        let incomplete = self.0.waiting.lock().since();
        // A WebSocket is looked after by itself.
        if absent && self.0.socket.lock().is_none() {
            self.end(EndReason::Silent);
        } else if incomplete.is_some_and(|since| late(since, MAX_SECONDS)) {
            self.end(EndReason::Intake);
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.gone.cancel();
        if let Some(id) = self.polls.get() {
            self.sessions.links.lock().remove(id);
        }
    }
}

/// A body is being taken, until this is dropped.
pub(super) struct Posting(Link);

impl Drop for Posting {
    fn drop(&mut self) {
        self.0.0.posts.store(false, Ordering::Release);
    }
}
