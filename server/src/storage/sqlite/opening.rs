//! From a directory to a database that is known to be the right one and whole, as far as that can be seen.
//!
//! A database that is refused is left exactly as it was found, the write-ahead log included: SQLite would copy half of a
//! damaged log into the database and delete the rest, and would delete the log of a database that was emptied. What reading
//! has changed beside them, an index and a note of ours, is put back, see [`untouched`](super::untouched).

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use shared::Timestamp;

use super::checkpoint::DEFAULT_LOG_PAGES;
use super::data_dir::DataDir;
use super::files::Files;
use super::known::{Known, KnownFile};
use super::room::Room;
use super::untouched::Untouched;
use super::{checkpoint, log_index, room, schema, sequence, users};
use crate::clock;
use crate::storage::StoreError;

/// How a database is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Reads the whole file for damage first, with SQLite's `quick_check`.
    pub check: bool,
    /// Opens a database although messages are missing that it once had, and makes all clients begin anew.
    pub accept_loss: bool,
    /// What time it is. On a new database that is when the first server was started on it.
    pub now: Timestamp,
    /// How many pages the write-ahead log may have before it is copied into the database.
    pub(super) log_pages: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            check: false,
            accept_loss: false,
            now: clock::now(),
            log_pages: DEFAULT_LOG_PAGES,
        }
    }
}

/// What was opened.
pub(super) struct Opened {
    pub(super) directory: Arc<DataDir>,
    pub(super) connection: Connection,
    pub(super) files: Arc<Files>,
    pub(super) known_file: Arc<KnownFile>,
}

/// Opens the database in `dir`, creates what is missing, and takes every user offline.
pub(super) fn open(dir: &Path, options: &Options) -> Result<Opened, StoreError> {
    open_checked(dir, options).map_err(|error| match error {
        // SQLite calls most of it an I/O error.
        StoreError::Unavailable(text) if Room::new(dir).is_uncertain() => {
            StoreError::Unavailable(format!("{text}; the disk of {} is full", dir.display()))
        }
        error => error,
    })
}

fn open_checked(dir: &Path, options: &Options) -> Result<Opened, StoreError> {
    let mut directory = DataDir::claim(dir)?;
    let database = directory.database();
    let known = Known::read(dir);
    let found = directory.length(&database)? > 0;
    if !found {
        check_empty(&directory, known.as_ref(), options)?;
    }
    directory.lock_database()?;
    let untouched = found.then(|| Untouched::read(&directory, dir));
    // Only now: the log of a process that still runs is not to be written down as that of a dead one.
    let log_pages = known.as_ref().and_then(|known| log_pages(&directory, dir, known));
    let mut connection = Connection::open(&database)?;
    schema::keep_log_on_close(&connection, true)?;
    let mut cut = false;
    if let Some(untouched) = untouched {
        let checked = check_found(&connection, &database, known.as_ref(), options)
            .map_err(|error| damaged(&database, error))
            .and_then(|()| check_log(&connection, &database, log_pages, options));
        match checked {
            Ok(is_cut) => cut = is_cut,
            Err(error) => {
                drop(connection);
                untouched.put_back();
                return Err(error);
            }
        }
    }
    schema::set_up_writer(&connection, &database).map_err(|error| damaged(&database, error))?;
    schema::migrate(&mut connection)?;
    match found {
        // Not by a clock that is slow: by it messages that count as read would become unread.
        true if sequence::newest(&connection)?.is_some_and(|newest| options.now < newest) => {}
        true => sequence::correct_first_start(&connection, options.now)?,
        false => sequence::set_first_start(&connection, options.now)?,
    }
    room::tidy(&connection)?;
    users::all_offline(&connection, None)?;
    let now = Known::of(&connection)?;
    if cut || (found && known.as_ref().is_some_and(|known| is_lost(known, &now))) {
        // The numbers continue from here, so a cursor of what is lost would miss what comes next.
        sequence::new_instance(&connection)?;
    }
    let known_file = KnownFile::new(dir);
    if !known_file.update(&connection) && log_pages.is_some() {
        // What the file says of the log was right only until now.
        let text = format!("{}: known.json can't be written", dir.display());
        return Err(StoreError::Unavailable(text));
    }
    report(&connection, &database, found, &now)?;
    Ok(Opened {
        files: Arc::new(Files::opened(&directory)?),
        directory: Arc::new(directory),
        connection,
        known_file: Arc::new(known_file),
    })
}

/// The one line by which an operator sees that it is the right database.
fn report(connection: &Connection, database: &Path, found: bool, now: &Known) -> Result<(), StoreError> {
    let schema = schema::version(connection)?;
    // As an administrator's shell would have to name it.
    let path = std::path::absolute(database).unwrap_or_else(|_| database.to_owned());
    let path = path.display();
    let last_message = now.last_message.map(tracing::field::display);
    // Counted: watermarks and settings have numbers, too, so the number of the last message may be greater.
    let (messages, changes) = (sequence::messages(connection)?, now.changes);
    match found {
        true => tracing::info!(%path, schema, messages, last_message, changes, "found the embedded database"),
        false => tracing::info!(%path, schema, "created the embedded database"),
    }
    Ok(())
}

/// Refuses a database that is not there, or is empty, where there was one.
fn check_empty(directory: &DataDir, known: Option<&Known>, options: &Options) -> Result<(), StoreError> {
    let log = directory.length(&directory.log())?;
    let expected = match known {
        Some(known) if known.changes > 0 => at_least(known),
        // SQLite writes the first page of the database before it creates the log.
        _ if log > 0 => format!("a database, because there is a log of {log} bytes"),
        _ => return Ok(()),
    };
    loss(&directory.database(), &expected, "it is empty or missing", options)
}

/// Refuses a database of another program, one that is damaged, and one that has less than it had.
fn check_found(
    connection: &Connection,
    path: &Path,
    known: Option<&Known>,
    options: &Options,
) -> Result<(), StoreError> {
    let version = schema::check(connection, path)?;
    if options.check {
        quick_check(connection, path)?;
    }
    let Some(known) = known else { return Ok(()) };
    let differs = |found: &str| loss(path, &at_least(known), found, options);
    if version < schema::WITH_NUMBERS {
        // What was stored is of a later schema than this.
        return differs("a database that is empty or of an older version");
    }
    let now = Known::of(connection)?;
    if now.instance != known.instance {
        return differs(&format!("another database, which has {}", describe(&now)));
    }
    if is_lost(known, &now) {
        return differs(&format!("only {}", describe(&now)));
    }
    Ok(())
}

/// How many pages the log had when a process died, if one did and that is still known. SQLite throws it away as soon as it
/// opens the database, so it is stored with the rest before, until the log was found whole.
fn log_pages(directory: &DataDir, dir: &Path, known: &Known) -> Option<u32> {
    if known.log_pages.is_some() {
        return known.log_pages;
    }
    let same_boot = known.boot.is_some() && known.boot == log_index::boot();
    let log_pages = log_index::pages(&directory.log_index()).filter(|_| same_boot);
    let known = Known {
        log_pages,
        ..known.clone()
    };
    log_pages.filter(|_| known.write(dir).is_ok())
}

/// Refuses a log that ends earlier than it did when its process died. Returns whether it does, if that was accepted.
fn check_log(connection: &Connection, path: &Path, before: Option<u32>, options: &Options) -> Result<bool, StoreError> {
    let (Some(before), Some(now)) = (before, checkpoint::log_pages(connection)) else {
        return Ok(false);
    };
    if now >= u64::from(before) {
        return Ok(false);
    }
    let left = Known::of(connection).map_or_else(|_| "nothing".to_owned(), |now| describe(&now));
    let expected = format!("a log (chat.db-wal) of {before} pages, as the process that died left it");
    let found = format!("a log of which {now} pages can be read; with them the database has {left}");
    loss(path, &expected, &found, options).map(|()| true)
}

/// Whether this database has less than it once had.
fn is_lost(known: &Known, now: &Known) -> bool {
    known.instance == now.instance && (now.changes < known.changes || now.messages < known.messages)
}

fn describe(known: &Known) -> String {
    let mut text = format!("{} changes (messages, marks, settings)", known.changes);
    if let Some(at) = known.last_message {
        let _ = write!(text, ", the last message of {at}");
    }
    text
}

/// What was stored. The database had that and may have had more.
fn at_least(known: &Known) -> String {
    format!("at least {}, as known.json beside it says", describe(known))
}

/// Fails, or warns if that was asked for.
fn loss(path: &Path, expected: &str, found: &str, options: &Options) -> Result<(), StoreError> {
    let what = format!(
        "data is missing in {}. Expected: {expected}. Found: {found}",
        path.display()
    );
    if options.accept_loss {
        tracing::warn!("{what}. It is used as it is (--accept-loss); clients with a cursor must begin anew");
        return Ok(());
    }
    Err(StoreError::Failed(format!(
        "{what}. Nothing was changed. To have it all, put chat.db, chat.db-wal and known.json back as they were at one \
         time, from where they were moved to or from a backup. To go on without what is missing, start once with \
         --accept-loss"
    )))
}

/// Reads the whole database for damage.
fn quick_check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let began = std::time::Instant::now();
    connection.pragma_update(None, "cell_size_check", true)?;
    let found: Vec<String> = connection
        .prepare("PRAGMA quick_check(3)")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    if found != ["ok"] {
        return Err(StoreError::Failed(format!(
            "{} is damaged. Put a backup in its place. What was found: {}",
            path.display(),
            // A part can have several lines.
            found
                .iter()
                .flat_map(|part| part.lines())
                .collect::<Vec<_>>()
                .join("; ")
        )));
    }
    tracing::info!(elapsed = ?began.elapsed(), "the embedded database was checked: it is whole");
    Ok(())
}

/// Adds what to do to what SQLite says of a file that it can't read.
pub(super) fn damaged(path: &Path, error: StoreError) -> StoreError {
    match error {
        // An error of reading all of it says so already.
        StoreError::Failed(text) if text.contains("is damaged") => StoreError::Failed(text),
        StoreError::Failed(text) if text.contains("malformed") || text.contains("not a database") => {
            StoreError::Failed(format!(
                "{} is damaged or no database: {text}. Put a backup in its place",
                path.display()
            ))
        }
        error => error,
    }
}
