//! Sending a client that connects with a cursor what it missed, as the events that it would have heard.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use shared::sync::{Receipt, SyncDone, SyncReset};
use shared::{ErrorCode, SyncEvent, UserId, WireError, events, limits};
use socketioxide::extract::SocketRef;

use super::{Session, emit};
use crate::chat::inbox;
use crate::error;
use crate::store::Cursor;
use crate::{chat, store::ChangesError};

/// Pauses between attempts to read from a store that fails; then the connection is ended, so that the client comes
/// back with its cursor.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// A connection that wants what it missed.
#[derive(Clone)]
pub struct Resume {
    session: Arc<Session>,
    since: String,
    /// Whether something could not be sent: the client must not be told that it has all.
    broken: bool,
}

impl Resume {
    /// Since this cursor; empty to begin.
    pub fn new(session: Arc<Session>, since: String) -> Self {
        Self {
            session,
            since,
            broken: false,
        }
    }

    /// Sends it.
    pub async fn run(mut self, socket: SocketRef) {
        let app = Arc::clone(&self.session.app);
        let mut turn = self.session.turn();
        turn.comes().await;
        let mut pauses = PAUSES.iter();
        let mut since = if self.since.is_empty() {
            Ok(app.horizon.cursor())
        } else {
            Cursor::parse(&self.since).map_err(error::invalid_cursor)
        };
        let mut pushed = 0;
        let mut more = !self.since.is_empty();
        while let (Ok(cursor), true) = (&since, more && pushed < limits::SYNC_PUSH && !self.broken) {
            // The semaphore is never closed.
            let _permit = app.reading.acquire().await;
            match self.page(&socket, cursor).await {
                Ok((count, next, has_more)) => {
                    pushed += count;
                    more = has_more;
                    since = Ok(next);
                }
                Err(failed) if failed.code == ErrorCode::SyncReset => since = Err(failed),
                Err(_) => match pauses.next() {
                    Some(pause) => tokio::time::sleep(*pause).await,
                    None => return self.session.link.close(),
                },
            }
        }
        match since {
            Ok(next) => {
                let done = SyncDone {
                    next: next.to_string(),
                    has_more: more,
                };
                self.emit(&socket, events::SYNC_DONE, &done);
                self.session.caught_up(!more && !self.broken);
            }
            Err(error) => self.emit(&socket, events::SYNC_RESET, &SyncReset { message: error.message }),
        }
        drop(turn);
    }

    /// Sends one page, and how each conversation in it stands. Returns how many changes it had, the cursor behind it
    /// and whether there is more.
    async fn page(&mut self, socket: &SocketRef, since: &Cursor) -> Result<(usize, Cursor, bool), WireError> {
        let (app, me) = (Arc::clone(&self.session.app), self.session.caller.user);
        let missed = chat::missed(&*app.store, me, since, limits::PAGE).await;
        let missed = missed.map_err(error::changes_error)?;
        let peers: BTreeSet<UserId> = missed.events.iter().filter_map(|event| peer(event, me)).collect();
        let pairs: Vec<(UserId, UserId)> = peers.into_iter().map(|peer| (me, peer)).collect();
        let conversations = inbox::conversations(&*app.store, &pairs).await;
        let conversations = conversations.map_err(|cause| error::changes_error(ChangesError::Store(cause)))?;
        for event in &missed.events {
            self.event(socket, me, event);
        }
        for conversation in &conversations {
            self.emit(socket, events::CONVERSATION_UPDATED, conversation);
        }
        Ok((missed.events.len(), missed.next, missed.more))
    }

    fn event(&mut self, socket: &SocketRef, me: UserId, event: &SyncEvent) {
        let live = |receipt: &Receipt| Receipt {
            peer_id: None,
            ..*receipt
        };
        match event {
            SyncEvent::Message { message } if message.receiver == Some(me) => {
                self.emit(socket, &events::receive_message(me), message)
            }
            SyncEvent::Message { message } => self.emit(socket, events::MESSAGE_SENT, message),
            // One's own receipts show in the conversation.
            SyncEvent::MessagesDelivered(receipt) | SyncEvent::MessagesRead(receipt) if receipt.user_id == me => {}
            SyncEvent::MessagesDelivered(receipt) => self.emit(socket, events::MESSAGES_DELIVERED, &live(receipt)),
            SyncEvent::MessagesRead(receipt) => self.emit(socket, events::MESSAGES_READ, &live(receipt)),
            SyncEvent::Settings { settings } => self.emit(socket, events::SETTINGS_UPDATED, settings),
        }
    }

    fn emit(&mut self, socket: &SocketRef, event: &str, payload: &impl Serialize) {
        if !self.broken {
            self.broken = !emit::json(payload).is_some_and(|payload| emit::event(socket, event, &payload, None));
        }
    }
}

/// With whom a change was.
fn peer(event: &SyncEvent, me: UserId) -> Option<UserId> {
    match event {
        SyncEvent::Message { message } if message.sender == Some(me) => message.receiver,
        SyncEvent::Message { message } => message.sender,
        SyncEvent::MessagesDelivered(receipt) | SyncEvent::MessagesRead(receipt) if receipt.user_id == me => {
            receipt.peer_id
        }
        SyncEvent::MessagesDelivered(receipt) | SyncEvent::MessagesRead(receipt) => Some(receipt.user_id),
        SyncEvent::Settings { .. } => None,
    }
}
