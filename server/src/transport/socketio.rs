//! Socket.IO: who may connect, what they may ask, and how they are told.
//!
//! [`connect`] lets a socket in; [`request`] decodes an event, and answers it exactly once; each event has a file of
//! its own behind the table in [`crate::routes`]; [`crate::delivery`] delivers what was committed, [`resume`] what was missed.
//! Handlers run synchronously in the order of the events of a connection; whatever waits happens behind
//! [`crate::chat`], or is answered later, one request of a connection after the other.

pub mod connect;
pub mod conversations;
pub mod emit;
pub mod handshake;
pub mod mark;
pub mod presence;
pub mod request;
pub mod resume;
pub mod send_message;
pub mod settings;
pub mod sync;
mod text;
pub mod typing;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize};

use parking_lot::Mutex;
use shared::WireError;
use socketioxide::socket::Sid;
use tokio::sync::oneshot;

use crate::app::App;
use crate::auth::Caller;
use crate::chat::SubmitError;
use crate::error;
use crate::transport::tcp::link::Link;

/// One authenticated connection.
pub struct Session {
    /// The server it belongs to.
    pub app: Arc<App>,
    /// Who it is.
    pub caller: Caller,
    /// The connection's own id.
    pub connection: Sid,
    /// The way to its client.
    pub link: Link,
    /// Requests that wait for their answer.
    pub unanswered: AtomicU32,
    /// Bytes of those requests.
    pub unanswered_bytes: AtomicUsize,
    /// The end of the last request that is answered later. Held to put the next one behind it.
    last: Mutex<Option<oneshot::Receiver<()>>>,
    /// How often this connection said that somebody types, lately. Held to count one up.
    pub typing: Mutex<typing::Rate>,
}

/// A place in the row of one connection's requests that are answered later: they keep their order, and only one of
/// them works at a time. The next one's turn comes when this is dropped.
pub struct Turn {
    before: Option<oneshot::Receiver<()>>,
    _end: oneshot::Sender<()>,
}

impl Turn {
    /// Waits until it has come.
    pub async fn comes(&mut self) {
        if let Some(before) = self.before.take() {
            // Nothing is ever sent: the other end is dropped.
            let _ = before.await;
        }
    }
}

impl Session {
    /// The session of a connection that was just let in.
    pub fn new(app: Arc<App>, caller: Caller, connection: Sid, link: Link) -> Self {
        Self {
            app,
            caller,
            connection,
            link,
            unanswered: AtomicU32::new(0),
            unanswered_bytes: AtomicUsize::new(0),
            last: Mutex::default(),
            typing: Mutex::default(),
        }
    }

    /// Takes the last place in the row.
    pub fn turn(&self) -> Turn {
        let (end, ended) = oneshot::channel();
        Turn {
            before: self.last.lock().replace(ended),
            _end: end,
        }
    }

    /// Waits for a turn, and until the answer before has been written to the client.
    ///
    /// # Errors
    /// The server stops, which does not wait for clients that do not read.
    pub async fn may_begin(&self, turn: &mut Turn) -> Result<(), WireError> {
        turn.comes().await;
        tokio::select! {
            biased;
            () = self.ready_for_more() => Ok(()),
            () = self.app.stopping.cancelled() => Err(error::refused(SubmitError::Stopping)),
        }
    }

    /// Waits until so much of what was sent before has been written to the client that the next page may be read.
    pub async fn ready_for_more(&self) {
        self.link.ready_for_more().await;
    }

    /// Whether the client has heard everything up to now, on this connection or in the answer before.
    pub fn caught_up(&self, caught_up: bool) {
        self.app
            .directory
            .set_caught_up(self.caller.user, self.connection, caught_up);
    }

    /// Takes the connection out of the directory. It may be called again.
    pub fn leave(&self) {
        let Self {
            app,
            caller,
            connection,
            ..
        } = self;
        app.directory.leave(caller.user, *connection, || {
            app.presence.note(caller.user, false);
        });
        app.watch.look(caller.user);
        app.watch.end(*connection);
        self.link.is_gone();
    }
}

/// A connection can end before the library calls any handler of ours; but what it holds is dropped then, too.
impl Drop for Session {
    fn drop(&mut self) {
        self.leave();
    }
}
