//! The files beside a database as they were before SQLite opened it.
//!
//! SQLite makes an index of the log, and an empty log where there is none, also for a program that only reads; and this
//! program notes how long the log was before that, see [`opening`](super::opening). If a database is refused, all that is
//! put back.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::data_dir::DataDir;
use super::known;

/// What there was.
pub(super) struct Untouched {
    directory: PathBuf,
    known: Option<Vec<u8>>,
    log_index: (PathBuf, Option<Vec<u8>>),
    /// The log, if there was none.
    no_log: Option<PathBuf>,
}

impl Untouched {
    /// Reads what there is. To be called before SQLite opens the database.
    pub(super) fn read(directory: &DataDir, path: &Path) -> Self {
        let (log, log_index) = (directory.log(), directory.log_index());
        let index = fs::read(&log_index).ok();
        Self {
            directory: path.to_owned(),
            known: fs::read(known::file(path)).ok(),
            log_index: (log_index, index),
            no_log: (!log.exists()).then_some(log),
        }
    }

    /// Puts it back. To be called when no connection is left. If that fails, the note of the log's length stays.
    pub(super) fn put_back(self) {
        if let Err(error) = self.try_to_put_back() {
            tracing::debug!(%error, "opening: putting back a file beside the refused database failed");
        }
    }

    fn try_to_put_back(&self) -> io::Result<()> {
        if let Some(log) = &self.no_log
            && log.exists()
            && fs::metadata(log)?.len() == 0
        {
            fs::remove_file(log)?;
        }
        match &self.log_index {
            (index, Some(content)) => fs::write(index, content)?,
            (index, None) if index.exists() => fs::remove_file(index)?,
            (_, None) => {}
        }
        // Last: until the index is back, only the note says how long the log was.
        match &self.known {
            Some(known) if fs::read(known::file(&self.directory))? != *known => known::replace(&self.directory, known),
            _ => Ok(()),
        }
    }
}
