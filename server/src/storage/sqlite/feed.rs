//! Reading what changed for a user after a number.

use rusqlite::{Connection, OptionalExtension, Row};
use shared::{Message, UserId};

use super::projected;
use super::runs::{self, segment};
use super::{markers, pages, sequence, users};
use crate::domain::{Change, Changes, Conversation, Cursor, Instance};
use crate::storage::ChangesError;
use crate::storage::size::{self, Enough};

/// A message by its number, if it concerns a user.
pub(super) const MESSAGE: &str = "
    SELECT m.id, m.sender, m.text, m.created_at, m.updated_at, c.low, c.high, m.seq
    FROM messages m CROSS JOIN conversations c ON c.pk = m.conversation
    WHERE m.seq = ?1 AND (c.low = ?2 OR c.high = ?2)";

/// Messages that are not projected yet: everybody's, filtered. There are few, or the caller waited in vain for the
/// projection.
pub(super) const WAITING: &str = "
    SELECT m.id, m.sender, m.text, m.created_at, m.updated_at, c.low, c.high, m.seq
    FROM messages m CROSS JOIN conversations c ON c.pk = m.conversation
    WHERE m.seq > max(?2, (SELECT projected FROM meta WHERE pk = 1)) AND (c.low = ?1 OR c.high = ?1)
    ORDER BY m.seq LIMIT ?3";

macro_rules! markers {
    ($whose:literal) => {
        concat!(
            "SELECT user, peer, read_at, read_id, read_marked_at, delivered_at, delivered_id, delivered_marked_at, change
            FROM markers WHERE ",
            $whose,
            " AND change > ?2 ORDER BY change LIMIT ?3"
        )
    };
}

pub(super) const OWN_MARKERS: &str = markers!("user = ?1");
pub(super) const PEERS_MARKERS: &str = markers!("peer = ?1 AND user <> ?1");

/// Up to `limit` changes after a cursor, as many as a page holds, all read from one snapshot: what is committed meanwhile
/// has a greater number than the cursor that this returns.
pub(super) fn changes(
    connection: &Connection,
    instance: Instance,
    user: UserId,
    since: &Cursor,
    limit: usize,
) -> rusqlite::Result<Result<Changes, ChangesError>> {
    if since.instance != instance || since.page.is_some() {
        return Ok(Err(ChangesError::Reset("the cursor belongs to another database")));
    }
    let snapshot = connection.unchecked_transaction()?;
    let newest = sequence::last(&snapshot)?;
    if !(0..=newest).contains(&since.point) {
        let text = "the cursor is of a later state than the database has, which was restored from a backup";
        return Ok(Err(ChangesError::Reset(text)));
    }
    let mut found = Vec::new();
    // One more than the page holds, to know whether there is more.
    let one_more = limit.saturating_add(1);
    let mut enough = Enough::of(limit);
    let projected = projected::projected(&snapshot)?;
    let mut statement = snapshot.prepare_cached(MESSAGE)?;
    for segment in segment(since.point)..=segment(projected) {
        let numbers = runs::numbers(&snapshot, segment, user)?.into_iter();
        for number in numbers.filter(|number| since.point < *number && *number <= projected) {
            if enough.is_reached() {
                break;
            }
            let message = statement
                .query_row((number, user.bytes()), message_from_row)
                .optional()?;
            if let Some((_, change)) = &message {
                enough.with(size::change_bytes(change));
            }
            found.extend(message);
        }
        if enough.is_reached() {
            break;
        }
    }
    if !enough.is_reached() {
        let rest = one_more - found.len();
        let is_enough = |change: &Change| enough.with(size::change_bytes(change));
        found.extend(after(
            &snapshot,
            WAITING,
            user,
            since,
            rest,
            message_from_row,
            is_enough,
        )?);
    }
    for sql in [OWN_MARKERS, PEERS_MARKERS] {
        let marker = |row: &Row<'_>| Ok((row.get(8)?, Change::Marker(markers::marker_from_row(row)?)));
        found.extend(after(&snapshot, sql, user, since, one_more, marker, |_| false)?);
    }
    found.extend(users::changed_settings(&snapshot, user, since.point)?);
    found.sort_unstable_by_key(|(number, _)| *number);

    let held = size::that_fit(found.iter().map(|(_, change)| size::change_bytes(change)), limit);
    let more = held < found.len();
    found.truncate(held);
    let next = match found.last() {
        _ if !more => newest,
        Some((number, _)) => *number,
        None => since.point,
    };
    Ok(Ok(Changes {
        changes: found.into_iter().map(|(_, change)| change).collect(),
        next: Cursor::at(instance, next),
        more,
    }))
}

/// The rows of one of the statements above without segments, up to the one that is enough.
fn after(
    connection: &Connection,
    sql: &str,
    user: UserId,
    since: &Cursor,
    limit: usize,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<(i64, Change)>,
    mut is_enough: impl FnMut(&Change) -> bool,
) -> rusqlite::Result<Vec<(i64, Change)>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut found = Vec::new();
    for row in statement.query_map((user.bytes(), since.point, row_limit(limit)), read)? {
        let row = row?;
        let ends = is_enough(&row.1);
        found.push(row);
        if ends {
            break;
        }
    }
    Ok(found)
}

fn row_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn message_from_row(row: &Row<'_>) -> rusqlite::Result<(i64, Change)> {
    let people = Conversation::between(UserId::from_bytes(row.get(5)?), UserId::from_bytes(row.get(6)?));
    let message: Message = pages::message_from_row(row, people)?;
    Ok((row.get(7)?, Change::Message(message)))
}
