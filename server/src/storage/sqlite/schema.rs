//! Tables, indexes and their migrations, and how a connection is set up.
//!
//! Why the tables look as they do:
//!
//! - **Rows lie in the order of arrival** (`seq`), not by conversation. Appending then touches the end of the table,
//!   and only the indexes are written in random places; a table kept in the order of conversations reads pages
//!   faster, but halves the writes. As there is one writer, `seq` is also the order of commit: a reader that saw a
//!   number will never see a smaller one appear.
//! - **Conversations and users have short integer keys.** The index that every page is read from holds one small
//!   number instead of two 12-byte ids for each message.
//! - **A sender is stored as its id**, because a token may name a sender that is in no row of `users`. The receiver
//!   is the other one of the conversation.
//! - **The index of places ends with the sender**, so that unread messages, those of one sender after a place, are counted
//!   without reading rows. If the sender came before the place in the index, the count would not have to step over what the
//!   other one wrote in between; but the two directions of a conversation would lie in different pages, and each commit
//!   would write twice as many: that costs a tenth of the throughput.
//! - **`feed` and `inbox` are a projection of `messages`**, written later and in larger batches: in the commit itself their
//!   rows would dirty several times the pages that the message does. `meta.projected` says how far it is, in the same
//!   transaction as the rows.
//! - **A feed lies in segments** of `seq`: what is written together lies together at the end of the table, instead of at the
//!   end of each user's rows, where it would dirty a page for each of them. A reader seeks once in each segment after its
//!   cursor. A row holds many messages, see [`runs`](super::runs): a row for each message and each of its two people cost a
//!   tenth of the throughput.
//! - **Uniqueness is the database's work**: a message's id, a sender's client message id, a user's name and external id.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::storage::StoreError;

/// Entry *n* takes a database from `user_version` *n* to *n + 1*. Entries are only ever added.
pub(super) const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE users (
        pk INTEGER PRIMARY KEY,
        id BLOB NOT NULL UNIQUE,
        username TEXT NOT NULL UNIQUE,
        is_online INTEGER NOT NULL,
        last_seen INTEGER
    ) STRICT;

    CREATE TABLE conversations (
        pk INTEGER PRIMARY KEY,
        low BLOB NOT NULL,
        high BLOB NOT NULL,
        UNIQUE (low, high)
    ) STRICT;

    CREATE TABLE messages (
        seq INTEGER PRIMARY KEY,
        id BLOB NOT NULL UNIQUE,
        conversation INTEGER NOT NULL REFERENCES conversations (pk),
        sender BLOB NOT NULL,
        text TEXT NOT NULL,
        client_message_id TEXT,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL
    ) STRICT;

    CREATE INDEX messages_by_position ON messages (conversation, created_at, id);

    -- The client's id comes first: clients mint them in the order of time, so this too grows at its end.
    CREATE UNIQUE INDEX messages_by_client_id ON messages (client_message_id, sender)
        WHERE client_message_id IS NOT NULL;

    -- One row, written to find out whether writing works.
    CREATE TABLE probe (pk INTEGER PRIMARY KEY CHECK (pk = 1), count INTEGER NOT NULL) STRICT;
    INSERT INTO probe VALUES (1, 0);
",
    "
    -- One row. `change` is the greatest number given to a watermark or to settings, `projected` the `seq` up to which
    -- messages are in `feed` and `inbox`.
    CREATE TABLE meta (
        pk INTEGER PRIMARY KEY CHECK (pk = 1),
        instance BLOB NOT NULL,
        change INTEGER NOT NULL,
        projected INTEGER NOT NULL
    ) STRICT;
    INSERT INTO meta VALUES (1, randomblob(6), 0, 0);

    DROP INDEX messages_by_position;
    CREATE INDEX messages_by_place ON messages (conversation, created_at, id, sender);

    CREATE TABLE markers (
        user BLOB NOT NULL,
        peer BLOB NOT NULL,
        read_at INTEGER,
        read_id BLOB,
        read_marked_at INTEGER,
        delivered_at INTEGER,
        delivered_id BLOB,
        delivered_marked_at INTEGER,
        change INTEGER NOT NULL,
        PRIMARY KEY (user, peer)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX markers_by_user ON markers (user, change);
    CREATE INDEX markers_by_peer ON markers (peer, change);

    -- `settings_change` is missing for users who have the default.
    ALTER TABLE users ADD COLUMN read_receipts INTEGER NOT NULL DEFAULT TRUE;
    ALTER TABLE users ADD COLUMN invisible INTEGER NOT NULL DEFAULT FALSE;
    ALTER TABLE users ADD COLUMN settings_change INTEGER;

    -- One row for each user whom a step found in a segment; `numbers` holds their messages, packed.
    CREATE TABLE feed (
        segment INTEGER NOT NULL,
        user BLOB NOT NULL,
        first INTEGER NOT NULL,
        numbers BLOB NOT NULL,
        PRIMARY KEY (segment, user, first)
    ) STRICT, WITHOUT ROWID;

    -- `unread` is false only where nothing is unread; how much is unread is always counted.
    CREATE TABLE inbox (
        owner BLOB NOT NULL,
        peer BLOB NOT NULL,
        last_at INTEGER NOT NULL,
        last_id BLOB NOT NULL,
        unread INTEGER NOT NULL,
        PRIMARY KEY (owner, peer)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX inbox_by_place ON inbox (owner, last_at, last_id);
    CREATE INDEX inbox_unread ON inbox (owner) WHERE unread = 1;
",
    "
    -- When a server first opened this database. What is older counts as read. Missing in databases that are older than
    -- this column.
    ALTER TABLE meta ADD COLUMN first_start INTEGER;
",
    "
    -- Who is shut out. A user with `banned_at` is banned, for ever without `banned_until`.
    ALTER TABLE users ADD COLUMN revoked_before INTEGER;
    ALTER TABLE users ADD COLUMN banned_at INTEGER;
    ALTER TABLE users ADD COLUMN banned_until INTEGER;
    ALTER TABLE users ADD COLUMN ban_reason TEXT;
",
    "
    -- What another system calls the user, and what is shown of it.
    ALTER TABLE users ADD COLUMN external_id TEXT;
    ALTER TABLE users ADD COLUMN display_name TEXT;
    ALTER TABLE users ADD COLUMN avatar_url TEXT;
    CREATE UNIQUE INDEX users_by_external_id ON users (external_id) WHERE external_id IS NOT NULL;
",
];

/// The `user_version` from which on changes have numbers, and the database a name of its own.
pub(super) const WITH_NUMBERS: i64 = 2;

/// The first SQLite without the race between a checkpoint and a commit that can lose data.
const OLDEST_SQLITE: i32 = 3_051_003;

/// Memory that the writer may use for pages, in KiB. Random inserts into the indexes want their inner pages here.
const WRITER_CACHE_KIB: i64 = 65_536;

/// How long a connection waits for a lock. No other process should hold one for long, but an administrator's shell or a
/// backup may for a moment.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// What the log's file is cut back to when a stalled checkpoint let it grow, in bytes.
const LOG_FILE_BYTES: i64 = 128 * 1024 * 1024;

/// Fails if the SQLite in this program can lose data.
pub(super) fn check_version() -> Result<(), StoreError> {
    if rusqlite::version_number() >= OLDEST_SQLITE {
        return Ok(());
    }
    Err(StoreError::Failed(format!(
        "SQLite {} can lose data in a race; 3.51.3 is the oldest without it",
        rusqlite::version()
    )))
}

/// A connection that writes and checkpoints.
pub(super) fn open_writer(database: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(database)?;
    set_up_writer(&connection, database)?;
    Ok(connection)
}

/// Makes a connection one that writes and checkpoints; this is the first thing that changes a new file.
pub(super) fn set_up_writer(connection: &Connection, database: &Path) -> Result<(), StoreError> {
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        let text = format!(
            "{} can't have a write-ahead log: is it on a network file system?",
            database.display()
        );
        return Err(StoreError::Failed(text));
    }
    set_up(connection)?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    connection.pragma_update(None, "journal_size_limit", LOG_FILE_BYTES)?;
    Ok(())
}

/// A connection that can't write.
pub(super) fn open_reader(database: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags)?;
    set_up(&connection)?;
    Ok(connection)
}

/// Whether closing the last connection leaves the log beside the database, instead of copying and deleting it.
pub(super) fn keep_log_on_close(connection: &Connection, keep: bool) -> Result<(), StoreError> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep)?;
    Ok(())
}

fn set_up(connection: &Connection) -> Result<(), StoreError> {
    // Every commit is synced before it is answered, and no commit pays for a checkpoint.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    // A damaged page is noticed when it is read, rather than when its cells lead astray.
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // Plans do not depend on the values bound; otherwise binding them would prepare some statements anew each time.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// How many of [`MIGRATIONS`] a database has.
pub(super) fn version(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}

/// Returns the version of a database with something in it. Fails if it is one of a newer version of this program, or of
/// another program.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    let path = path.display();
    let version = version(connection)?;
    if !(0..=MIGRATIONS.len() as i64).contains(&version) {
        return Err(StoreError::Failed(format!(
            "{path} was written by a newer version: its schema is {version}, this program knows up to {}",
            MIGRATIONS.len()
        )));
    }
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let tables = count("SELECT count(*) FROM sqlite_schema")?;
    let own = count("SELECT count(*) FROM sqlite_schema WHERE name IN ('users', 'conversations', 'messages')")?;
    if (version == 0 && tables > 0) || (version > 0 && own < 3) {
        return Err(StoreError::Failed(format!("{path} is the database of another program")));
    }
    Ok(version)
}

/// Brings the tables up to date, each step in a transaction of its own.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let version = version(connection)?;
    let missing = usize::try_from(version)
        .ok()
        .and_then(|version| MIGRATIONS.get(version..));
    for (step, version) in missing.unwrap_or_default().iter().zip(version + 1..) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}
