//! A user's conversations: their order, and each as one of its two people sees it.
//!
//! The order comes from the projection, everything else from messages and watermarks.

use std::collections::HashSet;

use rusqlite::{Connection, Row};
use shared::limits::MAX_UNREAD as MOST_UNREAD;
use shared::{MessageId, Timestamp, UserId};

use super::markers;
use super::pages::{self, AFTER_ALL};
use super::unread::unread;
use crate::domain::{Bounds, Conversation, End, Position};
use crate::storage::{InboxEntry, Summary};

pub(super) const PAGE: &str = "
    SELECT peer, last_at, last_id FROM inbox
    WHERE owner = ?1 AND (last_at, last_id) < (?2, ?3) ORDER BY last_at DESC, last_id DESC LIMIT ?4";

pub(super) const WITH_UNREAD: &str = "SELECT peer FROM inbox WHERE owner = ?1 AND unread = 1";

pub(super) const ACQUAINTED: &str = "
    SELECT 1 FROM messages
    WHERE conversation = (SELECT pk FROM conversations WHERE low = ?1 AND high = ?2) LIMIT 1";

/// Up to `limit` conversations after `after`, the one with the newest message first.
pub(super) fn page(
    connection: &Connection,
    user: UserId,
    after: Option<Position>,
    limit: usize,
) -> rusqlite::Result<Vec<InboxEntry>> {
    let entry = |row: &Row<'_>| {
        Ok(InboxEntry {
            peer: UserId::from_bytes(row.get(0)?),
            last: Position {
                created_at: Timestamp::from_millis(row.get(1)?),
                id: MessageId::from_bytes(row.get(2)?),
            },
        })
    };
    let id = after.map(|place| place.id.bytes());
    connection
        .prepare_cached(PAGE)?
        .query_map(
            (
                user.bytes(),
                after.map_or(i64::MAX, |place| place.created_at.millis()),
                id.as_ref().map_or(AFTER_ALL, |id| id),
                i64::try_from(limit).unwrap_or(i64::MAX),
            ),
            entry,
        )?
        .collect()
}

/// Each conversation as the first of a pair sees it, all from one snapshot.
pub(super) fn summaries(connection: &Connection, pairs: &[(UserId, UserId)]) -> rusqlite::Result<Vec<Summary>> {
    let snapshot = connection.unchecked_transaction()?;
    let summary = |&(user, peer): &(UserId, UserId)| {
        let conversation = Conversation::between(user, peer);
        let own = markers::marker(&snapshot, user, peer)?;
        Ok(Summary {
            last: pages::page(&snapshot, conversation, Bounds::default(), End::Newest, 1)?.pop(),
            unread: unread(&snapshot, user, peer, own.as_ref(), MOST_UNREAD)?,
            peers: markers::marker(&snapshot, peer, user)?,
            own,
        })
    };
    pairs.iter().map(summary).collect()
}

/// The unread messages of all conversations of a user, counted up to `most`, from one snapshot.
pub(super) fn total_unread(connection: &Connection, user: UserId, most: u32) -> rusqlite::Result<u32> {
    let snapshot = connection.unchecked_transaction()?;
    let mut conversations = snapshot.prepare_cached(WITH_UNREAD)?;
    let mut peers = conversations.query([user.bytes()])?;
    let mut total = 0;
    while total < most
        && let Some(row) = peers.next()?
    {
        let peer = UserId::from_bytes(row.get(0)?);
        let own = markers::marker(&snapshot, user, peer)?;
        total += unread(&snapshot, user, peer, own.as_ref(), most - total)?;
    }
    Ok(total)
}

/// Those of `others` with whom a user has exchanged a message.
pub(super) fn acquainted(
    connection: &Connection,
    user: UserId,
    others: &[UserId],
) -> rusqlite::Result<HashSet<UserId>> {
    let mut statement = connection.prepare_cached(ACQUAINTED)?;
    let mut known = HashSet::new();
    for &other in others {
        let people = Conversation::between(user, other);
        if statement.exists((people.low().bytes(), people.high().bytes()))? {
            known.insert(other);
        }
    }
    Ok(known)
}
