//! The sequence of changes: each message, watermark and change of settings has the next number.
//!
//! There is one writer, so this is the order of commit: a reader that saw a number never sees a smaller one appear. A cursor
//! is such a number.

use rusqlite::{Connection, OptionalExtension};
use shared::Timestamp;

use crate::domain::Instance;

pub(super) const LAST: &str = "
    SELECT max(change, (SELECT coalesce(max(seq), 0) FROM messages)) FROM meta WHERE pk = 1";

pub(super) const LAST_MESSAGE: &str = "SELECT coalesce(max(seq), 0) FROM messages";

pub(super) const LAST_STORED: &str = "
    SELECT seq, created_at FROM messages WHERE seq = (SELECT max(seq) FROM messages)";

/// The greatest time in the second of the greatest id. Ids and times grow together, but those of several processes
/// lie side by side within a second.
pub(super) const NEWEST_BY_ID: &str = "
    SELECT max(created_at) FROM messages WHERE id >= (SELECT substr(max(id), 1, 4) FROM messages)";

pub(super) const RECORD: &str = "UPDATE meta SET change = ?1 WHERE pk = 1";

pub(super) const FIRST_START: &str = "SELECT first_start FROM meta WHERE pk = 1";

pub(super) const INSTANCE: &str = "SELECT instance FROM meta WHERE pk = 1";

/// The greatest number that was given. A writing job counts on from here.
pub(super) fn last(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached(LAST)?.query_row([], |row| row.get(0))
}

/// The greatest number that a message has.
pub(super) fn last_message(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row(LAST_MESSAGE, [], |row| row.get(0))
}

/// The last message: its number, 0 if there is none, and its time.
pub(super) fn last_stored(connection: &Connection) -> rusqlite::Result<(i64, Option<Timestamp>)> {
    let last = connection
        .prepare_cached(LAST_STORED)?
        .query_row([], |row| Ok((row.get(0)?, Timestamp::from_millis(row.get(1)?))))
        .optional()?;
    Ok(last.map_or((0, None), |(number, at)| (number, Some(at))))
}

/// How many messages there are, from an index: some milliseconds for a million.
pub(super) fn messages(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT count(*) FROM messages", [], |row| row.get(0))
}

/// The greatest time that a message has: of the last one, or of the one with the greatest id if that is later, as it is
/// where the clock was once ahead.
pub(super) fn newest(connection: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    let (_, last) = last_stored(connection)?;
    let by_id: Option<i64> = connection.query_row(NEWEST_BY_ID, [], |row| row.get(0))?;
    Ok(last.max(by_id.map(Timestamp::from_millis)))
}

/// Makes this another database to every cursor, so that their holders begin again.
pub(super) fn new_instance(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("UPDATE meta SET instance = randomblob(6) WHERE pk = 1", [])?;
    Ok(())
}

/// Records the greatest number that a job gave to anything but a message; a message holds its own.
pub(super) fn record(connection: &Connection, number: i64) -> rusqlite::Result<()> {
    connection.prepare_cached(RECORD)?.execute([number])?;
    Ok(())
}

/// Records when a new database was first opened.
pub(super) fn set_first_start(connection: &Connection, at: Timestamp) -> rusqlite::Result<()> {
    connection.execute("UPDATE meta SET first_start = ?1 WHERE pk = 1", [at.millis()])?;
    Ok(())
}

/// A clock that was ahead at the first start and was set right: it must not hide what comes now.
pub(super) fn correct_first_start(connection: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    connection.execute(
        "UPDATE meta SET first_start = ?1 WHERE pk = 1 AND first_start > ?1",
        [now.millis()],
    )?;
    Ok(())
}

/// When a server first opened this database, if that is known.
pub(super) fn first_start(connection: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    let millis: Option<i64> = connection
        .prepare_cached(FIRST_START)?
        .query_row([], |row| row.get(0))?;
    Ok(millis.map(Timestamp::from_millis))
}

/// What distinguishes this database from every other.
pub(super) fn instance(connection: &Connection) -> rusqlite::Result<Instance> {
    connection.query_row(INSTANCE, [], |row| row.get(0))
}
