//! How things look: colours, times, columns, and texts of strangers made harmless.
//!
//! Colours are written always; `anstream` drops them where `NO_COLOR` or a pipe asks for it.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use jiff::ZonedDateTime;
use jiff::tz::TimeZone;
use serde::Serialize;
use shared::limits::MAX_UNREAD;
use shared::{Message, Timestamp, User};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What is less important.
pub const DIM: Style = Style::new().dimmed();
/// What went well, and who is there.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// What went wrong.
pub const BAD: Style = AnsiColor::Red.on_default();
/// The first of two people.
pub const ONE: Style = AnsiColor::Cyan.on_default().bold();
/// What wants to be seen.
pub const NEW: Style = AnsiColor::Yellow.on_default().bold();
/// The second of two people.
pub const OTHER: Style = AnsiColor::Magenta.on_default().bold();

/// A code point that is no character. In no text that was made [`harmless`], so that it can mark places in one.
pub const NO_CHARACTER: char = '\u{ffff}';

/// Prints a value as one line of JSON.
pub fn json(value: &impl Serialize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, value)?;
    writeln!(out)?;
    out.flush()
}

/// Prints values as one JSON array, each on a line of its own, while they come.
#[derive(Debug, Default)]
pub struct JsonArray {
    begun: bool,
}

impl JsonArray {
    /// Adds a value.
    pub fn push(&mut self, value: &impl Serialize) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(if self.begun { b",\n" } else { b"[\n" })?;
        self.begun = true;
        serde_json::to_writer(&mut out, value)?;
        Ok(())
    }

    /// Closes the array.
    pub fn end(self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(if self.begun { b"\n]\n" } else { b"[]\n" })?;
        out.flush()
    }
}

/// A text without its colours.
pub fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

/// A user as one line of a list; names take at least `width` columns.
pub fn user_line(user: &User, width: usize) -> String {
    let (style, sign) = presence(user.is_online);
    let name = pad(&one_line(&user.username), width);
    let seen = match user.last_seen {
        _ if user.is_online => "online".to_owned(),
        Some(at) => format!("last seen {}", local(at).strftime("%F %R")),
        None => "never seen".to_owned(),
    };
    let elsewhere = match &user.external_id {
        Some(id) => format!("  {}", one_line(id.as_str())),
        None => String::new(),
    };
    format!(
        "{style}{sign}{style:#} {name}  {}  {DIM}{seen}{elsewhere}{DIM:#}",
        user.id
    )
}

/// ● for somebody who has a connection, ○ for one who has none.
pub fn presence(is_online: bool) -> (Style, char) {
    if is_online { (GOOD, '●') } else { (DIM, '○') }
}

/// A message as a line with the full date, for lists; `name` is what its sender is called, padded by the caller.
pub fn message_line(message: &Message, style: Style, name: &str) -> String {
    let time = match message.created_at {
        Some(at) => local(at).strftime("%F %T").to_string(),
        None => " ".repeat(19),
    };
    let indent = time.width() + name.width() + 4;
    format!("{DIM}{time}{DIM:#}  {style}{name}{style:#}  {}", text(message, indent))
}

/// A message's text; lines after the first begin at column `indent`.
pub fn text(message: &Message, indent: usize) -> String {
    match &message.message {
        Some(text) => harmless(text).replace('\n', &format!("\n{}", " ".repeat(indent))),
        None => format!("{DIM}(no text){DIM:#}"),
    }
}

/// A moment in the time zone of whoever looks.
pub fn local(at: Timestamp) -> ZonedDateTime {
    let timestamp = jiff::Timestamp::from_millisecond(at.millis()).unwrap_or(jiff::Timestamp::MAX);
    timestamp.to_zoned_datetime(TimeZone::system())
}

/// One line on standard error: the answer may take most of a minute, and nobody is to wonder why.
pub fn notify_database_away() {
    let _ = writeln!(
        anstream::stderr(),
        "the database of the server does not answer; trying again"
    );
}

/// Fills up with blanks to a width in columns.
pub fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

/// Text of strangers on one line.
pub fn one_line(text: &str) -> String {
    harmless(text).replace('\n', " ")
}

/// The beginning of a text of strangers, on one line of at most `columns`.
pub fn preview(text: &str, columns: usize) -> String {
    let line = one_line(text);
    if line.width() <= columns {
        return line;
    }
    let mut width = 1;
    let fits = |c: &char| {
        width += c.width().unwrap_or(0);
        width <= columns
    };
    line.chars().take_while(fits).chain(['…']).collect()
}

/// A number of unread messages; the largest one stands for that many or more.
pub fn unread(count: u32) -> String {
    if count >= MAX_UNREAD {
        format!("{MAX_UNREAD}+")
    } else {
        count.to_string()
    }
}

/// Text of strangers without what could move the cursor, colour the screen, or turn the reading direction; line ends
/// stay.
pub fn harmless(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    text.chars()
        .map(|c| match c {
            '\n' => '\n',
            '\t' => ' ',
            // The pictures of the control characters.
            '\0'..='\x1f' => char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'),
            NO_CHARACTER => '\u{fffd}',
            '\x7f'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
            c => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_become_visible() {
        assert_eq!(harmless("a\x1b[31mb\r\nc\td\u{202e}"), "a␛[31mb\nc d\u{fffd}");
        assert_eq!(one_line("a\nb"), "a b");
    }

    #[test]
    fn previews_fit() {
        assert_eq!(preview("short\nenough", 12), "short enough");
        assert_eq!(preview("漢字漢字", 6), "漢字…");
    }

    #[test]
    fn padding_counts_columns() {
        assert_eq!(pad("é", 3), "é  ");
        assert_eq!(pad("漢字", 5), "漢字 ");
        assert_eq!(pad("long", 2), "long");
    }
}
