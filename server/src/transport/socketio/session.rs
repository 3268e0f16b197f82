//! One authenticated connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use parking_lot::Mutex;
use shared::{UserId, WireError};
use tokio::sync::oneshot;

use super::client::SocketClient;
use super::hints::Hints;
use crate::chat::SubmitError;
use crate::delivery::budget::CONNECTION_BYTES;
use crate::delivery::registration::Registration;
use crate::rates::UserUse;
use crate::supervisor::Supervisor;
use crate::transport::tcp::end_reason::EndReason;
use crate::transport::tcp::link::Link;

/// Most bytes of one connection's requests that may wait for their answer. An answer repeats a message, and many can be
/// given at once: they have to fit into what may wait for the client to read them.
pub(super) const MAX_UNANSWERED_BYTES: usize = CONNECTION_BYTES / 2;

/// One authenticated connection.
pub struct Session {
    /// Whose it is.
    pub user: UserId,
    /// Its client, and the token by which it was let in.
    pub client: Arc<SocketClient>,
    /// The connection, registered until the session is dropped.
    pub registration: Registration,
    /// The way to its client.
    pub link: Link,
    /// How often its user did what lately, over all connections.
    pub rates: Arc<UserUse>,
    /// Owns the tasks of its requests.
    pub(super) supervisor: Supervisor,
    /// What tells its client about mistakes, if that is wanted.
    pub(super) hints: Option<Arc<Hints>>,
    /// Whether its end was logged.
    ended: AtomicBool,
    /// Requests that wait for their answer.
    unanswered: AtomicU32,
    /// Events that wait until it is known whom they name.
    pub(super) look_ups: AtomicU32,
    /// Bytes of those requests.
    unanswered_bytes: AtomicUsize,
    /// The end of the last request that is answered later. Held to put the next one after it.
    last: Mutex<Option<oneshot::Receiver<()>>>,
}

impl Session {
    /// The session of a connection that was just let in.
    pub fn new(
        user: UserId,
        client: Arc<SocketClient>,
        registration: Registration,
        link: Link,
        rates: Arc<UserUse>,
        supervisor: Supervisor,
        hints: Option<Arc<Hints>>,
    ) -> Self {
        Self {
            user,
            client,
            registration,
            link,
            rates,
            supervisor,
            hints,
            ended: AtomicBool::new(false),
            unanswered: AtomicU32::new(0),
            look_ups: AtomicU32::new(0),
            unanswered_bytes: AtomicUsize::new(0),
            last: Mutex::default(),
        }
    }

    /// The next place in the order of this connection's requests that are answered later.
    pub(super) fn next_in_order(&self) -> RequestOrder {
        let (end, ended) = oneshot::channel();
        RequestOrder {
            previous: self.last.lock().replace(ended),
            _end: end,
        }
    }

    /// Waits for the requests before, and until the answer before has been written to the client.
    ///
    /// # Errors
    /// The server stops, which does not wait for clients that do not read.
    pub(super) async fn may_begin(&self, order: &mut RequestOrder) -> Result<(), WireError> {
        order.wait().await;
        tokio::select! {
            biased;
            () = self.ready_for_more() => Ok(()),
            () = self.supervisor.stopping().cancelled() => Err(SubmitError::Stopping.into()),
        }
    }

    /// Waits until so much of what was sent before has been written to the client that the next page may be read.
    pub async fn ready_for_more(&self) {
        self.link.ready_for_more().await;
    }

    /// Logs, once, that the connection has ended: for the reason that the server gave for it, else for this one.
    pub fn has_ended(&self, reason: &'static str) {
        if self.ended.swap(true, Ordering::Relaxed) {
            return;
        }
        let own = || self.link.why_ended().map(EndReason::name);
        let reason = self.client.ending().or_else(own).unwrap_or(reason);
        tracing::debug!(connection = self.link.name(), user = %self.user, reason, "disconnected");
    }

    /// Takes the connection out of the registry. It may be called again.
    pub fn leave(&self) {
        self.registration.leave();
        self.client.left();
        self.link.is_gone();
    }
}

/// A connection can end before the library calls any handler of ours; but what it holds is dropped then, too.
impl Drop for Session {
    fn drop(&mut self) {
        self.has_ended("not_let_in");
        self.leave();
    }
}

/// A place in the order of one connection's requests that are answered later: only one of them works at a time. The next one
/// begins when this is dropped.
pub struct RequestOrder {
    previous: Option<oneshot::Receiver<()>>,
    _end: oneshot::Sender<()>,
}

impl RequestOrder {
    /// Waits for the end of the request before.
    pub async fn wait(&mut self) {
        if let Some(previous) = self.previous.take() {
            // Nothing is ever sent: the other end is dropped.
            let _ = previous.await;
        }
    }
}

/// One of the requests of a connection that wait for their answer, and its bytes, until it is dropped.
pub(super) struct UnansweredPermit {
    session: Arc<Session>,
    bytes: usize,
}

/// Why no more requests of a connection can wait.
pub(super) enum Full {
    Requests,
    Bytes,
}

impl UnansweredPermit {
    /// Counts a request of so many bytes among those that wait, unless `limit` or too many bytes do already.
    pub(super) fn acquire(session: &Arc<Session>, limit: u32, bytes: usize) -> Result<Self, Full> {
        let waiting = session.unanswered.fetch_add(1, Ordering::Relaxed);
        let before = session.unanswered_bytes.fetch_add(bytes, Ordering::Relaxed);
        let permit = Self {
            session: Arc::clone(session),
            bytes,
        };
        if waiting >= limit {
            return Err(Full::Requests);
        }
        if before > 0 && before + bytes > MAX_UNANSWERED_BYTES {
            return Err(Full::Bytes);
        }
        Ok(permit)
    }

    /// The bytes of the request.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for UnansweredPermit {
    fn drop(&mut self) {
        self.session.unanswered.fetch_sub(1, Ordering::Relaxed);
        self.session.unanswered_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
