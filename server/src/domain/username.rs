//! The name of a user.

use shared::{UserId, limits};
use unicode_normalization::UnicodeNormalization;

use super::visible::{is_visible, shown};

/// A user's name: 1 to 64 characters, none of them a control character, at least one that can be seen, no white space at either
/// end. It is in the composed form of Unicode (NFC), so that what looks the same on all keyboards is the same name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Username(String);

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

    /// A name made of a text that need not be one, such as a claim of a token: as much of it as can stand in a name, or `user`.
    pub fn from_text(text: &str) -> Self {
        let composed: String = shown(text, limits::USERNAME_CHARS).nfc().collect();
        Self::new(composed).unwrap_or_else(|_| Self("user".to_owned()))
    }

    /// The names that the user of this id gets, the first of them that is free: this one, this one and the last digits of the id, and
    /// so with all of them.
    pub fn alternatives(&self, id: UserId) -> [Self; 3] {
        let id = id.to_string();
        let with = |digits: &str| {
            let kept = shown(&self.0, limits::USERNAME_CHARS - 1 - digits.len());
            Self(format!("{kept}-{digits}"))
        };
        [self.clone(), with(&id[id.len() - 6..]), with(&id)]
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
    fn texts_become_names_and_taken_names_others() {
        let of = |text: &str| Username::from_text(text).as_str().to_owned();
        assert_eq!(of(" Ada\tLovelace\0"), "Ada Lovelace");
        assert_eq!((of(""), of("\u{200b}")), ("user".to_owned(), "user".to_owned()));
        assert_eq!(of(&"e\u{301}".repeat(200)), "é".repeat(32));
        let id: UserId = "6945576383968f286a0ff5f9".parse().unwrap();
        for long in ["ada", &"👋".repeat(64)] {
            for name in Username::new(long.to_owned()).unwrap().alternatives(id) {
                assert_eq!(Username::new(name.as_str().to_owned()), Ok(name));
            }
        }
        assert_eq!(
            Username::from_text("ada")
                .alternatives(id)
                .map(|name| name.as_str().to_owned()),
            ["ada", "ada-0ff5f9", "ada-6945576383968f286a0ff5f9"]
        );
    }

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
