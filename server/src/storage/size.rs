//! How long things are as JSON, and how much of them one read takes: memory while reading has a bound in bytes.
//!
//! Lengths are never too small: what escapes a text needs is counted, the rest of a message taken for the longest.

use shared::Message;
use shared::limits::PAGE_BYTES;

use crate::domain::Change;

/// A piece of a conversation ends with the message with which it has this length as JSON, in bytes.
pub const PIECE_BYTES: usize = 256 * 1024;

/// What is written around the changes or conversations of one page.
const ENVELOPE_BYTES: usize = 1_024;

/// All of a message but its text.
const FIELDS_BYTES: usize = 256;

/// One receipt as an event of a page. A marker can be two of them.
pub const RECEIPT_BYTES: usize = 256;

/// How long a text is between the quotes of JSON.
pub fn text_bytes(text: &str) -> usize {
    let escaped = |byte: u8| match byte {
        b'"' | b'\\' | 0x08 | b'\t' | b'\n' | 0x0c | b'\r' => 2,
        0..0x20 => 6,
        _ => 1,
    };
    text.bytes().map(escaped).sum()
}

/// How long a message is at most.
pub fn message_bytes(message: &Message) -> usize {
    FIELDS_BYTES + message.message.as_deref().map_or(0, text_bytes)
}

/// How long a change is at most.
pub(super) fn change_bytes(change: &Change) -> usize {
    match change {
        Change::Message(message) => message_bytes(message),
        Change::Marker(_) => 2 * RECEIPT_BYTES,
        Change::Settings(_) => RECEIPT_BYTES,
    }
}

/// Whether messages are a whole piece: more can follow, however few they are.
pub fn is_piece(messages: &[Message]) -> bool {
    messages.iter().map(message_bytes).sum::<usize>() >= PIECE_BYTES
}

/// How many of these lengths, the first ones, a page holds: at most `most`, as many as fit, at least one.
pub fn that_fit(lengths: impl Iterator<Item = usize>, most: usize) -> usize {
    let mut left = PAGE_BYTES - ENVELOPE_BYTES;
    let fits = |&(index, length): &(usize, usize)| {
        let fits = length <= left;
        left = left.saturating_sub(length);
        fits || index == 0
    };
    lengths.take(most).enumerate().take_while(fits).count()
}

/// What was read of one kind for a page of which it may be only a part.
///
/// It is enough when no page can hold all of it: then it shows where the page ends, and that there is more.
#[derive(Debug)]
pub(super) struct Enough {
    most: usize,
    read: usize,
    bytes: usize,
}

impl Enough {
    /// For a page of up to `most`.
    pub(super) fn of(most: usize) -> Self {
        Self {
            most,
            read: 0,
            bytes: 0,
        }
    }

    /// Counts one; returns whether it is enough.
    pub(super) fn with(&mut self, length: usize) -> bool {
        self.read += 1;
        self.bytes = self.bytes.saturating_add(length);
        self.is_reached()
    }

    /// Whether it is enough. A page holds its first item whatever its length, so it takes a second one to decide.
    pub(super) fn is_reached(&self) -> bool {
        self.read > self.most || (self.read > 1 && self.bytes > PAGE_BYTES - ENVELOPE_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_as_long_as_json_writes_them() {
        let every: String = (0..=0x2ff).filter_map(char::from_u32).collect();
        let written = serde_json::to_string(&every).unwrap();
        assert_eq!(text_bytes(&every) + 2, written.len());
    }

    #[test]
    fn a_page_holds_what_fits_and_never_nothing() {
        let room = PAGE_BYTES - ENVELOPE_BYTES;
        let held = |lengths: &[usize], most| that_fit(lengths.iter().copied(), most);
        assert_eq!(held(&[], 5), 0);
        assert_eq!(held(&[1; 9], 5), 5);
        assert_eq!(held(&[room, 1], 5), 1);
        assert_eq!(held(&[room - 1, 1, 1], 5), 2);
        assert_eq!(held(&[room * 3, 1], 5), 1);
        assert_eq!(held(&[1, room, 1], 5), 1);
    }

    #[test]
    fn what_was_enough_is_more_than_a_page_holds() {
        for lengths in [
            vec![1; 9],
            vec![usize::MAX, 1],
            vec![PAGE_BYTES / 2; 4],
            vec![1, PAGE_BYTES],
        ] {
            let mut enough = Enough::of(5);
            let read = lengths.iter().take_while(|length| !enough.with(**length)).count() + 1;
            assert!(that_fit(lengths[..read].iter().copied(), 5) < read, "{lengths:?}");
        }
    }
}
