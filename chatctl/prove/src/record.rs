//! What was seen of the server, for the [`audit`](super::audit): nothing is judged here.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use shared::conversation::MarkedUpTo;
use shared::{Conversation, MessageId, Settings, UserId};
use uuid::Uuid;

use super::document::Document;
use super::message_copy::MessageCopy;
use super::violation::Findings;

/// A message that a user meant to send.
#[derive(Debug, Clone)]
pub(crate) struct Sending {
    /// Its `clientMessageId`.
    pub(crate) key: Uuid,
    /// For whom.
    pub(crate) receiver: UserId,
    /// What the first acknowledgement said.
    pub(crate) acked: Option<Document>,
    /// Where it stands in the order of a connection, if the first sending of it was answered as new there. What was
    /// repeated has no place in an order.
    pub(crate) acknowledged_order: Option<Acknowledged>,
    /// An acknowledgement that contradicts the first.
    pub(crate) contradiction: Option<Contradiction>,
    /// The error that it was refused with for good.
    pub(crate) refused: Option<String>,
}

/// A place in the order of sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Acknowledged {
    /// The connection, by its number in this run.
    pub(crate) connection: u32,
    /// Which of its requests it was.
    pub(crate) order: u32,
}

/// How two acknowledgements of one message contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contradiction {
    /// They name two messages.
    Other(MessageId),
    /// Both say that it is new.
    NewTwice,
}

/// Something that a user said to have received or read.
#[derive(Debug, Clone)]
pub(crate) struct Marked {
    /// Whose messages.
    pub(crate) peer: UserId,
    /// Read, or only received.
    pub(crate) read: bool,
    /// Up to which message.
    pub(crate) up_to: MessageId,
    /// The answer, once there is one.
    pub(crate) answer: Option<MarkedUpTo>,
    /// The error that it was refused with for good.
    pub(crate) refused: Option<String>,
}

/// How a device came to know of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// By an event after it had caught up.
    Live,
    /// While it caught up.
    CaughtUp,
    /// By the answer to its own sending.
    Answer,
}

/// All that one device knows at the end.
#[derive(Debug)]
pub(crate) struct DeviceRecord {
    /// Its number among the user's devices.
    pub(crate) number: usize,
    /// Of each connection: what was heard, in order.
    pub(crate) sessions: Vec<Vec<(MessageId, How)>>,
    /// Its copy after the last sync.
    pub(crate) copy: MessageCopy,
    /// What only the last sync brought, although the device had caught up and stayed connected before.
    pub(crate) repaired: HashSet<MessageId>,
    /// The last `conversation_updated` of each peer on the last connection.
    pub(crate) updates: HashMap<UserId, Conversation>,
    /// Peers of whom messages came on the last connection after it had caught up: one is due.
    pub(crate) updates_due: HashSet<UserId>,
    /// Complaints that needed no audit.
    pub(crate) strays: Findings,
    /// Whether it had to begin anew, so that its copy is not complete.
    pub(crate) reset: bool,
    /// Why it could not connect and sync at the end.
    pub(crate) stranded: Option<String>,
}

/// All that is known of one user.
#[derive(Debug)]
pub(crate) struct UserRecord {
    /// Who it is.
    pub(crate) id: UserId,
    /// What was sent, in the order in which it was first sent.
    pub(crate) sent: Vec<Sending>,
    /// What was marked.
    pub(crate) marks: Vec<Marked>,
    /// The settings that were acknowledged last; `None` if the outcome of a change is not known.
    pub(crate) settings: Option<Settings>,
    /// The devices.
    pub(crate) devices: Vec<DeviceRecord>,
}

/// What the server says in the end: the other side of the audit.
#[derive(Debug, Default)]
pub(crate) struct ServerState {
    /// Of every conversation: its two people, and its messages as they are listed.
    pub(crate) histories: Vec<History>,
    /// The inbox of each user.
    pub(crate) inboxes: HashMap<UserId, Listed>,
    /// The settings of each user.
    pub(crate) settings: HashMap<UserId, Settings>,
    /// Users who were shown as absent while they were connected, and the other way round.
    pub(crate) presence: Vec<WrongPresence>,
}

/// A conversation.
#[derive(Debug)]
pub(crate) struct History {
    /// Its people.
    pub(crate) between: (UserId, UserId),
    /// Its messages.
    pub(crate) documents: Vec<Document>,
    /// Messages that lack a field.
    pub(crate) malformed: Vec<MessageId>,
}

/// An inbox, all pages of it.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    /// The conversations in the order of the pages.
    pub(crate) conversations: Vec<Conversation>,
    /// What each page said of the total.
    pub(crate) totals: Vec<u32>,
}

/// A user whose presence was not true.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WrongPresence {
    /// Who.
    pub(crate) user: UserId,
    /// What was shown.
    pub(crate) shown_online: bool,
}

/// A time as microseconds, for atomics and texts.
pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
