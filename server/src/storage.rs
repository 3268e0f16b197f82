//! Where users and messages are kept: one contract, two engines.
//!
//! [`Store`] is what the server needs of a database, the sum of one trait for each thing that is asked:
//!
//! | trait | what is asked |
//! |---|---|
//! | [`MessageStore`] | storing messages, and reading conversations |
//! | [`ReceiptStore`] | how far each user has received and read |
//! | [`FeedStore`] | what changed for a user after a cursor, and what other processes change |
//! | [`InboxStore`] | the list of a user's conversations, and how each stands |
//! | [`UserStore`] | users and their settings |
//! | [`AccessStore`] | whose tokens are revoked, and who is banned |
//! | [`PresenceStore`] | who is online |
//!
//! [`sqlite`] keeps it in SQLite beside the server, [`mongodb`] in a MongoDB deployment. Both pass the same suite,
//! `tests/store_contract/`, and must behave alike to the last field. Queueing, batching and delivery are not here:
//! [`crate::chat`] hands a store finished batches.

use async_trait::async_trait;
use shared::diagnosis::StoreFacts;
use shared::{Message, MessageId, Timestamp};

mod access;
mod error;
mod feed;
mod inbox;
mod messages;
pub mod mongodb;
pub mod open;
mod presence;
mod receipts;
pub mod size;
pub mod sqlite;
mod users;

pub use access::AccessStore;
pub use error::StoreError;
pub use feed::{ChangesError, FeedStore};
pub use inbox::{InboxEntry, InboxStore, Projection, Summary};
pub use messages::{AppendError, Appended, MessageStore};
pub use presence::{HEARTBEAT_INTERVAL, LEASE_TIMEOUT, PresenceChange, PresenceStore};
pub use receipts::{MarkError, ReceiptStore};
pub use users::UserStore;

/// What a message is looked up by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageName {
    /// Its id.
    Id(MessageId),
    /// The `clientMessageId` that its sender gave it.
    Client(String),
}

/// A database that keeps users and messages.
///
/// Every method of these traits can fail with [`StoreError`]; none panics, and none answers before what it wrote is durable.
#[async_trait]
pub trait Store:
    MessageStore + ReceiptStore + FeedStore + InboxStore + UserStore + AccessStore + PresenceStore
{
    /// Succeeds if the store can be read and written now.
    async fn ping(&self) -> Result<(), StoreError>;

    /// How it stands, for an administrator who looks for what is wrong.
    async fn facts(&self) -> Result<StoreFacts, StoreError>;

    /// A message of whichever conversation, by its id or by what its sender knows it by; the first of several.
    async fn find(&self, name: &MessageName) -> Result<Option<Message>, StoreError>;

    /// Takes this process's users offline, gives up its claim and closes the store. Nothing may be called after.
    async fn close(&self, now: Timestamp) -> Result<(), StoreError>;
}
