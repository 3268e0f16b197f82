//! Keeps the write-ahead log short without making a commit wait for it.
//!
//! Copying the log into the database takes most of the time, so a thread with a connection of its own does that
//! while the writer goes on. What was committed meanwhile is little: the writer copies it itself, in a moment when
//! it is the only one who writes, and lets the next commit begin the log anew.
//!
//! The copying thread has time between two copies. It then looks whether the files are still in their place, and
//! keeps what is known of the database in the file beside it.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TryRecvError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;

use super::files::{Files, Missing};
use super::known::Keeper;
use super::schema;
use crate::store::StoreError;
use crate::supervisor::Supervisor;

/// Pages in the log (4 KiB each) from which it is copied: 64 MiB.
pub(super) const LOG_PAGES: u64 = 16_000;

/// The log is this many times longer than it should be: the writer waits for the copying thread.
const BEHIND: u64 = 4;

/// The part of the log's limit that the writer itself may copy.
const REST: u64 = 8;

/// How long the writer waits for readers of the old log before it goes on and tries again later.
const READERS_DEADLINE: Duration = Duration::from_millis(50);

/// How often the thread looks at the files.
const LOOKS: Duration = Duration::from_millis(500);

/// Looks from one keeping of what is known to the next.
const LOOKS_TO_KEEP: u32 = 2;

/// The copying thread, as the writer sees it.
pub(super) struct Checkpointer {
    /// Asks for a copy; taken out to end the thread.
    wake: Option<SyncSender<()>>,
    /// Says that a copy has ended, well or not.
    done: Receiver<()>,
    copying: bool,
    limit: u64,
    /// The length at which the next copy begins: `limit`, or more after an attempt that failed.
    next: u64,
    thread: Option<JoinHandle<()>>,
    /// Watches the thread; told before it may end.
    parts: Supervisor,
}

impl Checkpointer {
    /// Starts the thread. The log is copied when it is `limit` pages long.
    pub(super) fn start(
        database: &Path,
        limit: u64,
        files: Arc<Files>,
        keeper: Arc<Keeper>,
        parts: &Supervisor,
    ) -> Result<Self, StoreError> {
        let connection = schema::open_writer(database)?;
        let (wake, woken) = mpsc::sync_channel(1);
        let (report, done) = mpsc::sync_channel(1);
        let work = move || {
            let mut looks = 0;
            loop {
                match woken.recv_timeout(LOOKS) {
                    Ok(()) => {
                        #[cfg(feature = "sabotage")]
                        crate::sabotage::panic_in("checkpoint");
                        copy(&connection, limit / REST);
                        looks = LOOKS_TO_KEEP;
                        if report.send(()).is_err() {
                            break;
                        }
                    }
                    Err(RecvTimeoutError::Timeout) => looks += 1,
                    Err(RecvTimeoutError::Disconnected) => break,
                }
                match files.check() {
                    Ok(()) if looks >= LOOKS_TO_KEEP => {
                        // If it fails, the next time will do.
                        let _ = keeper.keep(&connection);
                        looks = 0;
                    }
                    Ok(()) => {}
                    Err(_) if files.missing() == Some(Missing::Log) => {
                        copy_all(&connection);
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
        })
    }

    /// To be called by the writer after each commit, outside a transaction.
    pub(super) fn after_commit(&mut self, connection: &Connection) {
        let Some(log) = run(connection, LOOK) else { return };
        if self.copying {
            // A thread that is gone counts as done: then the writer copies everything itself.
            let done = if log.pages >= BEHIND * self.limit {
                self.done.recv().ok();
                true
            } else {
                self.done.try_recv() != Err(TryRecvError::Empty)
            };
            if done {
                self.copying = false;
                self.begin_anew(connection, log.pages);
            }
        } else if log.pages >= self.next {
            self.copying = self.wake.as_ref().is_some_and(|wake| wake.try_send(()).is_ok());
            if !self.copying {
                self.begin_anew(connection, log.pages);
            }
        }
    }

    fn begin_anew(&mut self, connection: &Connection, pages: u64) {
        let timeout = |timeout| connection.busy_timeout(timeout);
        let anew = timeout(READERS_DEADLINE).is_ok() && run(connection, "RESTART").is_some_and(|log| !log.busy);
        self.next = if anew { self.limit } else { pages + self.limit / 4 };
        if timeout(schema::BUSY_TIMEOUT).is_err() {
            tracing::error!("the writer's lock timeout could not be restored");
        }
    }

    /// Empties the log at the end of a writer's life, and keeps what is known then.
    pub(super) fn finish(mut self, connection: &Connection, files: &Files, keeper: &Keeper) {
        self.parts.stop();
        self.wake = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the checkpoint thread panicked");
        }
        run(connection, "TRUNCATE");
        if files.check().is_ok() {
            let _ = keeper.keep(connection);
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
/// During a round less is committed than was there before it, or else the writer falls behind and waits.
fn copy(connection: &Connection, rest: u64) {
    let mut copied = 0;
    while run(connection, "PASSIVE").is_some()
        && let Some(log) = run(connection, LOOK)
        && log.copied > copied
        && log.pages.saturating_sub(log.copied) >= rest
    {
        copied = log.copied;
    }
}

/// Copies the whole log. Returns whether all that is committed is in the database file now.
pub(super) fn copy_all(connection: &Connection) -> bool {
    run(connection, "FULL").is_some_and(|log| !log.busy && log.copied == log.pages)
}

/// How many pages the log has.
pub(super) fn log_pages(connection: &Connection) -> Option<u64> {
    run(connection, LOOK).map(|log| log.pages)
}

/// The mode that copies nothing and only says how things are.
const LOOK: &str = "NOOP";

/// The state of the log after a checkpoint.
struct Log {
    /// Somebody else's lock was in the way.
    busy: bool,
    /// Pages in the log, copied or not.
    pages: u64,
    /// Pages of them that are copied.
    copied: u64,
}

/// Runs a checkpoint. A failure is logged and leaves the log as it is: nothing is lost, the next one tries again.
fn run(connection: &Connection, mode: &'static str) -> Option<Log> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    let log = connection.prepare_cached(&sql).and_then(|mut statement| {
        statement.query_row([], |row| {
            // -1 stands for a log that does not exist yet.
            let count = |column| row.get(column).map(|count: i64| count.try_into().unwrap_or(0));
            Ok(Log {
                busy: row.get(0)?,
                pages: count(1)?,
                copied: count(2)?,
            })
        })
    });
    log.inspect_err(|error| tracing::warn!(mode, %error, "checkpoint failed"))
        .ok()
}
