//! Socket.IO: who may connect, what they may ask, and how they are told.
//!
//! [`connect`] lets a socket in; [`request`] decodes an event, and answers it exactly once; each event has a file of
//! its own behind the table in [`crate::router`]; [`outlet`] delivers what was committed. Handlers run synchronously
//! in the order of the events of a connection; whatever waits happens behind [`crate::chat`].

pub mod connect;
pub mod outlet;
pub mod request;
pub mod send_message;

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

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
    /// Messages that wait for their answer.
    pub unanswered: AtomicU32,
}

impl Session {
    /// Takes the connection out of the directory. It may be called again.
    pub fn leave(&self) {
        let Self {
            app,
            caller,
            connection,
            ..
        } = self;
        app.directory
            .leave(caller.user, *connection, || app.presence.note(caller.user, false));
        app.upgrades.remove(connection.as_str());
    }
}

/// A connection can end before the library calls any handler of ours; but what it holds is dropped then, too.
impl Drop for Session {
    fn drop(&mut self) {
        self.leave();
    }
}
