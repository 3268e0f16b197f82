//! Rows of `feed` and `inbox` that no message explains: finding and repairing them. A rebuild does it.

use rusqlite::Connection;
use shared::{MessageId, Timestamp, UserId};

use super::runs::{self, FeedKey};
use super::{feed, pages};
use crate::domain::{Bounds, Conversation, End, Position};

pub(super) const FEED_FROM: &str = "
    SELECT segment, user, first, numbers FROM feed
    WHERE (segment, user, first) > (?1, ?2, ?3) ORDER BY segment, user, first";

pub(super) const NOT_IN_FEED: &str = "DELETE FROM feed WHERE segment = ?1 AND user = ?2 AND first = ?3";

pub(super) const INBOX_FROM: &str = "
    SELECT owner, peer, last_at, last_id FROM inbox
    WHERE (owner, peer) > (?1, ?2) ORDER BY owner, peer LIMIT ?3";

pub(super) const LAST_IN_INBOX: &str = "UPDATE inbox SET last_at = ?3, last_id = ?4 WHERE owner = ?1 AND peer = ?2";

pub(super) const NOT_IN_INBOX: &str = "DELETE FROM inbox WHERE owner = ?1 AND peer = ?2";

/// Some rows of one of the two tables, in the order of its key.
pub(super) struct Verified<K> {
    /// The key of the last row that was read; none if there are no more.
    pub(super) last: Option<K>,
    /// The rows that are wrong.
    pub(super) wrong: Vec<K>,
}

/// Verifies the rows of the feed after a key, of `most` messages and the rest of the last row: each number must be that of a
/// message.
pub(super) fn verify_feed(
    connection: &Connection,
    (segment, user, first): FeedKey,
    most: usize,
) -> rusqlite::Result<Verified<FeedKey>> {
    let mut verified = Verified {
        last: None,
        wrong: Vec::new(),
    };
    let mut concerns = connection.prepare_cached(feed::MESSAGE)?;
    let mut statement = connection.prepare_cached(FEED_FROM)?;
    let mut rows = statement.query((segment, user.bytes(), first))?;
    let mut read = 0;
    while read < most
        && let Some(row) = rows.next()?
    {
        let key = (row.get(0)?, UserId::from_bytes(row.get(1)?), row.get(2)?);
        let packed = row.get_ref(3)?.as_blob()?;
        let numbers: Vec<i64> = runs::unpack(key.0, packed).collect();
        let mut right = numbers.first() == Some(&key.2) && packed.len() == 2 * numbers.len();
        for number in &numbers {
            right &= concerns.exists((number, key.1.bytes()))?;
        }
        read += numbers.len().max(1);
        verified.last = Some(key);
        if !right {
            verified.wrong.push(key);
        }
    }
    Ok(verified)
}

/// Deletes rows of the feed. What was right in them is missing then; the step that brings in what is missing finds it.
pub(super) fn repair_feed(connection: &Connection, wrong: &[FeedKey]) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(NOT_IN_FEED)?;
    for (segment, user, first) in wrong {
        statement.execute((segment, user.bytes(), first))?;
    }
    Ok(())
}

/// Verifies up to `most` rows of the inboxes after a key: each must hold the newest message.
pub(super) fn verify_inbox(
    connection: &Connection,
    (owner, peer): (UserId, UserId),
    most: usize,
) -> rusqlite::Result<Verified<(UserId, UserId)>> {
    let snapshot = connection.unchecked_transaction()?;
    let mut verified = Verified {
        last: None,
        wrong: Vec::new(),
    };
    let mut statement = snapshot.prepare_cached(INBOX_FROM)?;
    let mut rows = statement.query((owner.bytes(), peer.bytes(), i64::try_from(most).unwrap_or(i64::MAX)))?;
    while let Some(row) = rows.next()? {
        let key = (UserId::from_bytes(row.get(0)?), UserId::from_bytes(row.get(1)?));
        let place = Position {
            created_at: Timestamp::from_millis(row.get(2)?),
            id: MessageId::from_bytes(row.get(3)?),
        };
        verified.last = Some(key);
        if newest(&snapshot, key)? != Some(place) {
            verified.wrong.push(key);
        }
    }
    Ok(verified)
}

/// Makes rows of the inboxes hold the newest message, and deletes those of conversations that have none.
pub(super) fn repair_inbox(connection: &Connection, wrong: &[(UserId, UserId)]) -> rusqlite::Result<()> {
    for &(owner, peer) in wrong {
        match newest(connection, (owner, peer))? {
            Some(place) => connection.prepare_cached(LAST_IN_INBOX)?.execute((
                owner.bytes(),
                peer.bytes(),
                place.created_at.millis(),
                place.id.bytes(),
            ))?,
            None => connection
                .prepare_cached(NOT_IN_INBOX)?
                .execute((owner.bytes(), peer.bytes()))?,
        };
    }
    Ok(())
}

fn newest(connection: &Connection, (owner, peer): (UserId, UserId)) -> rusqlite::Result<Option<Position>> {
    let people = Conversation::between(owner, peer);
    let last = pages::page(connection, people, Bounds::default(), End::Newest, 1)?;
    Ok(last.first().map(Position::of))
}
