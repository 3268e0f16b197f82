//! Whether there is room for the next commit.
//!
//! A disk without room fails a large commit and lets a small one pass, or one that finds its place in a part of the log that
//! is used again. So after a commit that failed, room is uncertain until as much has been written as a large commit needs.
//! Only readiness checks that; until it does, every commit is tried all the same.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;

use crate::storage::StoreError;

/// Bytes that a commit of many messages needs. With less than this free, a check writes as much.
const LARGE_COMMIT_BYTES: u64 = 1024 * 1024;

/// What is known of the room.
pub(super) struct Room {
    directory: PathBuf,
    /// A commit has failed since such a large one was tried with success.
    uncertain: AtomicBool,
}

impl Room {
    /// Of the disk that holds this directory.
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            uncertain: AtomicBool::new(false),
        }
    }

    /// Records how a commit went.
    pub(super) fn record(&self, failure: Option<&StoreError>) {
        if matches!(failure, Some(StoreError::Unavailable(_))) {
            self.uncertain.store(true, Ordering::Relaxed);
        }
    }

    /// Whether [`fill`] must succeed before the store counts as working.
    pub(super) fn is_uncertain(&self) -> bool {
        self.uncertain.load(Ordering::Relaxed) || self.free().is_some_and(|free| free < LARGE_COMMIT_BYTES)
    }

    /// Records that [`fill`] succeeded.
    pub(super) fn record_large_commit(&self) {
        self.uncertain.store(false, Ordering::Relaxed);
    }

    fn free(&self) -> Option<u64> {
        let disk = rustix::fs::statvfs(&self.directory).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
}

/// Writes as much as a large commit does. Undone by [`tidy`], in a transaction of its own: what is undone in the same
/// one needs no room.
pub(super) fn fill(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("DROP TABLE IF EXISTS room; CREATE TABLE room (filler BLOB)")?;
    connection.execute(
        "INSERT INTO room VALUES (randomblob(?1))",
        [LARGE_COMMIT_BYTES.cast_signed()],
    )?;
    Ok(())
}

/// Removes what [`fill`] has left.
pub(super) fn tidy(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("DROP TABLE IF EXISTS room")
}
