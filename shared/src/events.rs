//! The Socket.IO events: their names and payloads. `PROTOCOL.md` says when each is sent.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{ErrorCode, Message, UserId, WireError};

/// Client to server: store a message and deliver it. Payload [`SendMessage`], answer [`Answer`] of [`Sent`].
pub const SEND_MESSAGE: &str = "send_message";
/// Server to the sender's other connections: the [`Message`] they did not send themselves.
pub const MESSAGE_SENT: &str = "message_sent";
/// Client to server: what changed since a cursor. Payload [`crate::sync::SyncRequest`], answer [`Answer`] of
/// [`crate::sync::Synced`].
pub const SYNC: &str = "sync";
/// Client to server: messages were received. Payload [`crate::conversation::MarkUpTo`], answer [`Answer`] of
/// [`crate::conversation::MarkedUpTo`].
pub const MARK_DELIVERED: &str = "mark_delivered";
/// Client to server: messages were read. As [`MARK_DELIVERED`], which it implies.
pub const MARK_READ: &str = "mark_read";
/// Client to server: a page of the inbox. Payload [`crate::conversation::ListConversations`], answer [`Answer`] of
/// [`crate::conversation::Inbox`].
pub const CONVERSATIONS: &str = "conversations";
/// Client to server: be told of users' presence. Payload [`crate::presence::PresenceOf`], answer [`Answer`] of
/// [`crate::presence::PresentNow`].
pub const SUBSCRIBE_PRESENCE: &str = "subscribe_presence";
/// Client to server: be told no more. Payload [`crate::presence::PresenceOf`].
pub const UNSUBSCRIBE_PRESENCE: &str = "unsubscribe_presence";
/// Client to server: one types, or stopped. Payload [`crate::presence::SetTyping`].
/// Server to the peer's connections: somebody does. Payload [`crate::presence::Typing`].
pub const TYPING: &str = "typing";
/// Client to server: change one's settings. Payload [`crate::presence::SettingsChange`], answer [`Answer`] of
/// [`crate::presence::CurrentSettings`].
pub const UPDATE_SETTINGS: &str = "update_settings";
/// Server to the connections of the user who wrote the messages: the peer has received them. Payload
/// [`crate::sync::Receipt`].
pub const MESSAGES_DELIVERED: &str = "messages_delivered";
/// Server to the connections of the user who wrote the messages: the peer has read them. Payload [`crate::sync::Receipt`].
pub const MESSAGES_READ: &str = "messages_read";
/// Server to all connections of a user: one of their conversations as it is now. Payload [`crate::Conversation`].
pub const CONVERSATION_UPDATED: &str = "conversation_updated";
/// Server to the connections that follow a user: they came or left. Payload [`crate::Presence`].
pub const PRESENCE: &str = "presence";
/// Server to all connections of a user but the one that changed them. Payload [`crate::presence::Settings`].
pub const SETTINGS_UPDATED: &str = "settings_updated";
/// Server to a client that connected with a cursor: all that was missed has been pushed. Payload
/// [`crate::sync::SyncDone`].
pub const SYNC_DONE: &str = "sync_done";
/// Server to a client that connected with a cursor: it can't be used. Payload [`crate::sync::SyncReset`].
pub const SYNC_RESET: &str = "sync_reset";
/// Client to server: go on with another token of the same user. Payload [`crate::session::RefreshToken`], answer [`Answer`] of
/// [`crate::session::Refreshed`].
pub const REFRESH_TOKEN: &str = "refresh_token";
/// Server to a connection whose token ends soon. Payload [`crate::session::TokenEnd`].
pub const TOKEN_EXPIRING: &str = "token_expiring";
/// Server to a connection whose token has ended, before it is closed. Payload [`crate::session::TokenEnd`].
pub const TOKEN_EXPIRED: &str = "token_expired";
/// Server to a connection that it ends in a moment, because the user is shut out or an administrator ends it. Payload
/// [`crate::admin::SessionEnded`].
pub const SESSION_ENDED: &str = "session_ended";
/// Server to client: a request that asked for no answer failed. Payload [`RequestFailed`].
pub const REQUEST_FAILED: &str = "request_failed";
/// Server to a client that uses it in a way that is most likely a mistake; while developing only. Payload [`DevHint`].
pub const DEV_HINT: &str = "dev_hint";
/// The one message of a [`ConnectError`] that says the token was not accepted.
pub const AUTHENTICATION_ERROR: &str = "Authentication error";

/// Server to the receiver's connections: the [`Message`]. The receiver's id is part of the name, because the
/// program that this server replaced broadcast to everyone and left the choice to the client.
pub fn receive_message(receiver: UserId) -> String {
    format!("receive_message_{receiver}")
}

/// Why a client is not let in: what stock clients give to their `connect_error`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConnectError {
    /// One of few, [`AUTHENTICATION_ERROR`] among them.
    pub message: String,
    /// The code, and the reason in words; absent from servers that are older than it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<WireError>,
}

impl ConnectError {
    /// Whether the token, or its user, is what was wrong: the same token will be refused again.
    pub fn is_of_token(&self) -> bool {
        self.message == AUTHENTICATION_ERROR
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.data {
            Some(reason) => write!(f, "{}: {reason}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// Payload of [`SEND_MESSAGE`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "SendMessage"))]
#[serde(rename_all = "camelCase")]
pub struct SendMessage<I = UserId, T = String> {
    /// Whom it is for. (The server reads any text first, so that it can tell a bad id from a bad payload.)
    pub receiver_id: I,
    /// The text: 1 to [`crate::limits::MESSAGE_BYTES`] bytes of UTF-8. (The server takes numbers and booleans, too.)
    pub message: T,
    /// The client's own id for this message, 1 to [`crate::limits::CLIENT_MESSAGE_ID_CHARS`] characters. Sending it
    /// again stores nothing twice. Ids that grow with time (UUIDv7) cost the database least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = crate::limits::CLIENT_MESSAGE_ID_CHARS)))]
    pub client_message_id: Option<String>,
}

/// The answer to a [`SEND_MESSAGE`] that succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Sent"))]
pub struct Sent<M = Message> {
    /// The stored message.
    pub message: M,
    /// True if this `clientMessageId` had been stored before; then `message` is that first one.
    pub duplicate: bool,
}

/// What a request over the socket is answered with: `{"ok":true, …}` or `{"ok":false,"error":{…}}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    /// It was done; the fields of `T` stand beside `ok`.
    Ok(T),
    /// It was refused or failed.
    Error(WireError),
}

impl<T: Serialize> Serialize for Answer<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Done<'a, T> {
            ok: bool,
            #[serde(flatten)]
            fields: &'a T,
        }
        #[derive(Serialize)]
        struct Failed<'a> {
            ok: bool,
            error: &'a WireError,
        }
        match self {
            Self::Ok(fields) => Done { ok: true, fields }.serialize(serializer),
            Self::Error(error) => Failed { ok: false, error }.serialize(serializer),
        }
    }
}

impl<'de, T: serde::de::DeserializeOwned> Deserialize<'de> for Answer<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let mut value = serde_json::Map::deserialize(deserializer)?;
        match value.remove("ok").and_then(|ok| ok.as_bool()) {
            Some(true) => serde_json::from_value(value.into())
                .map(Self::Ok)
                .map_err(D::Error::custom),
            Some(false) => {
                let error = value.remove("error").ok_or_else(|| D::Error::missing_field("error"))?;
                serde_json::from_value(error).map(Self::Error).map_err(D::Error::custom)
            }
            None => Err(D::Error::missing_field("ok")),
        }
    }
}

/// Payload of [`REQUEST_FAILED`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RequestFailed {
    /// The event that failed.
    pub event: String,
    /// The `clientMessageId` it carried, if that much could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_message_id: Option<String>,
    /// Why.
    pub error: WireError,
}

/// Payload of [`DEV_HINT`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DevHint {
    /// Which kind of mistake. Others can be added.
    pub code: HintCode,
    /// What is wrong, and what to do instead, for people.
    pub message: String,
}

/// A kind of mistake of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum HintCode {
    /// A message asked for no acknowledgement.
    NoAcknowledgement,
    /// The same text came twice, without an id.
    NoClientMessageId,
    /// An event that only the server sends, or that other servers know rooms by.
    ForeignEvent,
    /// The token has no end.
    TokenWithoutEnd,
    /// The client library is old.
    OutdatedClient,
}

impl HintCode {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoAcknowledgement => "no_acknowledgement",
            Self::NoClientMessageId => "no_client_message_id",
            Self::ForeignEvent => "foreign_event",
            Self::TokenWithoutEnd => "token_without_end",
            Self::OutdatedClient => "outdated_client",
        }
    }
}

impl<T> Answer<T> {
    /// The error code, if it is an error.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Ok(_) => None,
            Self::Error(error) => Some(error.code),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_golden() {
        let sent: Answer<Sent<u8>> = Answer::Ok(Sent {
            message: 7,
            duplicate: false,
        });
        let text = r#"{"ok":true,"message":7,"duplicate":false}"#;
        assert_eq!(serde_json::to_string(&sent).unwrap(), text);
        assert_eq!(serde_json::from_str::<Answer<Sent<u8>>>(text).unwrap(), sent);

        let mut error = WireError::new(ErrorCode::Overloaded, "busy");
        error.retry_after_ms = Some(250);
        let failed: Answer<Sent<u8>> = Answer::Error(error);
        let text = r#"{"ok":false,"error":{"code":"overloaded","message":"busy","retryAfterMs":250}}"#;
        assert_eq!(serde_json::to_string(&failed).unwrap(), text);
        assert_eq!(serde_json::from_str::<Answer<Sent<u8>>>(text).unwrap(), failed);
    }
}
