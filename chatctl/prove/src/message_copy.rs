//! A device's copy of what concerns its user, kept as PROTOCOL.md says, and what a crash leaves of it.

use std::collections::HashMap;

use shared::{MessageId, Settings, UserId};

use super::document::Document;

/// A watermark: whose, in the conversation with whom, and which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct MarkerKey {
    /// The other one of the conversation.
    pub(crate) peer: UserId,
    /// The user's own, or the peer's.
    pub(crate) own: bool,
    /// Up to where was read, or only received.
    pub(crate) read: bool,
}

/// The copy.
#[derive(Debug, Default)]
pub(crate) struct MessageCopy {
    documents: HashMap<MessageId, Document>,
    rest: Rest,
    /// What the messages were before, since the last save, so that a crash can undo them.
    undo: Vec<(MessageId, Option<Document>)>,
    saved: Rest,
}

/// All of it but the messages: small, so that saving can clone it.
#[derive(Debug, Default, Clone)]
struct Rest {
    cursor: String,
    /// Messages named, of which that listed last counts. There is more than one where it is not known which that is.
    markers: HashMap<MarkerKey, Vec<MessageId>>,
    settings: Option<Settings>,
}

impl MessageCopy {
    /// Puts a message in the place of what has its id; false if it is there already, just so.
    pub(crate) fn put(&mut self, document: Document) -> bool {
        let before = self.documents.insert(document.position.id, document);
        if before.is_some_and(|before| before.fingerprint == document.fingerprint) {
            return false;
        }
        self.undo.push((document.position.id, before));
        true
    }

    /// Notes a watermark; it never goes back.
    pub(crate) fn mark(&mut self, key: MarkerKey, up_to: MessageId) {
        let position = |id: &MessageId| self.documents.get(id).map(|document| document.position);
        let named = self.rest.markers.entry(key).or_default();
        let new = position(&up_to);
        let known_before =
            |id: &MessageId| *id == up_to || position(id).is_some_and(|old| new.is_some_and(|new| new <= old));
        if named.iter().any(known_before) {
            return;
        }
        named.retain(|id| new.is_none_or(|new| position(id).is_none_or(|old| old > new)));
        named.push(up_to);
    }

    /// Replaces the settings, unless these are older.
    pub(crate) fn set(&mut self, settings: Settings) {
        let known = self.rest.settings.get_or_insert(settings);
        if known.version <= settings.version {
            *known = settings;
        }
    }

    /// Goes on from there.
    pub(crate) fn advance(&mut self, cursor: &str) {
        self.rest.cursor.clear();
        self.rest.cursor.push_str(cursor);
    }

    /// Makes all of it durable.
    pub(crate) fn save(&mut self) {
        self.undo.clear();
        self.saved.clone_from(&self.rest);
    }

    /// Loses what was not saved, the cursor's progress with it.
    pub(crate) fn crash(&mut self) {
        while let Some((id, before)) = self.undo.pop() {
            match before {
                Some(document) => self.documents.insert(id, document),
                None => self.documents.remove(&id),
            };
        }
        self.rest.clone_from(&self.saved);
    }

    /// The last cursor; empty at the begin.
    pub(crate) fn cursor(&self) -> &str {
        &self.rest.cursor
    }

    /// The messages by their id.
    pub(crate) fn documents(&self) -> &HashMap<MessageId, Document> {
        &self.documents
    }

    /// The settings, if any were heard.
    pub(crate) fn settings(&self) -> Option<Settings> {
        self.rest.settings
    }

    /// The messages that were named for a watermark.
    pub(crate) fn marker(&self, key: MarkerKey) -> &[MessageId] {
        self.rest.markers.get(&key).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::super::document::Position;
    use super::*;

    const PEER: UserId = UserId::from_bytes([9; 12]);

    fn document(number: u8) -> Document {
        let id = MessageId::from_bytes([number; 12]);
        Document {
            position: Position { at: number.into(), id },
            sender: PEER,
            receiver: PEER,
            key: None,
            fingerprint: number.into(),
        }
    }

    #[test]
    fn a_crash_takes_back_what_was_not_saved() {
        let mut copy = MessageCopy::default();
        assert!(copy.put(document(1)) && !copy.put(document(1)));
        copy.advance("one");
        copy.save();
        copy.put(document(2));
        copy.put(Document {
            fingerprint: 7,
            ..document(1)
        });
        copy.advance("two");
        copy.set(Settings::default());
        copy.crash();
        assert_eq!((copy.cursor(), copy.settings()), ("one", None));
        assert_eq!(copy.documents().values().collect::<Vec<_>>(), [&document(1)]);
    }

    #[test]
    fn older_settings_change_nothing() {
        let mut copy = MessageCopy::default();
        let of = |version, invisible| Settings {
            version,
            invisible,
            ..Settings::default()
        };
        for (settings, kept) in [(of(2, true), 2), (of(1, false), 2), (of(3, false), 3)] {
            copy.set(settings);
            assert_eq!(copy.settings().map(|settings| settings.version), Some(kept));
        }
        // Of a server that has no versions, the last ones count.
        let mut copy = MessageCopy::default();
        copy.set(of(0, true));
        copy.set(of(0, false));
        assert_eq!(copy.settings(), Some(of(0, false)));
    }

    #[test]
    fn watermarks_go_forward_only() {
        let key = MarkerKey {
            peer: PEER,
            own: false,
            read: true,
        };
        let ids = [1, 2, 3, 4].map(|number| document(number).position.id);
        let mut copy = MessageCopy::default();
        (1..=3).for_each(|number| assert!(copy.put(document(number))));
        for number in [1, 0, 1] {
            copy.mark(key, ids[number]);
            assert_eq!(copy.marker(key), [ids[1]]);
        }
        // Of one that is not known here, nobody can say whether it is further.
        copy.mark(key, ids[3]);
        copy.mark(key, ids[2]);
        assert_eq!(copy.marker(key), [ids[3], ids[2]]);
        assert_eq!(copy.marker(MarkerKey { own: true, ..key }), []);
    }
}
