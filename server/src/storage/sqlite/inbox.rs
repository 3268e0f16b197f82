//! A user's conversations: their order, and each as one of its two people sees it.
//!
//! The order comes from the projection, everything else from messages and watermarks.

use std::collections::HashSet;

use rusqlite::{Connection, Row};
use shared::limits::UNREAD as MOST_UNREAD;
use shared::{MessageId, Timestamp, UserId};

use super::pages::{self, BEFORE_ALL, BEHIND_ALL};
use super::{markers, sequence};
use crate::domain::{Bounds, Conversation, End, Marker, Position};
use crate::storage::{InboxEntry, Summary};

pub(super) const PAGE: &str = "
    SELECT peer, last_at, last_id FROM inbox
    WHERE owner = ?1 AND (last_at, last_id) < (?2, ?3) ORDER BY last_at DESC, last_id DESC LIMIT ?4";

/// Who wrote the messages after a place, the newest first.
pub(super) const SENDERS: &str = "
    SELECT sender FROM messages
    WHERE conversation = (SELECT pk FROM conversations WHERE low = ?1 AND high = ?2)
        AND (created_at, id) > (?3, ?4)
    ORDER BY created_at DESC, id DESC LIMIT ?5";

pub(super) const WITH_UNREAD: &str = "SELECT peer FROM inbox WHERE owner = ?1 AND unread = 1";

pub(super) const ALL_READ: &str = "UPDATE inbox SET unread = 0 WHERE owner = ?1 AND peer = ?2 AND unread = 1";

/// The same, if the newest message of the conversation is the owner's own.
pub(super) const ANSWERED: &str = "
    UPDATE inbox SET unread = 0 WHERE owner = ?1 AND peer = ?2 AND unread = 1 AND ?1 = (
        SELECT sender FROM messages
        WHERE conversation = (SELECT pk FROM conversations WHERE low = min(?1, ?2) AND high = max(?1, ?2))
        ORDER BY created_at DESC, id DESC LIMIT 1)";

pub(super) const ACQUAINTED: &str = "
    SELECT 1 FROM messages
    WHERE conversation = (SELECT pk FROM conversations WHERE low = ?1 AND high = ?2) LIMIT 1";

/// Up to `limit` conversations behind `after`, the one with the newest message first.
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
                id.as_ref().map_or(BEHIND_ALL, |id| id),
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

/// Messages of the peer that the user has not read, counted up to `most`. `own` is the user's watermark.
///
/// Read is what lies up to the watermark, what lies before a message of the user's own, and, where there is no watermark,
/// what is older than the first start. So they are the newest ones up to the first that is the user's own.
pub(super) fn unread(
    connection: &Connection,
    user: UserId,
    peer: UserId,
    own: Option<&Marker>,
    most: u32,
) -> rusqlite::Result<u32> {
    if user == peer {
        return Ok(0);
    }
    let people = Conversation::between(user, peer);
    let place = match own.and_then(|own| own.read) {
        Some(read) => Some(read.place),
        None => sequence::first_start(connection)?.map(Position::start_of),
    };
    let id = place.map(|place| place.id.bytes());
    let mut statement = connection.prepare_cached(SENDERS)?;
    let mut senders = statement.query((
        people.low().bytes(),
        people.high().bytes(),
        place.map_or(i64::MIN, |place| place.created_at.millis()),
        id.as_ref().map_or(BEFORE_ALL, |id| id),
        most,
    ))?;
    let mut count = 0;
    while let Some(row) = senders.next()?
        && row.get_ref(0)?.as_blob()? == peer.bytes()
    {
        count += 1;
    }
    Ok(count)
}

/// Keeps the note of what may be unread in step with a watermark that has just moved, in the same transaction.
///
/// Looked at here, where no message can be committed meanwhile. One that is not projected yet sets the note again then.
pub(super) fn note_read(connection: &Connection, own: &Marker) -> rusqlite::Result<()> {
    if unread(connection, own.user, own.peer, Some(own), 1)? == 0 {
        connection
            .prepare_cached(ALL_READ)?
            .execute((own.user.bytes(), own.peer.bytes()))?;
    }
    Ok(())
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
