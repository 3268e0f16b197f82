//! Fuzz target: every text that clients pass to go on from, and every id.

use shared::{MessageId, Timestamp, UserId};

use super::InboxPage;
use crate::domain::Cursor;
use crate::storage::InboxEntry;

/// A cursor of a feed or of an inbox, an id, a time. What is read is written again as something that is read the same.
pub fn cursors(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(cursor) = Cursor::parse(text) {
        assert_eq!(Cursor::parse(&cursor.to_string()), Ok(cursor));
    }
    if let Ok(InboxPage(last)) = InboxPage::parse(text) {
        let peer = UserId::from_bytes([0; 12]);
        assert_eq!(InboxPage::write(&InboxEntry { peer, last }), text);
    }
    if let Ok(id) = text.parse::<MessageId>() {
        assert!(text.eq_ignore_ascii_case(&id.to_string()));
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        assert_eq!(at.to_string().parse(), Ok(at));
    }
}
