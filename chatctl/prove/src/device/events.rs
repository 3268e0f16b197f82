//! What a device hears: kept in its copy, and complained of where it is wrong by itself.

use serde::de::DeserializeOwned;
use shared::events;
use shared::sync::{Receipt, SyncDone, SyncEvent, SyncReset};
use shared::{Conversation, Message, Settings, UserId};
use tokio::time::Instant;

use super::LastSync;
use super::connection::{DeviceConnection, End};
use crate::document::{Document, MessageText};
use crate::message_copy::MarkerKey;
use crate::record::How;
use crate::violation::{Example, Kind};
use crate::wire::Arguments;

/// The begin of the name under which messages come.
const RECEIVE_PREFIX: &str = "receive_message_";
/// Newest messages of a peer of which one is marked.
const MAX_RECENT: usize = 8;

impl DeviceConnection<'_> {
    /// An event from the server.
    pub(super) fn event(&mut self, name: &str, frame: &str) {
        let arguments = match Arguments::of(frame) {
            Ok(arguments) => arguments,
            Err(error) => return self.malformed(name, &error),
        };
        let how = if self.live.is_some() { How::Live } else { How::CaughtUp };
        let resumable = match name {
            events::MESSAGE_SENT => self.with(name, &arguments, |one, message: Message| {
                one.message(name, message.sender, &message, how);
            }),
            events::MESSAGES_DELIVERED => self.with(name, &arguments, |one, receipt| one.receipt(receipt, false)),
            events::MESSAGES_READ => self.with(name, &arguments, |one, receipt| one.receipt(receipt, true)),
            events::SETTINGS_UPDATED => self.with(name, &arguments, |one, settings: Settings| {
                one.device.copy.set(settings)
            }),
            events::CONVERSATION_UPDATED => {
                self.with(name, &arguments, Self::updated);
                false
            }
            events::TOKEN_EXPIRING => {
                self.expiring = true;
                false
            }
            events::TOKEN_EXPIRED => {
                self.device.complain(
                    Kind::Refused,
                    Example::new("a token ended although another one was asked for in time"),
                );
                false
            }
            events::SYNC_DONE => {
                self.with(name, &arguments, Self::sync_done);
                false
            }
            events::SYNC_RESET => {
                self.with(name, &arguments, |one, reset: SyncReset| one.reset(&reset.message));
                false
            }
            events::PRESENCE | events::TYPING | events::REQUEST_FAILED => {
                let what = format!("{name}, which this device did nothing for");
                self.device.complain(Kind::Foreign, Example::new(what));
                false
            }
            _ => match name.strip_prefix(RECEIVE_PREFIX) {
                Some(receiver) => self.with(name, &arguments, |one, message: Message| {
                    let named = receiver.parse().ok().filter(|named| Some(*named) == message.receiver);
                    one.message(name, named, &message, how);
                }),
                // Events of a later version.
                None => false,
            },
        };
        let Some(live) = &self.live else { return };
        match &arguments.cursor {
            Some(cursor) => self.device.copy.advance(cursor),
            None if resumable && live.is_settled() => self.device.complain(Kind::NoCursor, Example::new(name)),
            None => {}
        }
    }

    /// Reads the payload and does something with it; whether it could be read.
    fn with<T: DeserializeOwned>(
        &mut self,
        name: &str,
        arguments: &Arguments<'_>,
        act: impl FnOnce(&mut Self, T),
    ) -> bool {
        match arguments.payload() {
            Ok(payload) => {
                act(self, payload);
                true
            }
            Err(error) => {
                self.malformed(name, &error);
                false
            }
        }
    }

    fn malformed(&mut self, name: &str, error: &serde_json::Error) {
        // serde's texts can quote the input; where it is wrong says enough.
        let what = format!("{name}: {:?} at column {}", error.classify(), error.column());
        self.device.complain(Kind::Malformed, Example::new(what));
    }

    /// A message; `mine` is who must be this device's user for it to concern them.
    fn message(&mut self, name: &str, mine: Option<UserId>, message: &Message, how: How) {
        if mine != Some(self.device.user.id) {
            let word = |id: Option<UserId>| id.map_or("nobody".to_owned(), |id| id.to_string());
            let (from, to) = (word(message.sender), word(message.receiver));
            let example = Example::new(format!("{name}: from {from} to {to}")).messages([message.id]);
            return self.device.complain(Kind::Foreign, example);
        }
        let Some(document) = Document::of(message) else {
            let example = Example::new(format!("{name}: it lacks a field")).messages([message.id]);
            return self.device.complain(Kind::Malformed, example);
        };
        if how == How::Live {
            let peer = if mine == message.receiver {
                document.sender
            } else {
                document.receiver
            };
            self.device.updates_due.insert(peer);
            let sent = message.message.as_deref().and_then(MessageText::read);
            if let Some(text) = sent.filter(|_| name.starts_with(RECEIVE_PREFIX)) {
                let context = &self.device.context;
                let after = context.now().saturating_sub(text.at);
                context
                    .measurements
                    .lock()
                    .delivery
                    .record(std::time::Duration::from_micros(after));
            }
        }
        self.store(document, how);
    }

    /// Puts a message into the copy.
    pub(super) fn store(&mut self, document: Document, how: How) {
        let device = &mut *self.device;
        let peer = if document.sender == device.user.id {
            document.receiver
        } else {
            document.sender
        };
        self.heard.push((document.position.id, how));
        let new = device.copy.put(document);
        let counts = &mut device.context.measurements.lock().counts;
        counts.heard += 1;
        counts.twice += u64::from(!new);
        if new {
            if device.last_sync == (LastSync::Begun { was_live: true }) {
                device.repaired.insert(document.position.id);
            }
            let recent = device.recent.entry(peer).or_default();
            recent.push_back(document.position.id);
            if recent.len() > MAX_RECENT {
                recent.pop_front();
            }
        }
    }

    /// Somebody has received or read: the peer what the user wrote, or the user, on any device.
    fn receipt(&mut self, receipt: Receipt, read: bool) {
        let me = self.device.user.id;
        let own = receipt.user_id == me;
        // One's own receipt says whose messages they were; a live one of a peer need not.
        let peer = if own { receipt.peer_id } else { Some(receipt.user_id) };
        let is_mine = own || receipt.peer_id.is_none_or(|whose| whose == me);
        match peer.filter(|peer| is_mine && self.is_partner(*peer)) {
            Some(peer) => self.device.copy.mark(MarkerKey { peer, own, read }, receipt.up_to),
            None => {
                let what = format!("a receipt of {}", receipt.user_id);
                let example = Example::new(what).messages([receipt.up_to]);
                self.device.complain(Kind::Foreign, example);
            }
        }
    }

    fn is_partner(&self, peer: UserId) -> bool {
        let context = &self.device.context;
        let mut partners = context.plan.partners(self.device.user.number);
        partners.any(|partner| context.people[partner] == peer)
    }

    fn updated(&mut self, conversation: Conversation) {
        let (me, peer) = (self.device.user.id, conversation.peer_id);
        let concerns = conversation.last_message.as_ref().is_none_or(|last| {
            let between = (last.sender, last.receiver);
            between == (Some(me), Some(peer)) || between == (Some(peer), Some(me))
        });
        if !concerns || !self.is_partner(peer) {
            let what = format!("{} of {peer}", events::CONVERSATION_UPDATED);
            let last = conversation.last_message.map(|last| last.id);
            return self.device.complain(Kind::Foreign, Example::new(what).messages(last));
        }
        let marks = [
            (true, true, conversation.read_up_to),
            (true, false, conversation.delivered_up_to),
            (false, true, conversation.peer_read_up_to),
            (false, false, conversation.peer_delivered_up_to),
        ];
        for (own, read, up_to) in marks {
            if let Some(up_to) = up_to {
                self.device.copy.mark(MarkerKey { peer, own, read }, up_to);
            }
        }
        self.device.updates.insert(peer, conversation);
    }

    fn sync_done(&mut self, done: SyncDone) {
        self.device.copy.advance(&done.next);
        if done.has_more {
            self.page = Some((done.next, Instant::now()));
        } else {
            self.caught_up();
        }
    }

    /// The cursor was refused: nothing in this run is a reason for that.
    pub(super) fn reset(&mut self, message: &str) {
        self.device.complain(Kind::SyncReset, Example::new(message));
        self.over = Some(End::Reset);
    }

    /// A change in a page of `sync`.
    pub(super) fn changed(&mut self, event: SyncEvent) {
        match event {
            SyncEvent::Message { message } => {
                let me = Some(self.device.user.id);
                let mine = if message.sender == me {
                    message.sender
                } else {
                    message.receiver
                };
                self.message(events::SYNC, mine, &message, How::CaughtUp);
            }
            SyncEvent::MessagesDelivered(receipt) => self.receipt(receipt, false),
            SyncEvent::MessagesRead(receipt) => self.receipt(receipt, true),
            SyncEvent::Settings { settings } => self.device.copy.set(settings),
        }
    }
}
