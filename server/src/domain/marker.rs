//! How far people have received and read what others wrote.

use shared::{MessageId, Timestamp, UserId};

use super::Position;

/// How far one user has received and read what one other wrote. Neither ever goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marker {
    /// Who has received and read.
    pub user: UserId,
    /// Whose messages.
    pub peer: UserId,
    /// Up to where they were received; never before `read`.
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
    /// Up to this message of their conversation, whichever of the two wrote it.
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
