//! Checked input: raw text becomes one of these types at the edge, once, and nothing behind checks it again.

use shared::{Message, MessageId, Timestamp, UserId, limits};

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
            message: Some(self.text.0.clone()),
            created_at: Some(self.created_at),
            updated_at: Some(self.created_at),
            version: Some(0),
        }
    }
}

/// The text of a message: not empty, and not longer than the server is configured to allow.
#[derive(Clone, PartialEq, Eq)]
pub struct Text(String);

/// Why a text can't be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidText {
    /// It has no character.
    #[error("message must not be empty")]
    Empty,
    /// It has too many bytes.
    #[error("message is {bytes} bytes of UTF-8 long; at most {limit} are allowed")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The longest that is allowed.
        limit: usize,
    },
}

impl Text {
    /// Checks a text against `limit`, in bytes of UTF-8.
    pub fn new(text: String, limit: usize) -> Result<Self, InvalidText> {
        match text.len() {
            0 => Err(InvalidText::Empty),
            bytes if bytes > limit => Err(InvalidText::TooLong { bytes, limit }),
            _ => Ok(Self(text)),
        }
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Shows the length only, so that no log can hold what people say to each other.
impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Text({} bytes)", self.0.len())
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

/// A user's name: 1 to 64 characters, none of them a control character, no white space at either end.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Username(String);

/// A name that can't be given to a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a username has 1 to {} characters, no control characters and no white space at either end",
    limits::USERNAME_CHARS
)]
pub struct InvalidUsername;

impl Username {
    /// Checks a name.
    pub fn new(name: String) -> Result<Self, InvalidUsername> {
        let length = name.chars().count();
        let fits = (1..=limits::USERNAME_CHARS).contains(&length);
        if fits && name.trim() == name && !name.contains(char::is_control) {
            Ok(Self(name))
        } else {
            Err(InvalidUsername)
        }
    }

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
