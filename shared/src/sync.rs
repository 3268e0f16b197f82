//! Catching up: what a client missed, and the cursor from which it goes on.
//!
//! A cursor is a text that only the server reads. A client that was given everything up to a cursor gets, from that
//! cursor on, every later change that concerns them at least once; what comes a second time is recognised by the same
//! `_id` and `updatedAt`, or by the same watermark.

use serde::{Deserialize, Serialize};

use crate::conversation::Inbox;
use crate::{Message, MessageId, Settings, Timestamp, UserId};

/// Payload of [`crate::events::SYNC`] and query of `GET /chat/sync`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SyncRequest {
    /// The cursor of the last answer or event; absent to begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Most events in the answer, 1 to [`crate::limits::MAX_PAGE`], which is also the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = crate::limits::MAX_PAGE)))]
    pub limit: Option<usize>,
}

/// The answer: a page of what changed, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Synced {
    /// What changed; empty if the request had no cursor.
    pub events: Vec<SyncEvent>,
    /// The cursor after this page.
    pub next: String,
    /// Whether there is more after it now.
    pub has_more: bool,
    /// The first page of conversations, if the request had no cursor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inbox: Option<Inbox>,
}

/// One change that concerns a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SyncEvent {
    /// A message, sent or received: put it in the place of what has the same `_id`.
    Message {
        /// As it is now.
        message: Message,
    },
    /// Somebody has received messages.
    MessagesDelivered(Receipt),
    /// Somebody has read messages.
    MessagesRead(Receipt),
    /// The user's own settings.
    Settings {
        /// As they are now.
        settings: Settings,
    },
}

/// How far somebody has received or read what somebody else wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// Who has received or read.
    pub user_id: UserId,
    /// Whose messages. Absent in the live events, where it is the one who hears.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_id: Option<UserId>,
    /// Up to and including this message.
    pub up_to: MessageId,
    /// When that was said.
    pub at: Timestamp,
}

/// Payload of [`crate::events::SYNC_DONE`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SyncDone {
    /// The cursor after all that was pushed.
    pub next: String,
    /// True if more was missed than is pushed on connecting: go on with [`crate::events::SYNC`] from `next`.
    pub has_more: bool,
    /// [`crate::PROTOCOL_VERSION`] of the server; 0 if it does not tell.
    #[serde(default)]
    pub protocol: u32,
}

/// Payload of [`crate::events::SYNC_RESET`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SyncReset {
    /// For people: why the cursor can't be used.
    pub message: String,
}

/// Second argument of the events on a connection that has caught up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Resume {
    /// A client that received all up to this event goes on from here.
    pub cursor: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden() {
        let text = r#"{"events":[{"type":"message","message":{"_id":"6b040f7eb209ada4add1c867"}},{"type":"messages_read","userId":"6945577083968f286a0ff5fb","peerId":"6945576383968f286a0ff5f9","upTo":"6b040f7eb209ada4add1c867","at":"2026-11-23T10:03:42.886Z"},{"type":"settings","settings":{"readReceipts":true,"invisible":false,"version":3}}],"next":"AQ","hasMore":false}"#;
        let synced: Synced = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&synced).unwrap(), text);
    }
}
