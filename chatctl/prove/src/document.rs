//! A message as the server showed it, and what its text says of it.

use std::hash::{DefaultHasher, Hash, Hasher};

use shared::{Message, MessageId, UserId};
use uuid::Uuid;

/// Where a message is listed in its conversation: by time, then by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    /// `createdAt` in milliseconds.
    pub(crate) at: i64,
    /// The message's id.
    pub(crate) id: MessageId,
}

/// A message as the server showed it, without its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Document {
    /// Where it is listed.
    pub(crate) position: Position,
    /// Who wrote it.
    pub(crate) sender: UserId,
    /// To whom.
    pub(crate) receiver: UserId,
    /// The `clientMessageId` that its text names.
    pub(crate) key: Option<Uuid>,
    /// A hash of all its fields: equal documents have the same.
    pub(crate) fingerprint: u64,
}

impl Document {
    /// What a document says; `None` if it lacks a field that every new message has.
    pub(crate) fn of(message: &Message) -> Option<Self> {
        let text = message.message.as_deref()?;
        let (created, updated) = (message.created_at?.millis(), message.updated_at?.millis());
        let mut hasher = DefaultHasher::new();
        let fields = (
            message.id,
            message.sender,
            message.receiver,
            text,
            created,
            updated,
            message.version,
        );
        fields.hash(&mut hasher);
        Some(Self {
            position: Position {
                at: created,
                id: message.id,
            },
            sender: message.sender?,
            receiver: message.receiver?,
            key: MessageText::read(text).map(|text| text.key),
            fingerprint: hasher.finish(),
        })
    }
}

/// What a message's text says of it: `prove <clientMessageId> <microseconds> …`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MessageText {
    /// Its `clientMessageId`.
    pub(crate) key: Uuid,
    /// When it was first sent, in microseconds since the run began.
    pub(crate) at: u64,
}

impl MessageText {
    /// The text, with so many letters at its end.
    pub(crate) fn write(self, letters: usize) -> String {
        format!("prove {} {} {}", self.key, self.at, "x".repeat(letters))
    }

    /// Reads what [`write`](Self::write) wrote.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut words = text.strip_prefix("prove ")?.split(' ');
        Some(Self {
            key: words.next()?.parse().ok()?,
            at: words.next()?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_say_which_message_they_are() {
        let text = MessageText {
            key: Uuid::now_v7(),
            at: 12,
        };
        assert_eq!(MessageText::read(&text.write(3)), Some(text));
        assert!(text.write(3).ends_with(" 12 xxx"));
        for other in ["", "prove", "prove x 1 ", "hello prove"] {
            assert_eq!(MessageText::read(other), None);
        }
    }

    #[test]
    fn every_field_is_in_the_print() {
        let text = r#"{"_id":"6b040f7eb209ada4add1c867","sender":"6945577083968f286a0ff5fb","receiver":"6945576383968f286a0ff5f9","message":"Hello","createdAt":"2026-11-23T10:03:42.886Z","updatedAt":"2026-11-23T10:03:42.886Z","__v":0}"#;
        let document = |from: &str, to: &str| Document::of(&serde_json::from_str(&text.replacen(from, to, 1)).unwrap());
        let whole = document("", "").unwrap();
        for (from, to) in [
            ("Hello", "hello"),
            ("v\":0", "v\":1"),
            ("5f9\"", "5f8\""),
            ("t\":\"2026", "t\":\"2025"),
        ] {
            assert_ne!(document(from, to).unwrap().fingerprint, whole.fingerprint, "{from}");
        }
        assert_eq!(
            document(r#","__v":0"#, "").map(|document| document.position),
            Some(whole.position)
        );
        assert_eq!(document(r#""message":"Hello","#, ""), None);
    }
}
