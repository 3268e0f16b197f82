//! Reading messages: each read is one statement over one range of one index.

use rusqlite::{Connection, OptionalExtension, Row};
use shared::{Message, MessageId, Timestamp, UserId};

use crate::domain::{Bounds, Conversation, End};
use crate::storage::size::{self, PIECE_BYTES};

pub(super) const MESSAGE: &str = "
    SELECT id, sender, text, created_at, updated_at
    FROM messages
    WHERE id = ?3 AND conversation = (SELECT pk FROM conversations WHERE low = ?1 AND high = ?2)";

macro_rules! page {
    ($direction:literal) => {
        concat!(
            "SELECT id, sender, text, created_at, updated_at
            FROM messages
            WHERE conversation = (SELECT pk FROM conversations WHERE low = ?1 AND high = ?2)
                AND (created_at, id) > (?3, ?4) AND (created_at, id) < (?5, ?6)
            ORDER BY created_at ",
            $direction,
            ", id ",
            $direction,
            " LIMIT ?7"
        )
    };
}

pub(super) const OLDEST: &str = page!("ASC");
pub(super) const NEWEST: &str = page!("DESC");

/// Before every id, and after every id: one byte shorter and one longer than all of them.
pub(super) const BEFORE_ALL: &[u8] = &[0; 11];
pub(super) const AFTER_ALL: &[u8] = &[0xff; 13];

/// One message, if the conversation holds it.
pub(super) fn message(
    connection: &Connection,
    conversation: Conversation,
    id: MessageId,
) -> rusqlite::Result<Option<Message>> {
    connection
        .prepare_cached(MESSAGE)?
        .query_row(
            (conversation.low().bytes(), conversation.high().bytes(), id.bytes()),
            |row| message_from_row(row, conversation),
        )
        .optional()
}

/// Up to `limit` messages from one end of `bounds`, oldest first; no more after the one that makes them a piece.
pub(super) fn page(
    connection: &Connection,
    conversation: Conversation,
    bounds: Bounds,
    end: End,
    limit: usize,
) -> rusqlite::Result<Vec<Message>> {
    let sql = match end {
        End::Oldest => OLDEST,
        End::Newest => NEWEST,
    };
    let after = bounds.after.map(|place| (place.created_at.millis(), place.id.bytes()));
    let before = bounds.before.map(|place| (place.created_at.millis(), place.id.bytes()));
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query_map(
        (
            conversation.low().bytes(),
            conversation.high().bytes(),
            after.map_or(i64::MIN, |(at, _)| at),
            after.as_ref().map_or(BEFORE_ALL, |(_, id)| id),
            before.map_or(i64::MAX, |(at, _)| at),
            before.as_ref().map_or(AFTER_ALL, |(_, id)| id),
            i64::try_from(limit).unwrap_or(i64::MAX),
        ),
        |row| message_from_row(row, conversation),
    )?;
    let mut messages: Vec<Message> = Vec::new();
    let mut bytes = 0;
    while bytes < PIECE_BYTES
        && let Some(message) = rows.next().transpose()?
    {
        bytes += size::message_bytes(&message);
        messages.push(message);
    }
    if end == End::Newest {
        messages.reverse();
    }
    Ok(messages)
}

/// Reads `id, sender, text, created_at, updated_at`, the first five columns of a row.
pub(super) fn message_from_row(row: &Row<'_>, conversation: Conversation) -> rusqlite::Result<Message> {
    let sender = UserId::from_bytes(row.get(1)?);
    let receiver = if sender == conversation.low() {
        conversation.high()
    } else {
        conversation.low()
    };
    Ok(Message {
        id: MessageId::from_bytes(row.get(0)?),
        sender: Some(sender),
        receiver: Some(receiver),
        message: Some(row.get(2)?),
        created_at: Some(Timestamp::from_millis(row.get(3)?)),
        updated_at: Some(Timestamp::from_millis(row.get(4)?)),
        version: Some(0),
    })
}
