//! What a message says.

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
