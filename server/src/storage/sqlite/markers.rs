//! Watermarks: how far one user has received and read what another wrote.

use rusqlite::{Connection, OptionalExtension, Row};
use shared::{MessageId, Timestamp, UserId};

use super::{sequence, unread};
use crate::domain::{Conversation, Mark, MarkKind, Marked, Marker, Position, Watermark};
use crate::storage::MarkError;

pub(super) const MARKER: &str = "
    SELECT user, peer, read_at, read_id, read_marked_at, delivered_at, delivered_id, delivered_marked_at
    FROM markers WHERE user = ?1 AND peer = ?2";

pub(super) const PLACE: &str = "
    SELECT created_at FROM messages
    WHERE id = ?3 AND conversation = (SELECT pk FROM conversations WHERE low = ?1 AND high = ?2)";

const MOVE: &str = "
    INSERT INTO markers VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
    ON CONFLICT (user, peer) DO UPDATE SET
        read_at = excluded.read_at, read_id = excluded.read_id, read_marked_at = excluded.read_marked_at,
        delivered_at = excluded.delivered_at, delivered_id = excluded.delivered_id,
        delivered_marked_at = excluded.delivered_marked_at, change = excluded.change";

/// The outcome of some marks.
pub(super) struct MarkedBatch {
    /// One for each mark.
    pub(super) marked: Vec<Result<Marked, MarkError>>,
    /// The greatest number that any change has now.
    pub(super) newest: i64,
}

/// Moves watermarks in the order given. A mark that moves nothing writes nothing.
pub(super) fn mark(connection: &Connection, marks: &[Mark]) -> rusqlite::Result<MarkedBatch> {
    let before = sequence::last(connection)?;
    let mut newest = before;
    let marked = marks.iter().map(|mark| mark_one(connection, mark, &mut newest));
    let marked = marked.collect::<rusqlite::Result<_>>()?;
    if newest > before {
        sequence::record(connection, newest)?;
    }
    Ok(MarkedBatch { marked, newest })
}

fn mark_one(connection: &Connection, mark: &Mark, newest: &mut i64) -> rusqlite::Result<Result<Marked, MarkError>> {
    let people = Conversation::between(mark.user, mark.peer);
    let Some(created_at) = connection
        .prepare_cached(PLACE)?
        .query_row(
            (people.low().bytes(), people.high().bytes(), mark.up_to.bytes()),
            |row| row.get(0),
        )
        .optional()?
    else {
        return Ok(Err(MarkError::UnknownMessage));
    };
    let place = Position {
        created_at: Timestamp::from_millis(created_at),
        id: mark.up_to,
    };
    let mut marker = marker(connection, mark.user, mark.peer)?.unwrap_or(Marker {
        user: mark.user,
        peer: mark.peer,
        delivered: None,
        read: None,
    });
    let watermark = Watermark { place, at: mark.at };
    let read_moved = mark.kind == MarkKind::Read && advance(&mut marker.read, watermark);
    let delivered_moved = advance(&mut marker.delivered, watermark);
    if read_moved || delivered_moved {
        *newest += 1;
        store(connection, &marker, *newest)?;
    }
    if read_moved {
        unread::clear_flag(connection, &marker)?;
    }
    Ok(Ok(Marked {
        marker,
        delivered_moved,
        read_moved,
    }))
}

/// Moves a watermark forward, if the new position comes after it.
fn advance(watermark: &mut Option<Watermark>, to: Watermark) -> bool {
    let moved = watermark.is_none_or(|now| now.place < to.place);
    if moved {
        *watermark = Some(to);
    }
    moved
}

fn store(connection: &Connection, marker: &Marker, number: i64) -> rusqlite::Result<()> {
    let columns = |watermark: Option<Watermark>| {
        (
            watermark.map(|watermark| watermark.place.created_at.millis()),
            watermark.map(|watermark| watermark.place.id.bytes()),
            watermark.map(|watermark| watermark.at.millis()),
        )
    };
    let (read, delivered) = (columns(marker.read), columns(marker.delivered));
    connection.prepare_cached(MOVE)?.execute((
        marker.user.bytes(),
        marker.peer.bytes(),
        read.0,
        read.1,
        read.2,
        delivered.0,
        delivered.1,
        delivered.2,
        number,
    ))?;
    Ok(())
}

/// How far `user` has received and read what `peer` wrote, if that was ever marked.
pub(super) fn marker(connection: &Connection, user: UserId, peer: UserId) -> rusqlite::Result<Option<Marker>> {
    connection
        .prepare_cached(MARKER)?
        .query_row((user.bytes(), peer.bytes()), marker_from_row)
        .optional()
}

/// Reads the first eight columns of a row: those of [`MARKER`].
pub(super) fn marker_from_row(row: &Row<'_>) -> rusqlite::Result<Marker> {
    let watermark = |first: usize| -> rusqlite::Result<Option<Watermark>> {
        let Some(created_at) = row.get::<_, Option<i64>>(first)? else {
            return Ok(None);
        };
        Ok(Some(Watermark {
            place: Position {
                created_at: Timestamp::from_millis(created_at),
                id: MessageId::from_bytes(row.get(first + 1)?),
            },
            at: Timestamp::from_millis(row.get(first + 2)?),
        }))
    };
    Ok(Marker {
        user: UserId::from_bytes(row.get(0)?),
        peer: UserId::from_bytes(row.get(1)?),
        read: watermark(2)?,
        delivered: watermark(5)?,
    })
}
