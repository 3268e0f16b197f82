//! The number up to which all messages are in `feed` and `inbox`.

use rusqlite::Connection;

pub(super) const PROJECTED: &str = "SELECT projected FROM meta WHERE pk = 1";

pub(super) const ADVANCE: &str = "UPDATE meta SET projected = ?1 WHERE pk = 1 AND projected < ?1";

/// Reads it.
pub(super) fn projected(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached(PROJECTED)?.query_row([], |row| row.get(0))
}

/// Moves it forward, unless it is greater already.
pub(super) fn advance(connection: &Connection, to: i64) -> rusqlite::Result<()> {
    connection.prepare_cached(ADVANCE)?.execute([to])?;
    Ok(())
}
