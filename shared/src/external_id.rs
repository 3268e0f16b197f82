//! What another system calls a user.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::limits;

/// The id that a user has in another system: 1 to 128 characters, none of them a control character. It is compared as it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ExternalId(String);

/// A text that is no id of another system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an external id has 1 to {} characters, none of them a control character",
    limits::EXTERNAL_ID_CHARS
)]
pub struct InvalidExternalId;

impl ExternalId {
    /// Checks an id.
    ///
    /// # Errors
    /// It is empty, too long, or has a control character.
    pub fn new(text: String) -> Result<Self, InvalidExternalId> {
        // A character has at most four bytes, so that a long text is not counted through.
        let is_short = text.len() <= limits::EXTERNAL_ID_CHARS * 4 && text.chars().count() <= limits::EXTERNAL_ID_CHARS;
        match !text.is_empty() && is_short && !text.contains(char::is_control) {
            true => Ok(Self(text)),
            false => Err(InvalidExternalId),
        }
    }

    /// The id itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ExternalId {
    type Err = InvalidExternalId;

    fn from_str(text: &str) -> Result<Self, InvalidExternalId> {
        // Not copied before its length is known.
        match text.len() <= limits::EXTERNAL_ID_CHARS * 4 {
            true => Self::new(text.to_owned()),
            false => Err(InvalidExternalId),
        }
    }
}

impl Borrow<str> for ExternalId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ExternalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for ExternalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<'de> Deserialize<'de> for ExternalId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_other_systems_are_ids_unless_they_are_too_long_or_have_control_characters() {
        for good in [
            "a",
            "auth0|5f7c8ec7c33c6c004bbafe82",
            "ada@example.com",
            "7",
            " ",
            &"é".repeat(128),
            &"👋".repeat(128),
        ] {
            assert_eq!(good.parse::<ExternalId>().map(|id| id.to_string()).as_deref(), Ok(good));
            let json = serde_json::to_string(good).unwrap();
            assert_eq!(serde_json::from_str::<ExternalId>(&json).unwrap().as_str(), good);
        }
        for wrong in [
            "",
            "a\nb",
            "\0",
            "\u{7f}",
            "\u{85}",
            &"a".repeat(129),
            &"👋".repeat(129),
            &"a".repeat(100_000),
        ] {
            assert_eq!(wrong.parse::<ExternalId>(), Err(InvalidExternalId), "{wrong:?}");
            let json = serde_json::to_string(wrong).unwrap();
            assert!(serde_json::from_str::<ExternalId>(&json).is_err(), "{wrong:?}");
        }
    }
}
