//! Where a message is listed, and which part of a conversation is asked for.

use shared::{Message, MessageId, Timestamp};

/// A place in a conversation. Messages are listed by `(created_at, id)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The message's `createdAt`.
    pub created_at: Timestamp,
    /// The message's id, which orders messages of one millisecond.
    pub id: MessageId,
}

impl Position {
    /// The place of messages without a time, which only old databases hold: before all others.
    pub const UNDATED: Timestamp = Timestamp::from_millis(i64::MIN);

    /// Where this message is listed.
    pub fn of(message: &Message) -> Self {
        Self {
            created_at: message.created_at.unwrap_or(Self::UNDATED),
            id: message.id,
        }
    }

    /// In front of every message of this moment.
    pub const fn start_of(created_at: Timestamp) -> Self {
        Self {
            created_at,
            id: MessageId::from_bytes([0; 12]),
        }
    }

    /// The place directly before this one.
    pub fn predecessor(self) -> Self {
        let mut id = self.id.bytes();
        for byte in id.iter_mut().rev() {
            let (less, borrows) = byte.overflowing_sub(1);
            *byte = less;
            if !borrows {
                let id = MessageId::from_bytes(id);
                return Self { id, ..self };
            }
        }
        Self::end_of(Timestamp::from_millis(self.created_at.millis().saturating_sub(1)))
    }

    /// Behind every message of this moment.
    pub const fn end_of(created_at: Timestamp) -> Self {
        Self {
            created_at,
            id: MessageId::from_bytes([0xff; 12]),
        }
    }
}

/// A part of a conversation; both bounds are excluded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Only what is listed after this.
    pub after: Option<Position>,
    /// Only what is listed before this.
    pub before: Option<Position>,
}

/// From which end of its [`Bounds`] a page is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The first messages.
    Oldest,
    /// The last messages.
    Newest,
}
