//! What happens once a message's commit has ended: its sender is answered, the people concerned are told.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use shared::events::{self, Sent};
use shared::{Message, UserId};
use socketioxide::socket::{Sid, Socket};
use socketioxide::{SendError, SocketError, SocketIo};

use super::request::Reply;
use crate::chat::{Committed, Directory};
use crate::error;
use crate::net::detach::Upgrades;
use crate::net::stream::Hangup;

/// The way out to every connection of this process.
#[derive(Clone)]
pub struct Outlet {
    /// The sockets.
    pub io: SocketIo,
    /// Whose they are.
    pub directory: Arc<Directory<Sid>>,
    /// The transports of those that began with polling.
    pub upgrades: Arc<Upgrades>,
}

impl Outlet {
    /// Answers the sender, then tells the receiver's connections and the sender's other ones.
    pub fn settle(&self, committed: Committed<Reply>) {
        let Committed {
            outcome,
            deliver,
            reply,
            ..
        } = committed;
        reply.session.unanswered.fetch_sub(1, Ordering::Relaxed);
        let appended = match outcome {
            Ok(appended) => appended,
            Err(failure) => return reply.error(error::append_error(&failure)),
        };
        // Serialised once, however many hear it.
        let document = match to_raw_value(&appended.message) {
            Ok(document) => document,
            Err(cause) => {
                tracing::error!(%cause, "a message could not be serialised");
                return;
            }
        };
        let (sender, origin) = (reply.session.caller.user, reply.session.connection);
        reply.ok(Sent {
            message: &*document,
            duplicate: appended.duplicate,
        });
        if deliver {
            self.deliver(&appended.message, &document, sender, origin);
        }
    }

    fn deliver(&self, message: &Message, document: &RawValue, sender: UserId, origin: Sid) {
        if let Some(receiver) = message.receiver {
            let event = events::receive_message(receiver);
            for connection in self.directory.connections(receiver) {
                self.emit(connection, &event, document);
            }
        }
        for connection in self.directory.connections(sender) {
            if connection != origin {
                self.emit(connection, events::MESSAGE_SENT, document);
            }
        }
    }

    fn emit(&self, connection: Sid, event: &str, payload: &(impl Serialize + ?Sized)) {
        #[cfg(feature = "sabotage")]
        if crate::sabotage::drops_delivery() {
            return;
        }
        // A connection that is just being made or ended is in the directory, but not, or no longer, to be found here.
        // After the sockets were closed there is not even a namespace, for which `io.get_socket` would panic.
        if let Some(socket) = self.io.of("/").and_then(|namespace| namespace.get_socket(connection)) {
            let sent = socket.emit(event, payload);
            hang_up_if_full(&self.upgrades, &socket, sent);
        }
    }
}

/// Ends a connection whose buffer was full, so that its client notices that it missed something and catches up when
/// it is back. The library would drop the packet in silence.
pub fn hang_up_if_full(upgrades: &Upgrades, socket: &Socket, sent: Result<(), SendError>) {
    match sent {
        Err(SendError::Socket(SocketError::InternalChannelFull)) => {
            tracing::warn!(connection = %socket.id, "a client does not read fast enough; its connection is ended");
            let upgraded = upgrades.remove(socket.id.as_str());
            if let Some(hangup) = upgraded
                .as_ref()
                .or_else(|| socket.req_parts().extensions.get::<Hangup>())
            {
                hangup.hang_up();
            }
        }
        Err(SendError::Serialize(cause)) => tracing::error!(%cause, "an event could not be serialised"),
        // A connection that was closed meanwhile hears nothing more, as it should.
        Err(SendError::Socket(SocketError::Closed)) | Ok(()) => {}
    }
}
