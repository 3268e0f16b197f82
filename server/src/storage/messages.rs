//! What a store is asked about messages: storing them, and reading conversations.

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use shared::{Message, MessageId, Timestamp};

use super::error::StoreError;
use crate::domain::{Bounds, Conversation, End, NewMessage};

/// Stores messages, and reads conversations.
#[async_trait]
pub trait MessageStore: Send + Sync + 'static {
    /// How many calls of [`append`](MessageStore::append) may run at once. Messages from one user to another always go
    /// to the same one, so a store may overlap them without breaking their order.
    fn append_lanes(&self) -> usize;

    /// Stores a batch of messages, in order, as one durable commit where the engine can.
    ///
    /// Returns one outcome per message, in the order given. A message that fails does so alone. When this returns,
    /// every `Ok` is durable: on disk (embedded) or acknowledged by a majority with its journal (MongoDB). A message
    /// whose `(sender, client_message_id)` is already stored is not stored again, see [`Appended::duplicate`]. The
    /// very same message, its id included, may be given again after a failure: it is stored once, and answered as if
    /// for the first time.
    async fn append(&self, batch: &[NewMessage]) -> Vec<Result<Appended, AppendError>>;

    /// One message of a conversation, or `None` if it holds no message of that id.
    async fn message(&self, conversation: Conversation, id: MessageId) -> Result<Option<Message>, StoreError>;

    /// Up to `limit` messages of a conversation from one end of `bounds`, always returned oldest first.
    ///
    /// They can be fewer than there are: a page ends with the message that makes it a piece ([`size::is_piece`]). A caller
    /// who wants more continues after it.
    ///
    /// [`size::is_piece`]: super::size::is_piece
    async fn page(
        &self,
        conversation: Conversation,
        bounds: Bounds,
        end: End,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError>;

    /// All messages of a conversation, oldest first, in chunks small enough to stream in constant memory: each ends at the
    /// latest with the message that makes it a piece ([`size::is_piece`]).
    ///
    /// Between two chunks it holds no more than a position. Dropping the stream ends the work for it.
    ///
    /// [`size::is_piece`]: super::size::is_piece
    fn history(&self, conversation: Conversation) -> BoxStream<'static, Result<Vec<Message>, StoreError>>;

    /// The greatest `createdAt` of a stored message, from where times go on. Queried once, at the start. Documents to which
    /// other programs gave a time that can't be right don't count.
    async fn newest(&self) -> Result<Option<Timestamp>, StoreError>;
}

/// What was stored for a [`NewMessage`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// The stored message: the one given, or the first one of its `client_message_id`.
    pub message: Message,
    /// True if the `client_message_id` was stored before.
    pub duplicate: bool,
}

/// Why one message was not stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// There is no user with the receiver's id.
    #[error("the receiver does not exist")]
    UnknownReceiver,
    /// The sender used this `client_message_id` before, for another receiver or another text.
    #[error("the clientMessageId was used for another message")]
    Conflict,
    /// The store failed. Whether the message was stored is unknown.
    #[error(transparent)]
    Store(#[from] StoreError),
}
