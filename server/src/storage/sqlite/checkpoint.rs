//! Keeps the write-ahead log short without making a commit wait for it.
//!
//! Copying the log into the database takes most of the time, so a thread with a connection of its own does that while the
//! writer continues. What was committed meanwhile is little: the writer copies it itself, in a moment when nothing else
//! writes, and lets the next commit restart the log.
//!
//! A copy whose sync failed can't be repeated. The system reports such a failure once and then counts the pages as written,
//! and SQLite does not write those again that an earlier copy has passed without a sync. So the log is kept, nothing is
//! copied any more, and the thread ends, and with it the server: the next one copies the whole log again. After a commit
//! whose sync failed nothing need be done: it is not acknowledged, and the next commit writes over it.
//!
//! Between two copies the thread checks whether the files are still in their place, and stores what is known of the database
//! in the file beside it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TryRecvError};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::{Connection, ffi};

use super::files::{Files, Missing};
use super::known::KnownFile;
use super::schema;
use crate::outage::Outage;
use crate::storage::StoreError;
use crate::supervisor::Supervisor;

/// Pages in the log (4 KiB each) from which it is copied: 64 MiB.
pub(super) const DEFAULT_LOG_PAGES: u64 = 16_000;

/// With a log so many times longer than its limit, the writer waits for the copying thread.
const MAX_LAG_FACTOR: u64 = 4;

/// The writer itself may copy one part in so many of the log's limit.
const WRITER_SHARE: u64 = 8;

/// How long the writer waits for readers of the old log before it continues and tries again later.
const READERS_TIMEOUT: Duration = Duration::from_millis(50);

/// How often the thread checks the files.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// Checks from one update of what is known to the next.
const CHECKS_PER_SAVE: u32 = 2;

/// The copying thread, as the writer sees it.
pub(super) struct Checkpointer {
    /// Asks for a copy; taken out to end the thread.
    wake: Option<SyncSender<()>>,
    /// Signals that a copy has ended, well or not.
    done: Receiver<()>,
    copying: bool,
    limit: u64,
    /// The length at which the next copy begins: `limit`, or more after an attempt that failed.
    next: u64,
    thread: Option<JoinHandle<()>>,
    /// Watches the thread; stopped before the thread may end.
    parts: Supervisor,
    trust: Arc<Trust>,
}

/// Whether what was copied into the database can be relied on.
#[derive(Default)]
struct Trust {
    /// The sync of a copy has failed.
    lost: AtomicBool,
    /// Copies that fail for another reason. Held to count one.
    outage: Mutex<Outage>,
}

impl Checkpointer {
    /// Starts the thread. The log is copied when it is `limit` pages long.
    pub(super) fn start(
        database: &Path,
        limit: u64,
        files: Arc<Files>,
        known_file: Arc<KnownFile>,
        parts: &Supervisor,
    ) -> Result<Self, StoreError> {
        let connection = schema::open_writer(database)?;
        schema::keep_log_on_close(&connection, true)?;
        let trust = Arc::new(Trust::default());
        let trusted = Arc::clone(&trust);
        let (wake, woken) = mpsc::sync_channel(1);
        let (report, done) = mpsc::sync_channel(1);
        let work = move || {
            let mut checks = 0;
            while !trusted.is_lost() {
                match woken.recv_timeout(CHECK_INTERVAL) {
                    Ok(()) => {
                        fail::fail_point!("sqlite::checkpoint", crate::failpoints::is_triggered(), |_| ());
                        copy(&connection, &trusted, limit / WRITER_SHARE);
                        checks = CHECKS_PER_SAVE;
                        if report.send(()).is_err() {
                            break;
                        }
                    }
                    Err(RecvTimeoutError::Timeout) => checks += 1,
                    Err(RecvTimeoutError::Disconnected) => break,
                }
                match files.check() {
                    Ok(()) if checks >= CHECKS_PER_SAVE => {
                        // If it fails, the next time will do.
                        let _ = known_file.update(&connection);
                        checks = 0;
                    }
                    Ok(()) => {}
                    Err(_) if files.missing() == Some(Missing::Log) => {
                        copy_all(&connection, &trusted);
                    }
                    Err(_) => {}
                }
            }
        };
        let parts = parts.child();
        let thread = parts.thread("checkpoint", work);
        Ok(Self {
            wake: Some(wake),
            done,
            copying: false,
            limit,
            next: limit,
            thread: Some(thread.map_err(|error| StoreError::Unavailable(error.to_string()))?),
            parts,
            trust,
        })
    }

    /// Copies the whole log into the database. Returns whether all that is committed is there now.
    pub(super) fn copy_all(&self, connection: &Connection) -> bool {
        copy_all(connection, &self.trust)
    }

    /// To be called by the writer after each commit, outside a transaction.
    pub(super) fn after_commit(&mut self, connection: &Connection) {
        let Some(log) = run(connection, &self.trust, INSPECT) else {
            return;
        };
        if self.copying {
            // A thread that is gone counts as done: then the writer copies everything itself.
            let done = if log.pages >= MAX_LAG_FACTOR * self.limit {
                self.done.recv().ok();
                true
            } else {
                self.done.try_recv() != Err(TryRecvError::Empty)
            };
            if done {
                self.copying = false;
                self.restart_log(connection, log.pages);
            }
        } else if log.pages >= self.next {
            self.copying = self.wake.as_ref().is_some_and(|wake| wake.try_send(()).is_ok());
            if !self.copying {
                self.restart_log(connection, log.pages);
            }
        }
    }

    fn restart_log(&mut self, connection: &Connection, pages: u64) {
        let timeout = |timeout| connection.busy_timeout(timeout);
        let anew =
            timeout(READERS_TIMEOUT).is_ok() && run(connection, &self.trust, "RESTART").is_some_and(|log| !log.busy);
        self.next = if anew { self.limit } else { pages + self.limit / 4 };
        if timeout(schema::BUSY_TIMEOUT).is_err() {
            tracing::error!("checkpoint: restoring the writer's lock timeout failed");
        }
    }

    /// Empties the log at the end of a writer's life, and stores what is known then.
    pub(super) fn finish(mut self, connection: &Connection, files: &Files, known_file: &KnownFile) {
        self.parts.stop();
        self.wake = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("checkpoint: the thread panicked");
        }
        let truncated = run(connection, &self.trust, "TRUNCATE");
        if truncated.is_some() && schema::keep_log_on_close(connection, false).is_err() {
            tracing::warn!("checkpoint: removing the empty log failed; it stays beside the database");
        }
        if files.check().is_ok() {
            let _ = known_file.update(connection);
        }
    }
}

impl Drop for Checkpointer {
    /// The thread ends with it, also if the writer panics.
    fn drop(&mut self) {
        self.parts.stop();
    }
}

/// Copies the log while others write, until fewer than `rest` pages are left or nothing more can be copied.
///
/// During a round less is committed than was there before it; otherwise the log grows, and the writer waits.
fn copy(connection: &Connection, trust: &Trust, rest: u64) {
    let mut copied = 0;
    while run(connection, trust, "PASSIVE").is_some()
        && let Some(log) = run(connection, trust, INSPECT)
        && log.copied > copied
        && log.pages.saturating_sub(log.copied) >= rest
    {
        copied = log.copied;
    }
}

/// Copies the whole log. Returns whether all that is committed is in the database file now.
fn copy_all(connection: &Connection, trust: &Trust) -> bool {
    run(connection, trust, "FULL").is_some_and(|log| !log.busy && log.copied == log.pages)
}

impl Trust {
    fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }
}

/// How many pages the log has.
pub(super) fn log_pages(connection: &Connection) -> Option<u64> {
    run(connection, &Trust::default(), INSPECT).map(|log| log.pages)
}

/// The mode that copies nothing and only returns the state.
const INSPECT: &str = "NOOP";

/// The state of the log after a checkpoint.
struct Log {
    /// Another process held a lock.
    busy: bool,
    /// Pages in the log, copied or not.
    pages: u64,
    /// Pages of them that are copied.
    copied: u64,
}

/// Runs a checkpoint. A failure is logged and leaves the log as it is: nothing is lost, the next one tries again, unless
/// it was of a sync.
fn run(connection: &Connection, trust: &Trust, mode: &'static str) -> Option<Log> {
    if trust.is_lost() && mode != INSPECT {
        return None;
    }
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    let log = connection.prepare_cached(&sql).and_then(|mut statement| {
        statement.query_row([], |row| {
            // -1 means a log that does not exist yet.
            let count = |column| row.get(column).map(|count: i64| count.try_into().unwrap_or(0));
            Ok(Log {
                busy: row.get(0)?,
                pages: count(1)?,
                copied: count(2)?,
            })
        })
    });
    match log {
        Ok(log) => {
            // A checkpoint that waited for a lock has copied nothing, and shows nothing.
            if mode != INSPECT
                && !log.busy
                && log.copied == log.pages
                && let Some(ended) = trust.outage.lock().worked()
            {
                tracing::info!(lasted = ?ended.lasted, "checkpoint: succeeds again");
            }
            Some(log)
        }
        Err(error) if error.sqlite_extended_error_code() == Some(ffi::SQLITE_IOERR_FSYNC) => {
            trust.lost.store(true, Ordering::Release);
            tracing::error!(mode, %error, "checkpoint: the disk failed to sync the database; the log is kept, to be copied by the next start");
            None
        }
        Err(error) => {
            if trust.outage.lock().failed() {
                tracing::warn!(mode, %error, "checkpoint: copying the log failed; it will be tried again");
            }
            None
        }
    }
}
