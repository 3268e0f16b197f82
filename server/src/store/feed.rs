//! What of a chat can change, and how a store tells it: a feed for each user, and the watermarks and settings in it.

use shared::{Message, MessageId, Settings, Timestamp, UserId};

use super::{Cursor, Position, StoreError};

/// Something that changed, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A message was stored or edited.
    Message(Message),
    /// A user has received or read messages.
    Marker(Marker),
    /// The settings of the user whose feed it is.
    Settings(Settings),
}

/// Something that another program committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Foreign {
    /// A message.
    Message(Message),
    /// A user has received or read messages.
    Marker(Marker),
    /// This user has changed settings. How they are now is to be read when it is told.
    Settings(UserId),
}

/// A page of a user's feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// What changed, oldest first.
    pub changes: Vec<Change>,
    /// The cursor behind it.
    pub next: Cursor,
    /// Whether there is more behind it now.
    pub more: bool,
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

/// How far one user has received and read what one other wrote. Neither ever goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marker {
    /// Who has received and read.
    pub user: UserId,
    /// Whose messages.
    pub peer: UserId,
    /// Up to where they were received; never behind `read`.
    pub delivered: Option<Watermark>,
    /// Up to where they were read.
    pub read: Option<Watermark>,
}

/// A message up to which, included, something holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermark {
    /// Where the message is listed.
    pub place: Position,
    /// When it was marked.
    pub at: Timestamp,
}

/// What is to be marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Who has received or read.
    pub user: UserId,
    /// Whose messages.
    pub peer: UserId,
    /// Which of the two; reading implies receiving.
    pub kind: MarkKind,
    /// Up to this message of their conversation, whoever of the two wrote it.
    pub up_to: MessageId,
    /// When it was said.
    pub at: Timestamp,
}

/// What a mark says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkKind {
    /// Received.
    Delivered,
    /// Read.
    Read,
}

/// What became of a [`Mark`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marked {
    /// The watermarks as they are now.
    pub marker: Marker,
    /// Whether this mark moved `marker.delivered`.
    pub delivered_moved: bool,
    /// Whether this mark moved `marker.read`.
    pub read_moved: bool,
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
