//! The store in SQLite beside the server: one directory, one file, one process.
//!
//! | module | what it owns |
//! |---|---|
//! | `opening` | what is checked before a database is used, and the line that says what was found |
//! | `data_dir` | the directory, its locks and its modes |
//! | `files` | whether the paths still lead to the files that are open |
//! | `untouched` | the files beside a database that is refused, as they were |
//! | `known` | what was last known of the database, kept beside it |
//! | `log_index` | how long the log was when a process died |
//! | `room` | whether there is room for the next commit |
//! | `schema` | tables, indexes, migrations, how a connection is set up |
//! | `store` | the calls of the traits: jobs for the writer, and reads |
//! | `writer` | the one thread that writes: group commit |
//! | `checkpoint` | keeping the write-ahead log short, off the commit path |
//! | `readers` | the connections that read beside it |
//! | `sequence` | the numbers of changes, which cursors hold |
//! | `projector`, `projection`, `projected`, `runs` | what is derived from messages: feeds and the order of inboxes; `verify` repairs it |
//! | `append`, `pages`, `users`, `access`, `markers`, `feed`, `inbox`, `unread` | the statements |
//! | `error` | what a failure of SQLite means to a caller |
//!
//! Every write is a job for the writer, and every read is short and on a connection of its own: no snapshot outlives a
//! call, so nothing that a client does can keep the write-ahead log from being emptied.
//!
//! The directory is locked, so this process is the only one: users whom the database calls online when it is opened were
//! left so by a crash, and [`PresenceStore::heartbeat`](super::PresenceStore::heartbeat) has nothing to do.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use shared::diagnosis::StoreFacts;
use shared::{Message, Timestamp};

pub use self::opening::Options;
use self::projector::Projector;
use self::readers::Readers;
use self::room::Room;
use self::writer::Writer;
use super::{MessageName, Store, StoreError};
use crate::domain::Instance;
use crate::supervisor::Supervisor;

mod access;
mod append;
mod checkpoint;
mod data_dir;
mod error;
mod facts;
mod feed;
mod files;
mod inbox;
mod known;
mod log_index;
mod markers;
mod opening;
mod pages;
mod projected;
mod projection;
mod projector;
mod readers;
mod room;
mod runs;
mod schema;
mod sequence;
mod store;
#[cfg(test)]
pub(crate) mod tests;
mod unread;
mod untouched;
mod users;
mod verify;
mod writer;

/// How long [`Store::ping`] waits for the writer and a reader before it calls the store stuck.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// A [`Store`] in one directory of this machine.
///
/// Dropping it waits for the writes that were handed in, but leaves the users online that [`Store::close`] would
/// have taken offline.
pub struct EmbeddedStore {
    path: PathBuf,
    instance: Instance,
    readers: Arc<Readers>,
    /// Dropped before the writer, which it uses.
    projector: Projector,
    room: Arc<Room>,
    writer: Arc<Writer>,
}

impl EmbeddedStore {
    /// Opens the database in `dir`, creating both where they are missing, and takes every user offline.
    ///
    /// Blocks for as long as a migration takes. Fails if another process has the database, if it belongs to a newer
    /// version of this program or to another one, and if it has less than it is known to have had.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        Self::open_with(dir, &Options::default(), &Supervisor::default())
    }

    /// The same with other options; `parts` watches the threads.
    pub fn open_with(dir: &Path, options: &Options, parts: &Supervisor) -> Result<Self, StoreError> {
        schema::check_version()?;
        let opened = opening::open(dir, options)?;
        let database = opened.directory.database();
        let instance = sequence::instance(&opened.connection)?;
        let readers = Arc::new(Readers::open(&opened.directory)?);
        let room = Arc::new(Room::new(dir));
        let writer = Arc::new(Writer::start(opened, Arc::clone(&room), options.log_pages, parts)?);
        Ok(Self {
            path: dir.to_owned(),
            instance,
            readers,
            projector: Projector::start(&database, Arc::clone(&writer), parts)?,
            room,
            writer,
        })
    }

    /// Writes and reads something. If it is uncertain that a large commit would succeed, writes as much as one.
    async fn ping_within(&self, deadline: Duration) -> Result<(), StoreError> {
        let both = async {
            if self.room.is_uncertain() {
                self.writer.run(room::fill).await?;
                self.writer.run(room::tidy).await?;
                self.room.record_large_commit();
            } else {
                self.writer.run(users::probe_write).await?;
            }
            self.readers.run(users::probe_read).await
        };
        within(deadline, both).await
    }
}

async fn within<T>(deadline: Duration, answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(deadline, answer)
        .await
        .unwrap_or_else(|_| Err(StoreError::no_answer_within(deadline)))
}

impl fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedStore")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for EmbeddedStore {
    async fn ping(&self) -> Result<(), StoreError> {
        self.ping_within(PING_TIMEOUT).await
    }

    async fn facts(&self) -> Result<StoreFacts, StoreError> {
        self.readers.run(facts::facts).await
    }

    async fn find(&self, name: &MessageName) -> Result<Option<Message>, StoreError> {
        let name = name.clone();
        self.readers.run(move |connection| facts::find(connection, &name)).await
    }

    async fn close(&self, now: Timestamp) -> Result<(), StoreError> {
        let offline = self
            .writer
            .run(move |connection| users::all_offline(connection, Some(now)))
            .await;
        let projected = self.projector.close().await;
        self.readers.close().await;
        self.writer.close().await?;
        projected.and(offline)
    }
}
