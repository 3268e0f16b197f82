//! What became of a message: the answer of `GET /admin/trace/{id}`. It never holds the text.

use serde::{Deserialize, Serialize};

use crate::{MessageId, Timestamp, UserId};

/// Answer of `GET /admin/trace/{id}`: what one process remembers, and what the store knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Trace {
    /// The process that answers. It remembers only what it did itself.
    pub node: String,
    /// The message, if it is known which one is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<MessageId>,
    /// What this process did, oldest first; empty if it did nothing, or has forgotten it.
    pub steps: Vec<TraceStep>,
    /// Whether more was done than is listed.
    pub more: bool,
    /// From when on everything that this process did is remembered; absent if it has forgotten nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remembers_since: Option<Timestamp>,
    /// The message as it is stored, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<StoredMessage>,
    /// Why the store could not be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_error: Option<String>,
}

/// Something that a process did with a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TraceStep {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: TraceEvent,
    /// On which connection; its id is that of `GET /admin/users/{id}/connections`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TraceEvent {
    /// It came from its sender, and was put into the queue.
    Received,
    /// It was refused: too much waits, or the server stops.
    Refused,
    /// It was sent again under the same `clientMessageId`, and stored only once.
    Repeated,
    /// It is durable; the sender was answered.
    Committed,
    /// It could not be stored, or it is not known whether it was.
    NotCommitted,
    /// A connection of the receiver was sent it.
    Sent,
    /// Another connection of the sender was sent it.
    SentToSender,
    /// A connection was not sent it: too much waited for it. It catches up.
    Dropped,
    /// A connection was just being made or ended. It catches up.
    NotConnected,
    /// The receiver had no connection to this process.
    NobodyHere,
}

/// A message as it is stored, and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct StoredMessage {
    /// Who wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<UserId>,
    /// For whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiver: Option<UserId>,
    /// When the server received it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// When the receiver said that it, or a later one, was received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<Timestamp>,
    /// When the receiver said that it, or a later one, was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_at: Option<Timestamp>,
}
