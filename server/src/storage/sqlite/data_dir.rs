//! The directory of a database: created for its owner alone, and claimed for one process.
//!
//! The claim is a lock on the database file itself, so a second server can't use the same data, not even if a lock file was
//! removed by hand or a directory was moved. The kernel gives locks up when the process dies, however it dies.
//!
//! SQLite locks the same file in another way (`fcntl`), which on Linux does not conflict with this one (`flock`). But
//! closing any descriptor of a file gives up all `fcntl` locks that the process has on it. So the descriptor here is opened
//! before SQLite opens the file, and is closed only when no connection is left.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::storage::StoreError;

/// A directory that this process alone uses, until this is dropped.
#[derive(Debug)]
pub(super) struct DataDir {
    path: PathBuf,
    /// The lock that older versions of this program check. They run beside this one for a moment during an update.
    _lock: File,
    /// The database, locked; see [`lock_database`](Self::lock_database).
    database: Option<File>,
}

impl DataDir {
    /// Creates the directory where it is missing, and claims it by the lock file that older versions check. The database is
    /// not touched yet.
    pub(super) fn claim(path: &Path) -> Result<Self, StoreError> {
        let unusable = |error| unusable(path, &error);
        if !path.is_dir() {
            create(path).map_err(unusable)?;
        }
        let lock_path = path.join("lock");
        let lock = owners_file(&lock_path).map_err(|error| self::unusable(&lock_path, &error))?;
        // Before the database is opened: a second store in the same process ends here.
        lock_for(&lock, path)?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
            database: None,
        })
    }

    /// Creates an empty database where it is missing, and locks it. To be called before SQLite opens it.
    pub(super) fn lock_database(&mut self) -> Result<&File, StoreError> {
        // SQLite gives its other files the mode of this one.
        let database = owners_file(&self.database()).map_err(|error| unusable(&self.database(), &error))?;
        // Elsewhere the two kinds of locks conflict, and SQLite could not open what is locked here.
        if cfg!(target_os = "linux") {
            lock_for(&database, &self.database())?;
        }
        Ok(self.database.insert(database))
    }

    /// The path of the database.
    pub(super) fn database(&self) -> PathBuf {
        self.path.join("chat.db")
    }

    /// The path of its write-ahead log.
    pub(super) fn log(&self) -> PathBuf {
        self.path.join("chat.db-wal")
    }

    /// The path of the index of that log, which all connections share.
    pub(super) fn log_index(&self) -> PathBuf {
        self.path.join("chat.db-shm")
    }

    /// The length of one of its files, or 0 if it is not there.
    pub(super) fn length(&self, file: &Path) -> Result<u64, StoreError> {
        match fs::metadata(file) {
            Ok(metadata) => Ok(metadata.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(unusable(file, &error)),
        }
    }
}

fn unusable(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Unavailable(format!("{}: {error}", path.display()))
}

fn lock_for(file: &File, path: &Path) -> Result<(), StoreError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            let text = format!("{} is in use by another process", path.display());
            Err(StoreError::Unavailable(text))
        }
        Err(TryLockError::Error(error)) => Err(unusable(path, &error)),
    }
}

fn create(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    // SQLite syncs the directory's entries, but not the directory's own.
    match path.parent() {
        Some(parent) if parent != Path::new("") => File::open(parent)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

/// Opens a file, creating it readable for its owner only. Never truncates.
fn owners_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}
