//! The name of a user.

use shared::limits;
use unicode_normalization::UnicodeNormalization;
use unicode_width::UnicodeWidthChar;

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
