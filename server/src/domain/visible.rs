//! What of a text can stand in a name, and be seen there.

use unicode_width::UnicodeWidthChar;

/// Whether a character by itself shows something.
pub(super) fn is_visible(character: char) -> bool {
    /// Blanks that count as letters or signs: soft hyphen, the fillers of Hangul, the empty pattern of Braille.
    const BLANK: [char; 6] = ['\u{ad}', '\u{115f}', '\u{1160}', '\u{2800}', '\u{3164}', '\u{ffa0}'];
    !character.is_whitespace() && character.width().is_some_and(|width| width > 0) && !BLANK.contains(&character)
}

/// As many characters of a text, without those that can't stand in a name.
pub(super) fn shown(text: &str, characters: usize) -> String {
    let signs = text.chars().map(|sign| if sign.is_control() { ' ' } else { sign });
    let text: String = signs.skip_while(|sign| sign.is_whitespace()).take(characters).collect();
    text.trim().to_owned()
}
