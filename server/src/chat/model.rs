//! Checked input: raw text becomes one of these types at the edge, once, and nothing behind checks it again.

use shared::{Message, MessageId, Timestamp, UserId, limits};
use unicode_normalization::UnicodeNormalization;
use unicode_width::UnicodeWidthChar;

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

/// A user's name: 1 to 64 characters, none of them a control character, at least one that can be seen, no white space at either
/// end. It is in the composed form of Unicode (NFC), so that what looks the same on all keyboards is the same name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Username(String);

/// Whether a character by itself shows something.
fn is_visible(character: char) -> bool {
    /// Blanks that count as letters or signs: soft hyphen, the fillers of Hangul, the empty pattern of Braille.
    const BLANK: [char; 6] = ['\u{ad}', '\u{115f}', '\u{1160}', '\u{2800}', '\u{3164}', '\u{ffa0}'];
    !character.is_whitespace() && character.width().is_some_and(|width| width > 0) && !BLANK.contains(&character)
}

/// A name that can't be given to a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a username has 1 to {} characters, one of which can be seen, no control characters and no white space at either end",
    limits::USERNAME_CHARS
)]
pub struct InvalidUsername;

impl Username {
    /// Checks a name, and composes it.
    pub fn new(name: String) -> Result<Self, InvalidUsername> {
        let name: String = name.nfc().collect();
        let length = name.chars().count();
        let fits = (1..=limits::USERNAME_CHARS).contains(&length);
        if fits && name.contains(is_visible) && name.trim() == name && !name.contains(char::is_control) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_composed_and_can_be_seen() {
        let name = |text: &str| Username::new(text.to_owned()).map(|name| name.as_str().to_owned());
        assert_eq!(name("Rene\u{301}").as_deref(), Ok("Ren\u{e9}"));
        for visible in ["a", "名", "👋", "1", "-", "a\u{200b}", "\u{1f468}\u{200d}\u{1f469}"] {
            assert!(name(visible).is_ok(), "{visible:?}");
        }
        for invisible in [
            "",
            " ",
            "\u{200b}",
            "\u{feff}",
            "\u{200d}\u{2060}",
            "\u{3164}",
            "\u{2800}",
            "\u{ad}",
            "\u{301}",
            "\u{202e}\u{202c}",
            "\u{e0041}",
            "\u{115f}\u{1160}",
        ] {
            assert_eq!(name(invisible), Err(InvalidUsername), "{invisible:?}");
        }
        // Composed, it fits.
        assert!(name(&"e\u{301}".repeat(64)).is_ok());
    }
}
