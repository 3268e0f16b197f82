//! The recount: a conversation as one of its two people must see it, from its messages and the acknowledged marks.

use shared::limits::MAX_UNREAD;
use shared::{MessageId, UserId};

use super::Index;
use crate::document::{Document, Position};
use crate::record::{History, Marked};

/// Up to where something holds: the furthest acknowledged mark. A mark that was never answered may count or not.
#[derive(Debug, Default)]
pub(super) struct Watermark {
    acked: Option<Position>,
    possible: Vec<Position>,
}

impl Watermark {
    fn of(index: &Index<'_>, user: UserId, peer: UserId, counts: impl Fn(&Marked) -> bool) -> Self {
        let mut watermark = Self::default();
        let marks = index.by_id.get(&user).into_iter().flat_map(|user| &user.marks);
        for mark in marks.filter(|mark| mark.peer == peer && counts(mark)) {
            let Some(document) = index.documents.get(&mark.up_to) else {
                continue;
            };
            if mark.answer.is_some() {
                watermark.acked = watermark.acked.max(Some(document.position));
            } else {
                watermark.possible.push(document.position);
            }
        }
        watermark
    }

    /// The furthest acknowledged.
    pub(super) fn acked(&self) -> Option<MessageId> {
        self.acked.map(|position| position.id)
    }

    /// Whether it can be there.
    pub(super) fn allows(&self, position: Option<Position>) -> bool {
        position == self.acked
            || (position > self.acked && position.is_some_and(|position| self.possible.contains(&position)))
    }
}

/// A conversation as one of the two must see it.
#[derive(Debug)]
pub(super) struct Conversation<'a> {
    peer: UserId,
    is_own: bool,
    history: &'a History,
    /// Up to where the one who looks has read.
    pub(super) read: Watermark,
    /// And received.
    pub(super) delivered: Watermark,
    /// The same of the other.
    pub(super) peer_read: Watermark,
    /// And received.
    pub(super) peer_delivered: Watermark,
}

impl<'a> Conversation<'a> {
    pub(super) fn of(index: &Index<'_>, user: UserId, peer: UserId, history: &'a History) -> Self {
        Self {
            peer,
            is_own: user == peer,
            history,
            read: Watermark::of(index, user, peer, |mark| mark.read),
            delivered: Watermark::of(index, user, peer, |_| true),
            peer_read: Watermark::of(index, peer, user, |mark| mark.read),
            peer_delivered: Watermark::of(index, peer, user, |_| true),
        }
    }

    /// The newest message.
    pub(super) fn last(&self) -> Option<&'a Document> {
        self.history.documents.iter().max_by_key(|document| document.position)
    }

    /// How many of the peer's messages come after a position, and after the newest message of the one who looks: who has
    /// answered has read. All users of a run are new, so nothing is older than the first start of the server.
    pub(super) fn unread_after(&self, read: Option<Position>) -> u32 {
        let own = self
            .history
            .documents
            .iter()
            .filter(|document| document.sender != self.peer);
        let read = own.map(|document| document.position).max().max(read);
        let after = |document: &&Document| document.sender == self.peer && Some(document.position) > read;
        let count = self.history.documents.iter().filter(after).count();
        if self.is_own {
            0
        } else {
            u32::try_from(count).unwrap_or(u32::MAX)
        }
    }

    /// What of a conversation as the server shows it is wrong, in words.
    pub(super) fn differences(&self, index: &Index<'_>, shown: &shared::Conversation) -> Vec<String> {
        let mut found = Vec::new();
        let last = shown.last_message.as_ref().and_then(Document::of);
        if last.as_ref() != self.last() {
            let id = |document: Option<&Document>| {
                document.map_or("none".to_owned(), |document| document.position.id.to_string())
            };
            found.push(format!(
                "lastMessage is {}, and history ends with {}",
                id(last.as_ref()),
                id(self.last())
            ));
        }
        found.extend(self.wrong_unread(index, shown));
        found.extend(self.wrong_watermarks(index, shown));
        found
    }

    /// The unread number, if it is wrong.
    pub(super) fn wrong_unread(&self, index: &Index<'_>, shown: &shared::Conversation) -> Option<String> {
        // A mark that was never answered moves both, or neither.
        let position = shown
            .read_up_to
            .and_then(|id| index.documents.get(&id))
            .map(|document| document.position);
        let read = if self.read.allows(position) {
            position
        } else {
            self.read.acked
        };
        let unread = self.unread_after(read).min(MAX_UNREAD);
        (shown.unread != unread).then(|| {
            let read = read.map_or("the begin".to_owned(), |position| position.id.to_string());
            format!("unread is {}, and {unread} lie after {read}", shown.unread)
        })
    }

    /// Watermarks that are wrong.
    pub(super) fn wrong_watermarks(&self, index: &Index<'_>, shown: &shared::Conversation) -> Vec<String> {
        let watermarks = [
            ("readUpTo", shown.read_up_to, &self.read),
            ("deliveredUpTo", shown.delivered_up_to, &self.delivered),
            ("peerReadUpTo", shown.peer_read_up_to, &self.peer_read),
            ("peerDeliveredUpTo", shown.peer_delivered_up_to, &self.peer_delivered),
        ];
        let wrong = watermarks.into_iter().filter(|(_, shown, expected)| {
            let position = shown
                .and_then(|id| index.documents.get(&id))
                .map(|document| document.position);
            let is_unknown = shown.is_some() && position.is_none();
            !self.is_own && (is_unknown || !expected.allows(position))
        });
        let word = |id: Option<MessageId>| id.map_or("missing".to_owned(), |id| id.to_string());
        wrong
            .map(|(name, shown, expected)| {
                format!(
                    "{name} is {}, and acknowledged was {}",
                    word(shown),
                    word(expected.acked())
                )
            })
            .collect()
    }
}
