//! Where users and messages are kept: one contract, two engines.
//!
//! [`Store`] says what a chat needs of a database; [`sqlite`] keeps it in SQLite beside the server, [`mongodb`] in a
//! MongoDB deployment. Both pass the same suite, `tests/store_contract/`, and must behave alike to the last field.
//! Queueing, batching and delivery are not here: [`crate::chat`] hands a store finished batches.

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use std::collections::HashSet;

use shared::{Message, MessageId, Settings, SettingsChange, Timestamp, User, UserId};

use crate::domain::{
    Bounds, Changes, Conversation, Cursor, End, Mark, Marked, NewMessage, Position, RemoteChange, Username,
};

mod inbox;
pub mod mongodb;
#[cfg(feature = "null-store")]
mod null;
pub mod open;
pub mod size;
pub mod sqlite;

pub use inbox::{InboxEntry, Projection, Summary};

/// A database that keeps users and messages.
///
/// Every method can fail with [`StoreError`]; none panics, and none answers before what it wrote is durable.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// How many calls of [`append`](Store::append) may run at once. Messages from one user to another always go
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
    /// They can be fewer than there are: it ends with the message that makes them a piece ([`size::is_piece`]). Whoever
    /// wants more goes on from there.
    async fn page(
        &self,
        conversation: Conversation,
        bounds: Bounds,
        end: End,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError>;

    /// All messages of a conversation, oldest first, in chunks small enough to stream in constant memory: none goes on
    /// after the message that makes it a piece ([`size::is_piece`]).
    ///
    /// Between two chunks it holds no more than a place. Dropping the stream ends the work behind it.
    fn history(&self, conversation: Conversation) -> BoxStream<'static, Result<Vec<Message>, StoreError>>;

    /// The place in every feed up to which all changes are committed now: a number of commit, or a time.
    ///
    /// A change that is committed by a call which begins after this was asked lies behind it.
    fn committed_position(&self) -> i64;

    /// The cursor of a client that was given every change up to `committed_position`, an earlier answer of
    /// [`committed_position`](Store::committed_position), that this process made, and every one that [`remote_changes`](Store::remote_changes) told.
    fn cursor(&self, committed_position: i64) -> Cursor;

    /// Up to `limit` changes that concern a user behind a cursor, oldest first: fewer where they would be longer than
    /// [`PAGE_BYTES`](shared::limits::PAGE_BYTES) as JSON, but at least one.
    ///
    /// Never skips: a change that any process was told is committed is in some page that follows `since`, however the
    /// commits of several processes overlapped. What becomes visible while pages are followed may come only after the one
    /// that says that there is no more. What was in an earlier page can come again. Markers that concern a
    /// user are the user's own and those of others about the user's messages.
    async fn changes(&self, user: UserId, since: &Cursor, limit: usize) -> Result<Changes, ChangesError>;

    /// Changes that other programs commit to the same database, for those who are connected here: soon after, at least
    /// once, in no particular order. The stream never ends; it is asked for once.
    ///
    /// So are messages whose commit failed with an unknown outcome, once it is known that they are stored; see
    /// [`untold`](Store::untold).
    fn remote_changes(&self) -> BoxStream<'static, Vec<RemoteChange>>;

    /// Whether [`remote_changes`](Store::remote_changes) has not told of a message whose commit failed with an unknown outcome. It does not from
    /// then on: whoever asks tells, because the sender has found out that it is stored.
    fn untold(&self, _message: MessageId) -> bool {
        true
    }

    /// Moves watermarks forward, each in one durable step, and returns one outcome for each mark in the order given.
    /// One that lies further back than what is stored changes nothing.
    async fn mark(&self, marks: &[Mark]) -> Vec<Result<Marked, MarkError>>;

    /// Up to `limit` conversations of a user behind `after`, the one with the newest message first.
    ///
    /// Holds every message that this process was told is committed before the call, and those of other processes soon
    /// after. Complete only if [`projection`](Store::projection) says so.
    async fn inbox(&self, user: UserId, after: Option<Position>, limit: usize) -> Result<Vec<InboxEntry>, StoreError>;

    /// Conversations, each as the first of a pair sees that with the second; in the order given. Holds every message and
    /// watermark that this process was told is committed before the call, and those of other processes soon after.
    async fn summaries(&self, pairs: &[(UserId, UserId)]) -> Result<Vec<Summary>, StoreError>;

    /// The conversations that [`inbox`](Store::inbox) has just listed, as the user sees them; in the order given. The
    /// newest message may be the one by which a conversation was listed, though a newer one has come since.
    async fn listed(&self, user: UserId, entries: &[InboxEntry]) -> Result<Vec<Summary>, StoreError> {
        let pairs: Vec<(UserId, UserId)> = entries.iter().map(|entry| (user, entry.peer)).collect();
        self.summaries(&pairs).await
    }

    /// The unread messages of all conversations of a user, counted up to `most`.
    async fn total_unread(&self, user: UserId, most: u32) -> Result<u32, StoreError>;

    /// Those of `others` with whom a user has exchanged a message in either direction.
    async fn acquainted(&self, user: UserId, others: &[UserId]) -> Result<HashSet<UserId>, StoreError>;

    /// How far inboxes are built.
    fn projection(&self) -> Projection;

    /// Begins to build all inboxes anew from the messages, unless that is under way. Those that exist are used
    /// meanwhile.
    async fn rebuild(&self) -> Result<(), StoreError>;

    /// The settings of users, in the order given; those of whom nothing is stored have the default.
    async fn settings(&self, users: &[UserId]) -> Result<Vec<Settings>, StoreError>;

    /// Changes a user's settings and returns them as they are then; `None` if there is no such user.
    async fn change_settings(
        &self,
        user: UserId,
        change: SettingsChange,
        at: Timestamp,
    ) -> Result<Option<Settings>, StoreError>;

    /// The users with these ids, in the order given.
    async fn users(&self, ids: &[UserId]) -> Result<Vec<Option<User>>, StoreError>;

    /// The users with these ids and their settings, in the order given.
    async fn people(&self, ids: &[UserId]) -> Result<Vec<(Option<User>, Settings)>, StoreError> {
        let (users, settings) = tokio::try_join!(self.users(ids), self.settings(ids))?;
        Ok(users.into_iter().zip(settings).collect())
    }

    /// Whether other processes can serve users of the same database.
    fn is_shared(&self) -> bool;

    /// Whether others do, as far as was known at the last [`heartbeat`](Store::heartbeat). Once it says that they do no more, their
    /// users are offline.
    fn others_live(&self) -> bool {
        false
    }

    /// Creates the users of these names, or finds the ones that exist: one per name, in the order given, with
    /// whether it was created now. A name given twice yields one user, created at most once. Where an old database
    /// holds a name twice, the oldest user of it is found.
    async fn create_users(&self, names: &[Username], at: Timestamp) -> Result<Vec<(User, bool)>, StoreError>;

    /// The user with this id.
    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError>;

    /// Every user with exactly this name, oldest first. Only old databases hold more than one.
    async fn users_named(&self, name: &str) -> Result<Vec<User>, StoreError>;

    /// Up to `limit` users in the order of their ids, beginning behind `after`.
    async fn list_users(&self, after: Option<UserId>, limit: usize) -> Result<Vec<User>, StoreError>;

    /// Records that users came online to this process or left it. A user that another living process still
    /// serves stays online. Unknown users are ignored.
    async fn set_presence(&self, changes: &[PresenceChange]) -> Result<(), StoreError>;

    /// Renews this process's claim on the users that it brought online, and takes offline the users that a dead
    /// process left behind. To be called at the start and then every [`HEARTBEAT`].
    async fn heartbeat(&self, now: Timestamp) -> Result<(), StoreError>;

    /// The greatest `createdAt` of a stored message, from where times go on. Asked for once, at the start; documents whose
    /// other programs gave them a time that can't be right don't count.
    async fn newest(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Succeeds if the store can be read and written now.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Takes this process's users offline, gives up its claim and closes the store. Nothing may be called after.
    async fn close(&self, now: Timestamp) -> Result<(), StoreError>;
}

/// How often [`Store::heartbeat`] is called.
pub const HEARTBEAT: std::time::Duration = std::time::Duration::from_secs(3);

/// How long after its last heartbeat a process counts as dead.
pub const LEASE: std::time::Duration = std::time::Duration::from_secs(8);

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

/// A failure of the database. The texts are for the log, not for clients.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It can't be reached, has no primary, or its disk is full: trying again later can help.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// It answered something that trying again won't mend.
    #[error("the store failed: {0}")]
    Failed(String),
    /// An index of another program keeps a document out. Its name may be told.
    #[error("the unique index {0}, which is not this server's, keeps a document out")]
    ForeignIndex(String),
    /// A validator that another program gave a collection keeps a document out.
    #[error("a validator of the database, which is not this server's, keeps a document out")]
    Validator,
}

/// Why there is no page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangesError {
    /// The cursor belongs to another database, or to a later state than the database has.
    #[error("{0}")]
    Reset(&'static str),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why nothing was marked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MarkError {
    /// The conversation has no such message.
    #[error("the conversation has no such message")]
    UnknownMessage,
    /// The store failed. Whether it was marked is unknown; marking again is safe.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A user came online to this process, or left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PresenceChange {
    /// Who.
    pub user: UserId,
    /// Whether the user has a connection to this process.
    pub online: bool,
    /// When it changed; becomes the user's `lastSeen`.
    pub at: Timestamp,
}
