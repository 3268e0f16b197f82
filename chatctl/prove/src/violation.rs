//! The promises that can be broken, and what was found broken.

use std::collections::BTreeMap;

use serde::Serialize;
use shared::{MessageId, UserId};
use uuid::Uuid;

/// Examples that are kept of each kind.
const MAX_EXAMPLES: usize = 20;

macro_rules! kinds {
    ($($(#[$document:meta])* $name:ident = $text:literal, $meaning:literal;)*) => {
        /// What was violated.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub(crate) enum Kind {
            $($(#[$document])* #[serde(rename = $text)] $name,)*
        }

        impl Kind {
            /// Its name in reports.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// What it means, for people.
            pub(crate) fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning),* }
            }
        }
    };
}

kinds! {
    /// The worst one.
    Lost = "lost", "acknowledged as stored, but not in history";
    /// One `clientMessageId`, several messages.
    StoredTwice = "stored_twice", "stored more than once under one clientMessageId";
    /// One message, two acknowledgements that differ.
    Contradiction = "contradiction", "acknowledged twice in ways that contradict each other";
    /// History and acknowledgement differ.
    Altered = "altered", "not in history as it was acknowledged";
    /// History holds what nobody sent.
    Unknown = "unknown", "in history, but sent by nobody, or between others";
    /// By `createdAt` and `_id`.
    Unsorted = "unsorted", "history is not in the order of createdAt and _id";
    /// Stored in another order than sent.
    OutOfOrder = "out_of_order", "stored in another order than its connection sent it";
    /// Delivered in another order than sent.
    DeliveredOutOfOrder = "delivered_out_of_order", "delivered in another order than its connection sent it";
    /// Catching up skipped.
    MissingInCopy = "missing_in_copy", "missing in the copy of a device whose cursor is after it";
    /// A delivery was dropped.
    MissedLive = "missed_live", "never heard by a device that was connected all the while";
    /// Delivered and gone.
    Phantom = "phantom", "delivered to a device, but not in history";
    /// Copy and history differ.
    CopyDiffers = "copy_differs", "not in a device's copy as it is in history";
    /// The worst one after a loss.
    Foreign = "foreign", "heard by a device that it does not concern";
    /// A broken frame, or one that the contract does not know.
    Malformed = "malformed", "an event or answer that is not as the contract says";
    /// Nothing to resume from.
    NoCursor = "no_cursor", "an event without a cursor on a connection that has caught up";
    /// A good cursor was refused.
    SyncReset = "sync_reset", "a cursor of this run was refused";
    /// A good request was refused.
    Refused = "refused", "a request that is right was refused for good";
    /// A revoked token.
    LetIn = "let_in", "a token that was revoked was let in";
    /// More answers than requests.
    SurplusAnswer = "surplus_answer", "an answer to what was answered before, or never asked";
    /// Unread numbers.
    Unread = "unread", "an unread number that differs from a recount";
    /// The list of conversations.
    Inbox = "inbox", "a conversation missing, doubled, misplaced or with a wrong last message in the inbox";
    /// What the server says of watermarks.
    Watermark = "watermark", "a watermark that differs from what was acknowledged";
    /// What a device knows of watermarks.
    StaleWatermark = "stale_watermark", "a device that does not know a watermark although its cursor is after it";
    /// What a device was told of a conversation.
    StaleConversation = "stale_conversation", "the last conversation_updated differs from the conversation as it is";
    /// Settings.
    Settings = "settings", "settings, of the server or in a copy, that differ from those acknowledged";
    /// Presence.
    Presence = "presence", "shown as present or absent when it was not so";
    /// A device that can't come back.
    Stranded = "stranded", "a device that could not connect and catch up again at the end";
}

/// One example of a violation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Example {
    /// In words.
    pub(crate) what: String,
    /// Whose view shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<UserId>,
    /// Which of the user's devices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) device: Option<usize>,
    /// With whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) peer: Option<UserId>,
    /// The messages that show it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) messages: Vec<MessageId>,
    /// Its `clientMessageId`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_message_id: Option<Uuid>,
}

impl Example {
    /// In words; the rest is added by the others.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            ..Self::default()
        }
    }

    /// Whose view shows it.
    pub(crate) fn of(mut self, user: UserId) -> Self {
        self.user = Some(user);
        self
    }

    /// On which device.
    pub(crate) fn on(mut self, device: usize) -> Self {
        self.device = Some(device);
        self
    }

    /// With whom.
    pub(crate) fn with(mut self, peer: UserId) -> Self {
        self.peer = Some(peer);
        self
    }

    /// Which messages show it.
    pub(crate) fn messages(mut self, ids: impl IntoIterator<Item = MessageId>) -> Self {
        self.messages.extend(ids);
        self
    }

    /// The `clientMessageId`.
    pub(crate) fn key(mut self, key: Uuid) -> Self {
        self.client_message_id = Some(key);
        self
    }
}

/// What was found of one kind.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Found {
    /// How often.
    pub(crate) count: u64,
    /// The first of them.
    pub(crate) examples: Vec<Example>,
}

/// Everything found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Findings(pub(crate) BTreeMap<Kind, Found>);

impl Findings {
    /// Adds one.
    pub(crate) fn add(&mut self, kind: Kind, example: Example) {
        let found = self.0.entry(kind).or_default();
        found.count += 1;
        if found.examples.len() < MAX_EXAMPLES {
            found.examples.push(example);
        }
    }

    /// Adds all of another.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (kind, more) in &other.0 {
            let found = self.0.entry(*kind).or_default();
            found.count += more.count;
            let room = MAX_EXAMPLES.saturating_sub(found.examples.len());
            found.examples.extend(more.examples.iter().take(room).cloned());
        }
    }

    /// Whether nothing was found.
    pub(crate) fn is_clean(&self) -> bool {
        self.0.is_empty()
    }
}
