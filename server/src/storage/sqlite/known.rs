//! What was last known of the database, kept in a small file beside it, so that a loss shows at the next start.
//!
//! A write-ahead log that is cut, and a database that is emptied or replaced by an old copy, look whole to SQLite: they are
//! just earlier. The file holds the number of the last change that was committed when it was written: after a checkpoint, at
//! a stop, and at most once a second in between; never on the path of a commit. What it says was durable before it was
//! written, so a healthy database can only have more, also after `kill -9` or a power failure.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use shared::Timestamp;

use super::{log_index, sequence};
use crate::outage::Outage;

/// The name of the file.
const FILE: &str = "known.json";

/// The state of a database at some moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Known {
    /// What distinguishes this database from every other.
    pub(super) instance: String,
    /// The number of the last change.
    pub(super) changes: i64,
    /// The number of the last message. No number is given twice and no message is deleted, so it bounds how many
    /// there are.
    pub(super) messages: i64,
    /// When that one was created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_message: Option<Timestamp>,
    /// The start of the machine after which this was written, if the system says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) boot: Option<String>,
    /// How many pages the log had when its process died; set before SQLite opens the log, until the log was found whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) log_pages: Option<u32>,
}

impl Known {
    /// The state as a connection sees it now.
    pub(super) fn of(connection: &Connection) -> rusqlite::Result<Self> {
        let snapshot = connection.unchecked_transaction()?;
        let (messages, last_message) = sequence::last_stored(&snapshot)?;
        Ok(Self {
            instance: sequence::instance(&snapshot)?
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
            changes: sequence::last(&snapshot)?,
            messages,
            last_message,
            boot: log_index::boot(),
            log_pages: None,
        })
    }

    /// What was stored in a directory. A file that can't be read counts as none: it must not prevent a healthy database from
    /// being opened.
    pub(super) fn read(directory: &Path) -> Option<Self> {
        let path = directory.join(FILE);
        let unreadable = |error: &dyn std::fmt::Display| {
            tracing::warn!(path = %path.display(), %error, "known: reading the file failed; whether messages were lost is not checked");
        };
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .inspect_err(|error| unreadable(error))
                .ok(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                unreadable(&error);
                None
            }
        }
    }

    /// Replaces what was stored.
    pub(super) fn write(&self, directory: &Path) -> io::Result<()> {
        replace(directory, &serde_json::to_vec(self)?)
    }
}

/// Where it is stored.
pub(super) fn file(directory: &Path) -> PathBuf {
    directory.join(FILE)
}

/// Replaces the file: durably, and in one step.
pub(super) fn replace(directory: &Path, content: &[u8]) -> io::Result<()> {
    let draft = directory.join(format!("{FILE}.new"));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&draft, directory.join(FILE))?;
    File::open(directory)?.sync_all()
}

/// The file, which it keeps up to date.
pub(super) struct KnownFile {
    directory: PathBuf,
    /// What the file says, and whether writing it fails. Locked while it is written, which only the
    /// checkpoint thread and the end of the writer do.
    state: Mutex<(Option<Known>, Outage)>,
}

impl KnownFile {
    /// The one in this directory.
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            state: Mutex::new((None, Outage::default())),
        }
    }

    /// Writes the state that a connection sees, if it has changed. Returns whether the file holds it now. A failure harms
    /// nothing: the file then says less than it could.
    pub(super) fn update(&self, connection: &Connection) -> bool {
        let mut state = self.state.lock();
        let (written, outage) = &mut *state;
        let kept = Known::of(connection).map_err(io::Error::other).and_then(|now| {
            let news = written.as_ref() != Some(&now);
            if news {
                now.write(&self.directory)?;
                *written = Some(now);
            }
            Ok(news)
        });
        match &kept {
            Ok(true) => {
                if let Some(ended) = outage.worked() {
                    tracing::info!(lasted = ?ended.lasted, "known: {FILE} is written again");
                }
            }
            Ok(false) => {}
            Err(error) => {
                if outage.failed() {
                    tracing::warn!(%error, "known: writing {FILE} failed; it will be tried again");
                }
            }
        }
        kept.is_ok()
    }
}
