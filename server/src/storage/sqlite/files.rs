//! Whether the paths of the database still lead to the files that are open.
//!
//! A file that is deleted or replaced stays usable for a process that has it open: writes continue, syncs succeed, and all
//! of it is gone when the process ends. So the writer checks the paths before each group of writes, and once more between
//! its commit and its answers: nothing is acknowledged that no path leads to. While there are no writes, the checkpoint
//! thread checks twice a second. A check costs some microseconds, a commit some hundred or more.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use super::data_dir::DataDir;
use crate::storage::StoreError;

/// The files of an open database.
pub(super) struct Files {
    /// The database, its log, and the index of that.
    opened: [(PathBuf, Identity); 3],
    /// What is missing, as of the last check. Locked to report it once when it changes.
    missing: Mutex<Option<Missing>>,
}

/// What no path leads to any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// The database file. The other files do not matter then.
    Database,
    /// Only the write-ahead log, or its index: the database file is in its place.
    Log,
}

/// What identifies a file to the kernel, whatever its path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

impl Files {
    /// The files that lie there now. To be called as soon as SQLite has opened them.
    pub(super) fn opened(directory: &DataDir) -> Result<Self, StoreError> {
        let identify = |path: PathBuf| match fs::metadata(&path) {
            Ok(metadata) => Ok((path, Identity::of(&metadata))),
            Err(error) => Err(StoreError::Unavailable(format!("{}: {error}", path.display()))),
        };
        Ok(Self {
            opened: [
                identify(directory.database())?,
                identify(directory.log())?,
                identify(directory.log_index())?,
            ],
            missing: Mutex::new(None),
        })
    }

    /// Succeeds if every path leads to the file that is open. Logs it when that changes.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let found = self.opened.iter().enumerate().find_map(|(index, (path, identity))| {
            let what = leads_elsewhere(path, *identity)?;
            let missing = if index == 0 { Missing::Database } else { Missing::Log };
            Some((missing, path, what))
        });
        let mut missing = self.missing.lock();
        match found {
            None => {
                if missing.take().is_some() {
                    tracing::info!("files: the files of the database are back; writing continues");
                }
                Ok(())
            }
            Some((now, path, what)) => {
                if missing.replace(now) != Some(now) {
                    report(now, path, &what);
                }
                Err(StoreError::Unavailable(format!("{} {what}", path.display())))
            }
        }
    }

    /// What was missing at the last check.
    pub(super) fn missing(&self) -> Option<Missing> {
        *self.missing.lock()
    }
}

/// Why a path does not lead to a file, if it does not.
fn leads_elsewhere(path: &Path, identity: Identity) -> Option<String> {
    match fs::metadata(path) {
        Ok(metadata) if Identity::of(&metadata) == identity => None,
        Ok(_) => Some("was replaced by another file while it was open".to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Some("was deleted or moved away while it was open".to_owned())
        }
        Err(error) => Some(format!("can't be read any more: {error}")),
    }
}

/// Logs what happened and what to do.
fn report(missing: Missing, path: &Path, what: &str) {
    let path = path.display();
    let process = std::process::id();
    match missing {
        Missing::Database => tracing::error!(
            "{path} {what}: nothing is stored any more. Move the original files back to their place, and the server \
             goes on by itself. If they were deleted, copy chat.db and chat.db-wal out of /proc/{process}/fd before this \
             process ends; after that they are gone"
        ),
        Missing::Log => tracing::error!(
            "{path} {what}: nothing is stored any more. What was acknowledged is being copied into chat.db. Move the \
             original file back to its place, or restart the server"
        ),
    }
}
