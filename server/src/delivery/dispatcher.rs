//! The way out: once something is committed, whoever asked is answered and the people concerned are told.

use std::sync::Arc;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use shared::events::{self, Sent};
use shared::sync::{Receipt, Resume};
use shared::{Conversation, Message, Presence, UserId};
use socketioxide::SocketIo;
use socketioxide::socket::Sid;

use crate::chat::{self, AppendOutcome, Buffered};
use crate::delivery::{Connection, ConversationNotifier, DeliveryWatermark, Hearing};
use crate::domain::{Cursor, Marker, Watermark};
use crate::error;
use crate::transport::socketio::emit::{self, ConnectionRegistry, Measured, Way};
use crate::transport::socketio::request::Reply;
use crate::transport::tcp::budget::Budget;
use crate::transport::tcp::connection::EndReason;

/// With more bytes than this on their way to a client it is not told how conversations stand.
const WAITING: usize = 128 * 1024;

/// The way out to every connection of this process.
#[derive(Clone)]
pub struct Dispatcher {
    /// The sockets.
    pub io: SocketIo,
    /// Whose they are.
    pub directory: Arc<ConnectionRegistry>,
    /// From where those that have caught up can go on.
    pub delivery_watermark: Arc<DeliveryWatermark>,
    /// Who is to be told how their conversations stand.
    pub updates: Arc<ConversationNotifier>,
    /// What waits for all clients.
    pub budget: Arc<Budget>,
}

/// While no more than this waits for all clients together, beside the first 4 KiB of each, nobody needs to be looked at by themself.
const LITTLE: usize = 64 * 1024;

impl Dispatcher {
    /// Answers the sender, then tells the receiver's connections and the sender's other ones. A sender who was answered
    /// before, that the store is unavailable, hears of the message like the others do.
    pub fn settle(&self, committed: AppendOutcome<Reply>) {
        let AppendOutcome {
            outcome,
            deliver,
            reply,
            ..
        } = committed;
        let appended = match outcome {
            Ok(appended) => appended,
            Err(failure) => {
                if let Some(reply) = reply {
                    reply.error(error::not_stored(&failure));
                }
                return;
            }
        };
        // Serialised once, however many hear it.
        let document = match to_raw_value(&appended.message) {
            Ok(document) => document,
            Err(cause) => {
                let error = error::not_serialised(&cause);
                if let Some(reply) = reply {
                    reply.error(error);
                }
                return;
            }
        };
        let origin = reply.as_ref().map(|reply| reply.session.connection);
        if let Some(reply) = reply {
            reply.ok(Sent {
                message: &*document,
                duplicate: appended.duplicate,
            });
        }
        if deliver {
            self.deliver(&appended.message, &document, origin);
        }
    }

    /// Tells of a message that another program committed.
    pub fn foreign_message(&self, message: &Message) {
        match to_raw_value(message) {
            Ok(document) => self.deliver(message, &document, None),
            Err(cause) => tracing::error!(%cause, "a message could not be serialised"),
        }
    }

    /// Tells both how their conversation stands after another process moved a watermark, as after any other change: of two who
    /// tell it, one would have the last word with what it had read first.
    pub fn foreign_marker(&self, marker: &Marker) {
        // No cursor has passed the marker yet.
        self.note(marker.user, marker.peer, Some(self.delivery_watermark.cursor()));
        if marker.user != marker.peer {
            self.note(marker.peer, marker.user, None);
        }
    }

    /// Tells whoever wrote the messages how far they were received, if `delivered`, and read, if `shown`: that they may know.
    /// Having read implies having received, which is then not said as well.
    pub fn receipts(&self, marker: &Marker, delivered: bool, shown: bool) {
        if marker.user == marker.peer {
            return;
        }
        let tell = |event, watermark: Watermark| {
            let receipt = Receipt {
                user_id: marker.user,
                peer_id: None,
                up_to: watermark.place.id,
                at: watermark.at,
            };
            self.tell(marker.peer, event, &receipt, None);
        };
        let read = marker.read.filter(|_| shown);
        let delivered = marker.delivered.filter(|_| delivered);
        if let Some(delivered) = delivered.filter(|delivered| read.is_none_or(|read| read.place < delivered.place)) {
            tell(events::MESSAGES_DELIVERED, delivered);
        }
        if let Some(read) = read {
            tell(events::MESSAGES_READ, read);
        }
    }

    /// Answers whoever marked messages, unless that was told before that the store is unavailable, and tells whoever wrote
    /// them.
    pub fn marked(&self, settled: chat::MarkOutcome<Reply>) {
        let chat::MarkOutcome {
            mark,
            outcome,
            shown,
            in_flight,
            reply,
        } = settled;
        let marked = match outcome {
            Ok(marked) => marked,
            Err(failure) => {
                if let Some(reply) = reply {
                    reply.error(error::mark_error(&failure));
                }
                return;
            }
        };
        if let Some(reply) = reply {
            reply.ok(crate::transport::socketio::mark::answer(&marked.marker));
        }
        if !(marked.delivered_moved || marked.read_moved) {
            return;
        }
        #[cfg(feature = "failpoints")]
        if marked.read_moved {
            crate::failpoints::reset_unread(mark.user, mark.peer);
        }
        self.receipts(&marked.marker, marked.delivered_moved, shown);
        // The in_flight of the mark is still out, so this lies in front of it.
        self.note(mark.user, mark.peer, Some(self.delivery_watermark.cursor()));
        drop(in_flight);
        if mark.user != mark.peer {
            self.note(mark.peer, mark.user, None);
        }
    }

    /// Whether a user can be told something that others need not wait for.
    pub fn hearing(&self, user: UserId) -> Hearing {
        let devices = self.directory.devices(user);
        if devices.is_empty() {
            return Hearing::Nobody;
        }
        let is_busy = |device: &Connection<Sid, Way>| device.way.link().account().waiting() > WAITING;
        match devices.iter().any(is_busy) {
            true => Hearing::Busy,
            false => Hearing::Ready,
        }
    }

    /// Tells a user how one of their conversations stands.
    pub fn updated(&self, user: UserId, conversation: &Conversation) {
        self.tell(user, events::CONVERSATION_UPDATED, conversation, None);
    }

    /// Tells all connections of a user of something that no cursor knows.
    pub fn tell_plainly(&self, user: UserId, event: &str, payload: &impl Serialize) {
        let devices = self.directory.devices(user);
        if devices.is_empty() {
            return;
        }
        let Some(payload) = Measured::new(payload) else { return };
        for device in devices {
            if device.way.event(event, &payload, None) == Some(false) {
                self.directory.set_caught_up(user, device.connection, false);
            }
        }
    }

    /// Tells one connection that somebody it follows came or left.
    pub fn present(&self, follower: Sid, presence: &Presence) {
        // After the sockets were closed there is not even a namespace, for which `io.get_socket` would panic.
        let socket = self.io.of("/").and_then(|namespace| namespace.get_socket(follower));
        if let Some(socket) = socket {
            emit::event(&socket, events::PRESENCE, presence);
        }
    }

    /// Tells all connections of a user, with the cursor behind it where they have caught up, except the one that is
    /// the origin of it.
    pub fn tell(&self, user: UserId, event: &str, payload: &(impl Serialize + ?Sized), origin: Option<Sid>) {
        let devices = self.directory.others(user, origin);
        if devices.is_empty() {
            return;
        }
        let caught_up = devices.iter().any(|device| device.caught_up);
        let resume = caught_up.then(|| self.resume(user)).flatten();
        let Some(payload) = Measured::new(payload) else { return };
        for device in devices {
            let resume = resume.as_deref().filter(|_| device.caught_up);
            if device.way.event(event, &payload, resume) == Some(false) {
                // It must not be given a cursor behind what it has not heard.
                self.directory.set_caught_up(user, device.connection, false);
            }
        }
    }

    /// What waits for a user's connections.
    pub fn backlog(&self, user: UserId) -> Buffered {
        if self.budget.waiting() <= LITTLE {
            return Buffered {
                bytes: 0,
                connections: self.directory.count(user),
            };
        }
        let devices = self.directory.devices(user);
        let waiting = devices.iter().map(|device| device.way.link().account().waiting());
        Buffered {
            bytes: waiting.max().unwrap_or(0),
            connections: devices.len(),
        }
    }

    /// The second argument of an event that a user is told now.
    fn resume(&self, user: UserId) -> Option<Box<RawValue>> {
        // In this order: see there.
        let of_all = self.delivery_watermark.cursor();
        let cursor = self.updates.held(user).unwrap_or(of_all);
        emit::json(&Resume {
            cursor: cursor.to_string(),
        })
    }

    fn deliver(&self, message: &Message, document: &RawValue, origin: Option<Sid>) {
        if let Some(receiver) = message.receiver {
            self.tell(receiver, &events::receive_message(receiver), document, None);
        }
        if let Some(sender) = message.sender {
            self.tell(sender, events::MESSAGE_SENT, document, origin);
        }
        if let (Some(sender), Some(receiver)) = (message.sender, message.receiver) {
            #[cfg(feature = "failpoints")]
            crate::failpoints::count_unread(receiver, sender);
            self.note(receiver, sender, None);
            if sender != receiver {
                self.note(sender, receiver, None);
            }
        }
    }

    /// A conversation of a user changed; nobody needs to be told if they have no connection here. See
    /// [`ConversationNotifier::note`] for `hold`.
    fn note(&self, user: UserId, peer: UserId, hold: Option<Cursor>) {
        if self.directory.has(user)
            && let Some(behind) = self.updates.note(user, peer, hold)
        {
            self.hang_up_all(behind);
            self.updates.forget(behind);
        }
    }

    /// Ends all connections of a user, who then catches up.
    pub(super) fn hang_up_all(&self, user: UserId) {
        for device in self.directory.devices(user) {
            // It must not be given a cursor behind what it has not heard.
            self.directory.set_caught_up(user, device.connection, false);
            device.way.link().end(EndReason::Unread);
        }
    }
}
