//! Conversations as a user's inbox lists them, and the watermarks in them.

use serde::{Deserialize, Serialize};

use crate::{ExternalId, Message, MessageId, Timestamp, UserId};

/// One conversation as one of its two people sees it. All of it is absolute: it replaces what was told before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Conversation {
    /// With whom; oneself, for notes to oneself.
    pub peer_id: UserId,
    /// What is known of them; absent if no user has that id any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<Peer>,
    /// The newest message; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_message: Option<Message>,
    /// Messages of the peer after `read_up_to`: exact below [`crate::limits::MAX_UNREAD`], which stands for that many or
    /// more.
    pub unread: u32,
    /// Up to where one has read; absent until one has said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_up_to: Option<MessageId>,
    /// Up to where one has received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_up_to: Option<MessageId>,
    /// Up to where the peer has read; absent also if either of the two has turned read receipts off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_read_up_to: Option<MessageId>,
    /// Up to where the peer has received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_delivered_up_to: Option<MessageId>,
}

/// The other one of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Peer {
    /// Their name.
    pub username: String,
    /// Whether they have a connection; false for one who is invisible.
    pub is_online: bool,
    /// When their first connection began or the last one ended; absent if there never was one, or they are invisible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Timestamp>,
    /// What another system calls them; absent if nobody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<ExternalId>,
}

/// Payload of [`crate::events::CONVERSATIONS`] and query of `GET /chat/conversations`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ListConversations {
    /// `next` of the page before; absent for the first page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Conversations in the page, 1 to [`crate::limits::MAX_PAGE`]; [`crate::limits::DEFAULT_PAGE`] if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = crate::limits::MAX_PAGE)))]
    pub limit: Option<usize>,
}

/// One page of conversations, that with the newest message first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Inbox {
    /// The conversations.
    pub conversations: Vec<Conversation>,
    /// What to pass as `cursor` for the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Unread messages of all conversations, also of those in other pages: exact below [`crate::limits::MAX_UNREAD`],
    /// which stands for that many or more.
    pub total_unread: u32,
}

/// Payload of [`crate::events::MARK_DELIVERED`] and [`crate::events::MARK_READ`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "MarkUpTo"))]
#[serde(rename_all = "camelCase")]
pub struct MarkUpTo<U = UserId, M = MessageId> {
    /// Whose messages.
    pub peer_id: U,
    /// Up to and including this message, of either of the two.
    pub up_to: M,
}

/// The answer to it: the watermarks as they are now; they never go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct MarkedUpTo {
    /// In which conversation.
    pub peer_id: UserId,
    /// Up to where one has read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_up_to: Option<MessageId>,
    /// Up to where one has received; reading implies it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_up_to: Option<MessageId>,
}
