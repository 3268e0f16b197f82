//! A message on its way into the store, and the id that its client gave it.

use shared::{Message, MessageId, Timestamp, UserId, limits};

use super::Text;

/// A message on its way into the store: checked, and with the id and time that it will keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// Minted by the server, growing with every message of this process.
    pub id: MessageId,
    /// Who sends it, as the token says.
    pub sender: UserId,
    /// Whom it is for. Whether that user exists is the store's to find out.
    pub receiver: UserId,
    /// What it says.
    pub text: Text,
    /// The client's own id for it.
    pub client_message_id: Option<ClientMessageId>,
    /// When the server took it; never smaller than that of an earlier message of this process.
    pub created_at: Timestamp,
}

impl NewMessage {
    /// The message as it is stored and delivered.
    pub fn to_message(&self) -> Message {
        Message {
            id: self.id,
            sender: Some(self.sender),
            receiver: Some(self.receiver),
            message: Some(self.text.as_str().to_owned()),
            created_at: Some(self.created_at),
            updated_at: Some(self.created_at),
            version: Some(0),
        }
    }
}

/// A client's own id for a message: 1 to 64 characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientMessageId(String);

/// A `clientMessageId` of the wrong length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("clientMessageId must have 1 to {} characters", limits::CLIENT_MESSAGE_ID_CHARS)]
pub struct InvalidClientMessageId;

impl ClientMessageId {
    /// Checks the length.
    pub fn new(id: String) -> Result<Self, InvalidClientMessageId> {
        match id.chars().count() {
            1..=limits::CLIENT_MESSAGE_ID_CHARS => Ok(Self(id)),
            _ => Err(InvalidClientMessageId),
        }
    }

    /// The id itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
