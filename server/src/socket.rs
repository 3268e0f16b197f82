//! Socket.IO: who may connect, what they may ask, and how they are told.
//!
//! [`connect`] lets a socket in; [`request`] decodes an event, and answers it exactly once; each event has a file of
//! its own behind the table in [`crate::router`]; [`outlet`] delivers what was committed, [`resume`] what was missed.
//! Handlers run synchronously in the order of the events of a connection; whatever waits happens behind
//! [`crate::chat`], or is answered later, one request of a connection after the other.

pub mod connect;
pub mod conversations;
pub mod mark;
pub mod outlet;
pub mod presence;
pub mod request;
pub mod resume;
pub mod send_message;
pub mod settings;
pub mod sync;
pub mod typing;

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use parking_lot::Mutex;
use socketioxide::socket::Sid;

use crate::app::App;
use crate::auth::Caller;

/// One authenticated connection.
pub struct Session {
    /// The server it belongs to.
    pub app: Arc<App>,
    /// Who it is.
    pub caller: Caller,
    /// The connection's own id.
    pub connection: Sid,
    /// Requests that wait for their answer.
    pub unanswered: AtomicU32,
    /// Held by the one request that is being answered later, so that they keep their order.
    pub turn: tokio::sync::Mutex<()>,
    /// How often this connection said that somebody types, lately. Held to count one up.
    pub typing: Mutex<typing::Rate>,
}

impl Session {
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
        app.upgrades.remove(connection.as_str());
    }
}

/// A connection can end before the library calls any handler of ours; but what it holds is dropped then, too.
impl Drop for Session {
    fn drop(&mut self) {
        self.leave();
    }
}
