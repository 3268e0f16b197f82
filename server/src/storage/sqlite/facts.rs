//! How the embedded store stands, for an administrator, and one message by its name.

use rusqlite::{Connection, OptionalExtension};
use shared::diagnosis::StoreFacts;
use shared::{Message, UserId};

use super::pages;
use crate::domain::Conversation;
use crate::storage::MessageName;

/// The indexes that the schema makes.
const INDEXES: [&str; 7] = [
    "messages_by_place",
    "messages_by_client_id",
    "markers_by_user",
    "markers_by_peer",
    "inbox_by_place",
    "inbox_unread",
    "users_by_external_id",
];

/// How it stands.
pub(super) fn facts(connection: &Connection) -> rusqlite::Result<StoreFacts> {
    let mut statement = connection.prepare("SELECT name FROM sqlite_master WHERE type = 'index'")?;
    let found = statement.query_map((), |row| row.get::<_, String>(0))?;
    let found = found.collect::<rusqlite::Result<Vec<String>>>()?;
    let missing = INDEXES.iter().filter(|name| !found.iter().any(|other| other == *name));
    let backlog: i64 = connection.query_row(
        "SELECT coalesce((SELECT max(seq) FROM messages), 0) - (SELECT projected FROM meta)",
        (),
        |row| row.get(0),
    )?;
    Ok(StoreFacts {
        engine: "embedded".to_owned(),
        durability: "synchronous=FULL".to_owned(),
        missing_indexes: missing.map(|name| (*name).to_owned()).collect(),
        backlog: Some(u64::try_from(backlog).unwrap_or(0)),
        behind_ms: None,
        members: None,
    })
}

/// A message of whichever conversation: one look into a unique index, and one for its conversation.
pub(super) fn find(connection: &Connection, name: &MessageName) -> rusqlite::Result<Option<Message>> {
    const SELECT: &str = "SELECT id, sender, text, created_at, updated_at, low, high
        FROM messages JOIN conversations ON pk = conversation WHERE ";
    let from = |row: &rusqlite::Row<'_>| {
        let (low, high) = (UserId::from_bytes(row.get(5)?), UserId::from_bytes(row.get(6)?));
        pages::message_from_row(row, Conversation::between(low, high))
    };
    match name {
        MessageName::Id(id) => connection
            .prepare_cached(&format!("{SELECT} id = ?1"))?
            .query_row([id.bytes()], from)
            .optional(),
        MessageName::Client(id) => connection
            .prepare_cached(&format!("{SELECT} client_message_id = ?1 LIMIT 1"))?
            .query_row([id], from)
            .optional(),
    }
}
