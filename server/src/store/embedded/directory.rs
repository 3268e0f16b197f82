//! The directory of a database: created for its owner alone, and locked for one process.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::store::StoreError;

/// A directory that this process alone uses, until this is dropped.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// Holds the lock. The kernel gives it up when the process dies, however it dies.
    _lock: File,
}

impl Directory {
    /// Creates the directory and an empty database where they are missing, and locks the directory.
    pub(super) fn claim(path: &Path) -> Result<Self, StoreError> {
        let unusable = |error: io::Error| StoreError::Unavailable(format!("{}: {error}", path.display()));
        if !path.is_dir() {
            create(path).map_err(unusable)?;
        }
        let lock = owners_file(&path.join("lock")).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let text = format!("{} is in use by another process", path.display());
                return Err(StoreError::Unavailable(text));
            }
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        let directory = Self {
            path: path.to_owned(),
            _lock: lock,
        };
        // SQLite gives its other files the mode of this one.
        owners_file(&directory.database()).map_err(unusable)?;
        Ok(directory)
    }

    /// The path of the database.
    pub(super) fn database(&self) -> PathBuf {
        self.path.join("chat.db")
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
