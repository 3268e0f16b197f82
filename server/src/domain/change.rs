//! What of a chat can change, in the feed of a user and by other programs.

use shared::{Message, Settings, UserId};

use super::{Cursor, Marker};

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
pub enum RemoteChange {
    /// A message.
    Message(Message),
    /// A user has received or read messages.
    Marker(Marker),
    /// This user has changed settings. How they are now is to be read when that is sent.
    Settings(UserId),
}

/// A page of a user's feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// What changed, oldest first.
    pub changes: Vec<Change>,
    /// The cursor after it.
    pub next: Cursor,
    /// Whether there is more after it now.
    pub more: bool,
}
