//! Storing messages, with the check of the receiver and of the client's id in the same transaction.

use rusqlite::{Connection, OptionalExtension, Row};
use shared::{Message, UserId};

use super::error::is_of_one_row;
use super::{pages, sequence};
use crate::domain::Conversation;
use crate::domain::{ClientMessageId, NewMessage};
use crate::storage::{AppendError, Appended};

pub(super) const RECEIVER: &str = "SELECT 1 FROM users WHERE id = ?1";

pub(super) const BY_CLIENT_ID: &str = "
    SELECT m.id, m.sender, m.text, m.created_at, m.updated_at, c.low, c.high
    FROM messages m JOIN conversations c ON c.pk = m.conversation
    WHERE m.client_message_id = ?1 AND m.sender = ?2";

pub(super) const CONVERSATION: &str = "SELECT pk FROM conversations WHERE low = ?1 AND high = ?2";

const NEW_CONVERSATION: &str = "INSERT INTO conversations (low, high) VALUES (?1, ?2) RETURNING pk";

const NEW_MESSAGE: &str = "
    INSERT INTO messages (seq, id, conversation, sender, text, client_message_id, created_at, updated_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)";

/// The outcome of a batch.
pub(super) struct AppendedBatch {
    /// One for each message.
    pub(super) messages: Vec<Result<Appended, AppendError>>,
    /// The number of the last that was stored now.
    pub(super) newest: Option<i64>,
}

/// Stores a batch in order. A message that can't be stored fails alone; a failure of the database fails all.
pub(super) fn append(connection: &Connection, batch: &[NewMessage]) -> rusqlite::Result<AppendedBatch> {
    let before = sequence::last(connection)?;
    let mut newest = before;
    let messages = batch.iter().map(|new| append_one(connection, new, &mut newest));
    Ok(AppendedBatch {
        messages: messages.collect::<rusqlite::Result<_>>()?,
        newest: (newest > before).then_some(newest),
    })
}

/// Increases `newest` if a message is stored.
fn append_one(
    connection: &Connection,
    new: &NewMessage,
    newest: &mut i64,
) -> rusqlite::Result<Result<Appended, AppendError>> {
    if !connection.prepare_cached(RECEIVER)?.exists([new.receiver.bytes()])? {
        return Ok(Err(AppendError::UnknownReceiver));
    }
    // Reading first spares an empty conversation. There is one writer, and a unique index enforces it.
    if let Some(client_id) = &new.client_message_id
        && let Some(first) = by_client_id(connection, new, client_id)?
    {
        return Ok(repetition(first, new).ok_or(AppendError::Conflict));
    }
    let people = Conversation::between(new.sender, new.receiver);
    match insert(connection, people, new, *newest + 1) {
        Ok(()) => {
            *newest += 1;
            Ok(Ok(Appended {
                message: new.to_message(),
                duplicate: false,
            }))
        }
        Err(error) if is_of_one_row(&error) => {
            // Its id exists: either the very same message was given before, or another has it.
            let first = pages::message(connection, people, new.id)?;
            let repeated = first.and_then(|first| repetition(first, new));
            Ok(repeated.ok_or_else(|| AppendError::Store(error.into())))
        }
        Err(error) => Err(error),
    }
}

/// The answer to a message that says the same to the same person as `first`, which was stored before.
fn repetition(first: Message, new: &NewMessage) -> Option<Appended> {
    let same = first.sender == Some(new.sender)
        && first.receiver == Some(new.receiver)
        && first.message.as_deref() == Some(new.text.as_str());
    same.then(|| Appended {
        duplicate: first.id != new.id,
        message: first,
    })
}

fn insert(connection: &Connection, people: Conversation, new: &NewMessage, number: i64) -> rusqlite::Result<()> {
    let conversation = conversation(connection, people)?;
    connection.prepare_cached(NEW_MESSAGE)?.execute((
        number,
        new.id.bytes(),
        conversation,
        new.sender.bytes(),
        new.text.as_str(),
        new.client_message_id.as_ref().map(ClientMessageId::as_str),
        new.created_at.millis(),
    ))?;
    Ok(())
}

/// The message that the sender stored under this client id before.
fn by_client_id(
    connection: &Connection,
    new: &NewMessage,
    client_id: &ClientMessageId,
) -> rusqlite::Result<Option<Message>> {
    let read = |row: &Row<'_>| {
        let people = Conversation::between(UserId::from_bytes(row.get(5)?), UserId::from_bytes(row.get(6)?));
        pages::message_from_row(row, people)
    };
    connection
        .prepare_cached(BY_CLIENT_ID)?
        .query_row((client_id.as_str(), new.sender.bytes()), read)
        .optional()
}

/// The key of a conversation, which begins with its first message.
fn conversation(connection: &Connection, people: Conversation) -> rusqlite::Result<i64> {
    let people = (people.low().bytes(), people.high().bytes());
    let known = connection
        .prepare_cached(CONVERSATION)?
        .query_row(people, |row| row.get(0))
        .optional()?;
    match known {
        Some(key) => Ok(key),
        None => connection
            .prepare_cached(NEW_CONVERSATION)?
            .query_row(people, |row| row.get(0)),
    }
}
