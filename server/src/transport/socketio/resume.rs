//! Sending a client that connects with a cursor what it missed, as the events that it would have received.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use shared::sync::{Receipt, SyncDone, SyncReset};
use shared::{Conversation, ErrorCode, Message, SyncEvent, UserId, WireError, events, limits};
use socketioxide::extract::SocketRef;
use tokio::time::Instant;

use super::emit;
use super::session::Session;
use crate::chat;
use crate::delivery::budget::{Held, OverBudget};
use crate::domain::Cursor;
use crate::error;
use crate::metrics::METRICS;
use crate::storage::size;
use crate::transport::context::Context;
use crate::transport::tcp::end_reason::EndReason;

/// Reads that may fail although the store answers between them; then the connection is ended, so that the client comes
/// back with its cursor.
const MAX_FAILURES: u32 = 5;

/// Time before a read that failed is tried again.
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// Conversations that are read at once.
const MAX_CONVERSATIONS: usize = 50;

/// A connection that wants what it missed.
#[derive(Clone)]
pub struct Resume {
    session: Arc<Session>,
    since: String,
    /// Whether something could not be sent: the client must not be sent that it has all.
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

    /// Sends it, unless the connection ends before.
    pub async fn run(self, context: &Context, socket: SocketRef) {
        let gone = self.session.link.gone().clone();
        gone.run_until_cancelled(self.send(context, socket)).await;
    }

    async fn send(mut self, context: &Context, socket: SocketRef) {
        let mut order = self.session.next_in_order();
        order.wait().await;
        let begun = Instant::now();
        let mut failures = 0;
        let mut since = if self.since.is_empty() {
            Ok(context.chat.cursor())
        } else {
            Cursor::parse(&self.since).map_err(|error| chat::Error::from(error).into())
        };
        let mut pushed = 0;
        let came_back = !self.since.is_empty();
        let mut more = came_back;
        while let (Ok(cursor), true) = (&since, more && pushed < limits::MAX_SYNC_PUSH && !self.broken) {
            // No turn to read is held meanwhile, nor through the delay below.
            context.chat.reader.reads.store_answers().await;
            match self.page(context, &socket, cursor).await {
                Ok((count, next, has_more)) => {
                    pushed += count;
                    more = has_more;
                    since = Ok(next);
                }
                Err(failed) if failed.code == ErrorCode::SyncReset => since = Err(failed),
                Err(_) if failures == MAX_FAILURES => return self.session.link.close(),
                Err(_) => {
                    failures += 1;
                    tokio::time::sleep(RETRY_DELAY).await;
                }
            }
        }
        match since {
            Ok(next) => {
                let done = SyncDone {
                    next: next.to_string(),
                    has_more: more,
                    protocol: shared::PROTOCOL_VERSION,
                };
                self.emit(&socket, events::SYNC_DONE, &done).await;
                if came_back && !more && !self.broken {
                    METRICS.catch_up.observe_time(begun.elapsed());
                }
                self.session.registration.set_caught_up(!more && !self.broken);
            }
            Err(error) => {
                let reset = SyncReset { message: error.message };
                self.emit(&socket, events::SYNC_RESET, &reset).await;
            }
        }
        drop(order);
    }

    /// Sends one page, and how each conversation in it stands. Returns how many changes it had, the cursor after it
    /// and whether there is more.
    async fn page(
        &mut self,
        context: &Context,
        socket: &SocketRef,
        since: &Cursor,
    ) -> Result<(usize, Cursor, bool), WireError> {
        let (chat, me) = (&context.chat, self.session.user);
        self.session.ready_for_more().await;
        let missed = chat.missed(me, since, limits::MAX_PAGE).await?;
        let held = self
            .hold(missed.events.iter().map(length).sum())
            .map_err(|OverBudget| self.has_no_room())?;
        let peers: BTreeSet<UserId> = missed.events.iter().filter_map(|event| peer(event, me)).collect();
        let pairs: Vec<(UserId, UserId)> = peers.into_iter().map(|peer| (me, peer)).collect();
        for event in &missed.events {
            self.event(socket, me, event).await;
        }
        let count = missed.events.len();
        drop((missed.events, held));
        let (mut pairs, mut most) = (&pairs[..], MAX_CONVERSATIONS);
        while !pairs.is_empty() {
            let (now, later) = pairs.split_at(pairs.len().min(most));
            self.session.ready_for_more().await;
            let conversations = chat.conversations_with(now, me).await?;
            let _held = match self.hold(conversations.iter().map(conversation_length).sum()) {
                Ok(held) => held,
                // Each can bring a large message of an old database.
                Err(OverBudget) if now.len() > 1 => {
                    most = 1;
                    continue;
                }
                Err(OverBudget) => return Err(self.has_no_room()),
            };
            for conversation in conversations {
                self.emit(socket, events::CONVERSATION_UPDATED, &conversation).await;
            }
            pairs = later;
        }
        Ok((count, missed.next, missed.more))
    }

    /// Charges what was read and not sent yet.
    fn hold(&self, bytes: usize) -> Result<Held, OverBudget> {
        self.session.link.account().hold(bytes)
    }

    /// Ends the connection.
    fn has_no_room(&self) -> WireError {
        self.session.link.end(EndReason::Unread);
        error::too_much_unread()
    }

    async fn event(&mut self, socket: &SocketRef, me: UserId, event: &SyncEvent) {
        let live = |receipt: &Receipt| Receipt {
            peer_id: None,
            ..*receipt
        };
        match event {
            SyncEvent::Message { message } if message.receiver == Some(me) => {
                self.emit(socket, &events::receive_message(me), message).await;
            }
            SyncEvent::Message { message } => self.emit(socket, events::MESSAGE_SENT, message).await,
            // One's own receipts show in the conversation.
            SyncEvent::MessagesDelivered(receipt) | SyncEvent::MessagesRead(receipt) if receipt.user_id == me => {}
            SyncEvent::MessagesDelivered(receipt) => {
                self.emit(socket, events::MESSAGES_DELIVERED, &live(receipt)).await;
            }
            SyncEvent::MessagesRead(receipt) => self.emit(socket, events::MESSAGES_READ, &live(receipt)).await,
            SyncEvent::Settings { settings } => self.emit(socket, events::SETTINGS_UPDATED, settings).await,
        }
    }

    /// One event goes out when most of those before it have been written.
    async fn emit(&mut self, socket: &SocketRef, event: &str, payload: &(impl Serialize + Sync)) {
        if !self.broken {
            self.session.ready_for_more().await;
            self.broken = !emit::event(socket, event, payload);
        }
    }
}

/// How many bytes of memory an event takes, about.
fn length(event: &SyncEvent) -> usize {
    match event {
        SyncEvent::Message { message } => message_length(message),
        _ => size::RECEIPT_BYTES,
    }
}

/// As [`length`], of a message: JSON can have a multiple of it, and is charged when it is written.
fn message_length(message: &Message) -> usize {
    size::RECEIPT_BYTES + message.message.as_deref().map_or(0, str::len)
}

/// As [`length`], of a conversation.
fn conversation_length(conversation: &Conversation) -> usize {
    2 * size::RECEIPT_BYTES + conversation.last_message.as_ref().map_or(0, message_length)
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
