//! The way out: once something is committed, the connections of the people concerned are sent it.

use std::sync::Arc;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use shared::sync::{Receipt, Resume};
use shared::trace::TraceEvent;
use shared::{Conversation, Message, Presence, Settings, Timestamp, UserId, events};

use super::Connections;
use super::budget::Budget;
use super::client::{Client, ConnectionId, Emitted};
use super::connections::{Connection, OfUser};
use super::conversation_notifier::{ConversationNotifier, Readiness};
use super::watermark::DeliveryWatermark;
use crate::clock;
use crate::domain::{Cursor, Marker, Watermark};
use crate::message_trace::MessageTrace;

/// With more bytes than this waiting for a client it is not sent how conversations stand.
const BUSY_BYTES: usize = 128 * 1024;

/// While no more bytes than this wait for all clients together, beside the first 4 KiB of each, no connection needs to be
/// looked at by itself.
const IDLE_BYTES: usize = 64 * 1024;

/// What waits for a user's connections to this process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Buffered {
    /// Bytes in the fullest send buffer.
    pub bytes: usize,
    /// How many connections there are.
    pub connections: usize,
}

/// The way out to every connection of this process.
#[derive(Clone)]
pub struct Dispatcher {
    /// Whose connections they are.
    pub connections: Arc<Connections>,
    /// From where those that have caught up can go on.
    pub watermark: Arc<DeliveryWatermark>,
    /// Who is to be sent how their conversations stand.
    pub conversation_notifier: Arc<ConversationNotifier>,
    /// What waits for all clients.
    pub budget: Arc<Budget>,
    /// What happened to recent messages.
    pub trace: Arc<MessageTrace>,
}

impl Dispatcher {
    /// Sends a committed message to the receiver's connections, and to the sender's except `origin`. `document` is the message as
    /// JSON: it is serialised once, however many connections receive it. `at` is when it was committed, for the trace.
    pub fn message(&self, message: &Message, document: &RawValue, origin: Option<ConnectionId>, at: Timestamp) {
        if let Some(receiver) = message.receiver {
            let sent = |event, detail| self.trace.record_at(message.id, event, at, detail);
            let connections = self.connections.others(receiver, None);
            if connections.is_empty() {
                sent(TraceEvent::NobodyHere, 0);
            }
            self.emit_to(
                connections,
                receiver,
                &events::receive_message(receiver),
                document,
                |id, emitted| {
                    sent(became(emitted, TraceEvent::Sent), id.number());
                },
            );
        }
        if let Some(sender) = message.sender {
            let connections = self.connections.others(sender, origin);
            self.emit_to(connections, sender, events::MESSAGE_SENT, document, |id, emitted| {
                let event = became(emitted, TraceEvent::SentToSender);
                self.trace.record_at(message.id, event, at, id.number());
            });
        }
        if let (Some(sender), Some(receiver)) = (message.sender, message.receiver) {
            #[cfg(feature = "failpoints")]
            crate::failpoints::count_unread(receiver, sender);
            self.conversation_changed(receiver, sender, None);
            if sender != receiver {
                self.conversation_changed(sender, receiver, None);
            }
        }
    }

    /// Sends a message that another program committed.
    pub fn remote_message(&self, message: &Message) {
        if let Some(document) = json(message) {
            self.message(message, &document, None, clock::now());
        }
    }

    /// Sends both how their conversation stands after a watermark moved. The guard of the mark must still be held, so that the
    /// cursor of now is before the mark.
    pub fn marker_moved(&self, user: UserId, peer: UserId) {
        self.conversation_changed(user, peer, Some(self.watermark.cursor()));
    }

    /// The second half of [`marker_moved`](Self::marker_moved), for the peer, who receives the receipts themselves.
    pub fn peers_marker_moved(&self, user: UserId, peer: UserId) {
        if user != peer {
            self.conversation_changed(peer, user, None);
        }
    }

    /// Sends both how their conversation stands after another process moved a watermark, as after any other change: if two
    /// parts sent it, the last word could be that of the one which had read first.
    pub fn remote_marker(&self, marker: &Marker) {
        // No cursor has passed the marker yet.
        self.marker_moved(marker.user, marker.peer);
        self.peers_marker_moved(marker.user, marker.peer);
    }

    /// Sends the author of the messages how far they were received, if `delivered`, and read, if `shown`: the author may see
    /// that. Having read implies having received, which is then not sent as well.
    pub fn receipts(&self, marker: &Marker, delivered: bool, shown: bool) {
        if marker.user == marker.peer {
            return;
        }
        let emit = |event, watermark: Watermark| {
            let receipt = Receipt {
                user_id: marker.user,
                peer_id: None,
                up_to: watermark.place.id,
                at: watermark.at,
            };
            self.emit(marker.peer, event, &receipt, None);
        };
        let read = marker.read.filter(|_| shown);
        let delivered = marker.delivered.filter(|_| delivered);
        if let Some(delivered) = delivered.filter(|delivered| read.is_none_or(|read| read.place < delivered.place)) {
            emit(events::MESSAGES_DELIVERED, delivered);
        }
        if let Some(read) = read {
            emit(events::MESSAGES_READ, read);
        }
    }

    /// Sends a user's settings to the user's connections, except `origin`.
    pub fn settings(&self, user: UserId, settings: &Settings, origin: Option<ConnectionId>) {
        self.emit(user, events::SETTINGS_UPDATED, settings, origin);
    }

    /// Whether a user can be sent something that others need not wait for.
    pub fn readiness(&self, user: UserId) -> Readiness {
        let connections = self.connections.of(user);
        if connections.is_empty() {
            return Readiness::Absent;
        }
        let is_busy = |connection: &Connection<ConnectionId, Arc<dyn Client>>| connection.client.waiting() > BUSY_BYTES;
        match connections.iter().any(is_busy) {
            true => Readiness::Busy,
            false => Readiness::Ready,
        }
    }

    /// Sends a user how one of their conversations stands.
    pub fn conversation(&self, user: UserId, conversation: &Conversation) {
        self.emit(user, events::CONVERSATION_UPDATED, conversation, None);
    }

    /// Sends all connections of a user an event that no cursor covers.
    pub fn emit_transient(&self, user: UserId, event: &str, payload: &impl Serialize) {
        let connections = self.connections.of(user);
        if connections.is_empty() {
            return;
        }
        let Some(payload) = json(payload) else { return };
        for connection in connections {
            if connection.client.emit(event, &payload, None) == Emitted::Dropped {
                self.connections.set_caught_up(user, connection.id, false);
            }
        }
    }

    /// Sends connections that a user whom they follow came or left. Each is named with its user.
    pub fn presence(&self, followers: &[(UserId, ConnectionId)], presence: &Presence) {
        let Some(payload) = json(presence) else { return };
        for (user, id) in followers {
            let connections = self.connections.of(*user);
            if let Some(connection) = connections.iter().find(|connection| connection.id == *id) {
                connection.client.emit(events::PRESENCE, &payload, None);
            }
        }
    }

    /// Sends all connections of a user an event, except the one that is its origin. Those that have caught up are sent the cursor
    /// after it.
    fn emit(&self, user: UserId, event: &str, payload: &impl Serialize, origin: Option<ConnectionId>) {
        let connections = self.connections.others(user, origin);
        if !connections.is_empty()
            && let Some(payload) = json(payload)
        {
            self.emit_to(connections, user, event, &payload, |_, _| {});
        }
    }

    /// Sends these connections of a user an event. `done` hears what became of each.
    fn emit_to(
        &self,
        connections: OfUser<ConnectionId, Arc<dyn Client>>,
        user: UserId,
        event: &str,
        payload: &RawValue,
        done: impl Fn(ConnectionId, Emitted),
    ) {
        let caught_up = connections.iter().any(|connection| connection.caught_up);
        let resume = caught_up.then(|| self.resume(user)).flatten();
        for connection in connections {
            let resume = resume.as_deref().filter(|_| connection.caught_up);
            let emitted = connection.client.emit(event, payload, resume);
            if emitted == Emitted::Dropped {
                // It must not be given a cursor after an event that it has not received.
                self.connections.set_caught_up(user, connection.id, false);
            }
            done(connection.id, emitted);
        }
    }

    /// What waits for a user's connections.
    pub fn backlog(&self, user: UserId) -> Buffered {
        if self.budget.waiting() <= IDLE_BYTES {
            return Buffered {
                bytes: 0,
                connections: self.connections.count(user),
            };
        }
        let connections = self.connections.of(user);
        let waiting = connections.iter().map(|connection| connection.client.waiting());
        Buffered {
            bytes: waiting.max().unwrap_or(0),
            connections: connections.len(),
        }
    }

    /// The second argument of an event that a user is sent now.
    fn resume(&self, user: UserId) -> Option<Box<RawValue>> {
        // In this order: see `ConversationNotifier::held`.
        let of_all = self.watermark.cursor();
        let cursor = self.conversation_notifier.held(user).unwrap_or(of_all);
        json(&Resume {
            cursor: cursor.to_string(),
        })
    }

    /// A conversation of a user changed; nothing is sent if they have no connection here. See
    /// [`ConversationNotifier::changed`] for `hold`.
    fn conversation_changed(&self, user: UserId, peer: UserId, hold: Option<Cursor>) {
        if self.connections.has(user)
            && let Some(overfull) = self.conversation_notifier.changed(user, peer, hold)
        {
            self.end_all(overfull);
            self.conversation_notifier.forget(overfull);
        }
    }

    /// Ends all connections of a user, whose clients then connect again and catch up.
    pub(super) fn end_all(&self, user: UserId) {
        for connection in self.connections.of(user) {
            // It must not be given a cursor after an event that it has not received.
            self.connections.set_caught_up(user, connection.id, false);
            connection.client.end_unread();
        }
    }
}

/// What is recorded of a message that a connection was to be sent.
fn became(emitted: Emitted, sent: TraceEvent) -> TraceEvent {
    match emitted {
        Emitted::Sent => sent,
        Emitted::Dropped => TraceEvent::Dropped,
        Emitted::NotConnected => TraceEvent::NotConnected,
    }
}

/// A payload as it will be written, or `None` if it has no JSON form, which is logged.
fn json(payload: &(impl Serialize + ?Sized)) -> Option<Box<RawValue>> {
    to_raw_value(payload)
        .inspect_err(|error| tracing::error!(%error, "dispatcher: an event could not be serialised"))
        .ok()
}
