//! The ticks after a user's own messages: one is stored for good, two received by the other one, coloured two read.

use anstyle::{AnsiColor, Style};
use chatctl_terminal::output::DIM;
use shared::{Message, MessageId, Timestamp};

/// The colour of what was read.
const READ: Style = AnsiColor::BrightCyan.on_default().bold();

/// How far a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tick {
    /// The server has stored it for good.
    Stored,
    /// The other one has received it.
    Delivered,
    /// The other one has read it.
    Read,
}

impl Tick {
    /// The ticks in their colour.
    pub(crate) fn sign(self) -> String {
        match self {
            Self::Stored => format!("{DIM}✓{DIM:#}"),
            Self::Delivered => format!("{DIM}✓✓{DIM:#}"),
            Self::Read => format!("{READ}✓✓{READ:#}"),
        }
    }

    /// The same where colours may be missing.
    pub(crate) fn words(self) -> String {
        match self {
            Self::Read => format!("{READ}✓✓ read{READ:#}"),
            _ => self.sign(),
        }
    }
}

/// Where a message is listed in its conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    at: Option<Timestamp>,
    id: MessageId,
}

impl Position {
    /// The position of a message.
    pub(crate) fn of(message: &Message) -> Self {
        Self {
            at: message.created_at,
            id: message.id,
        }
    }

    /// The position of a message of which only the id is known.
    pub(crate) fn unknown(id: MessageId) -> Self {
        Self { at: None, id }
    }

    /// The message's id.
    pub(crate) fn id(self) -> MessageId {
        self.id
    }

    /// Whether this is at another position or after it. Ids grow with time; they decide where a time is not known.
    pub(crate) fn reaches(self, other: Self) -> bool {
        match (self.at, other.at) {
            (Some(mine), Some(theirs)) => (mine, self.id) >= (theirs, other.id),
            _ => self.id >= other.id,
        }
    }
}

/// How far the other one of a conversation has received and read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Reach {
    /// Up to where they have received.
    pub(crate) delivered: Option<Position>,
    /// Up to where they have read, which implies having received.
    pub(crate) read: Option<Position>,
}

impl Reach {
    /// What stands after an own message at this position.
    pub(crate) fn tick(self, position: Position) -> Tick {
        let reached = |mark: Option<Position>| mark.is_some_and(|mark| mark.reaches(position));
        if reached(self.read) {
            Tick::Read
        } else if reached(self.delivered) {
            Tick::Delivered
        } else {
            Tick::Stored
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(id: u8, at: Option<i64>) -> Position {
        Position {
            at: at.map(Timestamp::from_millis),
            id: MessageId::from_bytes([id; 12]),
        }
    }

    #[test]
    fn reading_implies_receiving() {
        let reach = Reach {
            delivered: Some(position(5, None)),
            read: Some(position(3, None)),
        };
        let ticks = [3, 4, 6].map(|id| reach.tick(position(id, None)));
        assert_eq!(ticks, [Tick::Read, Tick::Delivered, Tick::Stored]);
        assert_eq!(Reach::default().tick(position(1, None)), Tick::Stored);
    }

    #[test]
    fn times_decide_before_ids() {
        assert!(position(1, Some(20)).reaches(position(2, Some(10))));
        assert!(!position(2, Some(10)).reaches(position(1, Some(20))));
        assert!(position(2, Some(10)).reaches(position(2, Some(10))));
        assert!(!position(1, None).reaches(position(2, Some(10))));
    }
}
