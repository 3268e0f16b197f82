//! The numbers of changes: messages, watermarks and settings count up one sequence.
//!
//! There is one writer, so it is the order of commit: a reader that saw a number never sees a smaller one appear. A
//! cursor is such a number.

use rusqlite::Connection;

use crate::store::Instance;

pub(super) const LAST: &str = "
    SELECT max(change, (SELECT coalesce(max(seq), 0) FROM messages)) FROM meta WHERE pk = 1";

pub(super) const LAST_MESSAGE: &str = "SELECT coalesce(max(seq), 0) FROM messages";

pub(super) const TAKE: &str = "UPDATE meta SET change = ?1 WHERE pk = 1";

pub(super) const INSTANCE: &str = "SELECT instance FROM meta WHERE pk = 1";

/// The greatest number that was given. A writing job counts on from here.
pub(super) fn last(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached(LAST)?.query_row([], |row| row.get(0))
}

/// The greatest number that a message has.
pub(super) fn last_message(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row(LAST_MESSAGE, [], |row| row.get(0))
}

/// Records the greatest number that a job gave to anything but a message; a message holds its own.
pub(super) fn take(connection: &Connection, number: i64) -> rusqlite::Result<()> {
    connection.prepare_cached(TAKE)?.execute([number])?;
    Ok(())
}

/// What tells this database from every other.
pub(super) fn instance(connection: &Connection) -> rusqlite::Result<Instance> {
    connection.query_row(INSTANCE, [], |row| row.get(0))
}
