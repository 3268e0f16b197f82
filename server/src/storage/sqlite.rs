//! The store in SQLite beside the server: one directory, one file, one process.
//!
//! | module | what it owns |
//! |---|---|
//! | `opening` | what is checked before a database is used, and the line that says what was found |
//! | `directory` | the directory, its locks and its modes |
//! | `files` | whether the paths still lead to the files that are open |
//! | `untouched` | the files beside a database that is refused, as they were |
//! | `known` | what was last known of the database, kept beside it |
//! | `log_index` | how long the log was when a process died |
//! | `room` | whether there is room for the next commit |
//! | `schema` | tables, indexes, migrations, how a connection is set up |
//! | `writer` | the one thread that writes: group commit |
//! | `checkpoint` | keeping the write-ahead log short, off the commit path |
//! | `readers` | the connections that read beside it |
//! | `numbers` | the numbers of changes, which cursors hold |
//! | `projector`, `projection`, `runs` | what is derived from messages: feeds and the order of inboxes |
//! | `append`, `pages`, `users`, `markers`, `feed`, `inbox` | the statements |
//! | `error` | what a failure of SQLite means to a caller |
//!
//! Every write is a job for the writer, and every read is short and on a connection of its own: no snapshot outlives a
//! call, so nothing that a client does can keep the write-ahead log from being emptied.
//!
//! The directory is locked, so this process is the only one: whoever the database says is online when it is opened
//! was left behind by a crash, and [`Store::heartbeat`] has nothing to do.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt};
use rusqlite::Connection;
use shared::{Message, MessageId, Settings, SettingsChange, Timestamp, User, UserId};

pub use self::opening::Options;
use self::projector::Projector;
use self::readers::Readers;
use self::room::Room;
use self::writer::Writer;
use super::size;
use super::{
    AppendError, Appended, ChangesError, InboxEntry, MarkError, PresenceChange, Projection, Store, StoreError, Summary,
};
use crate::domain::{Bounds, Changes, Conversation, Cursor, End, Instance, Mark, Marked, Position, RemoteChange};
use crate::domain::{NewMessage, Username};
use crate::supervisor::Supervisor;

mod append;
mod checkpoint;
mod data_dir;
mod error;
mod feed;
mod files;
mod inbox;
mod known;
mod log_index;
mod markers;
mod opening;
mod pages;
mod projection;
mod projector;
mod readers;
mod room;
mod runs;
mod schema;
mod sequence;
#[cfg(test)]
mod tests;
mod untouched;
mod users;
mod writer;

/// How long [`Store::ping`] waits for the writer and a reader before it calls the store stuck.
const PING_DEADLINE: Duration = Duration::from_secs(2);

/// Messages of all users that a reader of a feed sifts by itself, before it asks for them to be projected.
const SIFTED: i64 = 256;

/// Messages in one chunk of [`Store::history`].
const HISTORY_CHUNK: usize = 256;

/// A [`Store`] in one directory of this machine.
///
/// Dropping it waits for the writes that were handed in, but leaves the users online that [`Store::close`] would
/// have taken offline.
pub struct EmbeddedStore {
    path: PathBuf,
    instance: Instance,
    readers: Arc<Readers>,
    /// Before the writer, which it uses.
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

    /// Runs a write that tells its numbers to `committed` when it is durable. It waits as long as the disk does: what
    /// would be given up could still be committed, and its caller would not learn of it.
    async fn write<T, F, C>(&self, work: F, committed: C) -> Result<T, StoreError>
    where
        F: Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
        T: Send + 'static,
        C: FnOnce(&projector::Shared, &T) + Send + 'static,
    {
        let shared = self.projector.shared();
        self.writer
            .run_then(work, move |output| committed(&shared, output))
            .await
    }
}

async fn within<T>(deadline: Duration, answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(deadline, answer)
        .await
        .unwrap_or_else(|_| Err(StoreError::Unavailable(format!("no answer within {deadline:?}"))))
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
    /// One: there is one writer, and what waits for it meanwhile becomes its next, larger batch.
    fn append_lanes(&self) -> usize {
        1
    }

    async fn append(&self, batch: &[NewMessage]) -> Vec<Result<Appended, AppendError>> {
        if batch.is_empty() {
            return Vec::new();
        }
        let messages = batch.to_vec();
        let work = move |connection: &_| append::append(connection, &messages);
        let committed = |shared: &projector::Shared, outcome: &append::Outcome| {
            if let Some(newest) = outcome.newest {
                shared.appended(newest);
            }
        };
        match self.write(work, committed).await {
            Ok(outcome) => outcome.messages,
            Err(error) => batch.iter().map(|_| Err(error.clone().into())).collect(),
        }
    }

    async fn message(&self, conversation: Conversation, id: MessageId) -> Result<Option<Message>, StoreError> {
        self.readers
            .run(move |connection| pages::message(connection, conversation, id))
            .await
    }

    async fn page(
        &self,
        conversation: Conversation,
        bounds: Bounds,
        end: End,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        self.readers
            .run(move |connection| pages::page(connection, conversation, bounds, end, limit))
            .await
    }

    /// Each chunk is a page of its own, read when it is asked for: a consumer that stalls holds neither a
    /// connection nor a snapshot.
    fn history(&self, conversation: Conversation) -> BoxStream<'static, Result<Vec<Message>, StoreError>> {
        let readers = Arc::clone(&self.readers);
        stream::try_unfold(Some(Bounds::default()), move |rest| {
            let readers = Arc::clone(&readers);
            async move {
                let Some(bounds) = rest else { return Ok(None) };
                let page =
                    move |connection: &_| pages::page(connection, conversation, bounds, End::Oldest, HISTORY_CHUNK);
                let chunk = readers.run(page).await?;
                let rest = match chunk.last() {
                    None => return Ok(None),
                    Some(last) if chunk.len() == HISTORY_CHUNK || size::is_piece(&chunk) => {
                        last.created_at.map(|created_at| Bounds {
                            after: Some(Position {
                                created_at,
                                id: last.id,
                            }),
                            before: None,
                        })
                    }
                    Some(_) => None,
                };
                Ok(Some((chunk, rest)))
            }
        })
        .boxed()
    }

    fn committed_position(&self) -> i64 {
        self.projector.committed_position()
    }

    fn cursor(&self, committed_position: i64) -> Cursor {
        Cursor::at(self.instance, committed_position)
    }

    /// Right whatever is projected: what is not is sifted out of everybody's messages. Waiting for the projection only
    /// spares that, so its failure is none.
    async fn changes(&self, user: UserId, since: &Cursor, limit: usize) -> Result<Changes, ChangesError> {
        if self.projector.waiting() > SIFTED
            && let Err(error) = self.projector.flush().await
        {
            tracing::debug!(%error, "a feed is read in front of the projection");
        }
        let (instance, since) = (self.instance, since.clone());
        self.readers
            .run(move |connection| feed::changes(connection, instance, user, &since, limit))
            .await?
    }

    /// Never yields: this process is the only one.
    fn remote_changes(&self) -> BoxStream<'static, Vec<RemoteChange>> {
        stream::pending().boxed()
    }

    async fn mark(&self, marks: &[Mark]) -> Vec<Result<Marked, MarkError>> {
        if marks.is_empty() {
            return Vec::new();
        }
        let given = marks.to_vec();
        let work = move |connection: &_| markers::mark(connection, &given);
        let committed = |shared: &projector::Shared, outcome: &markers::Outcome| shared.committed(outcome.newest);
        match self.write(work, committed).await {
            Ok(outcome) => outcome.marked,
            Err(error) => marks.iter().map(|_| Err(error.clone().into())).collect(),
        }
    }

    async fn inbox(&self, user: UserId, after: Option<Position>, limit: usize) -> Result<Vec<InboxEntry>, StoreError> {
        self.projector.flush().await?;
        self.readers
            .run(move |connection| inbox::page(connection, user, after, limit))
            .await
    }

    async fn summaries(&self, pairs: &[(UserId, UserId)]) -> Result<Vec<Summary>, StoreError> {
        let pairs = pairs.to_vec();
        self.readers
            .run(move |connection| inbox::summaries(connection, &pairs))
            .await
    }

    async fn total_unread(&self, user: UserId, most: u32) -> Result<u32, StoreError> {
        self.projector.flush().await?;
        self.readers
            .run(move |connection| inbox::total_unread(connection, user, most))
            .await
    }

    async fn acquainted(&self, user: UserId, others: &[UserId]) -> Result<HashSet<UserId>, StoreError> {
        let others = others.to_vec();
        self.readers
            .run(move |connection| inbox::acquainted(connection, user, &others))
            .await
    }

    fn projection(&self) -> Projection {
        self.projector.projection()
    }

    async fn rebuild(&self) -> Result<(), StoreError> {
        self.projector.rebuild();
        Ok(())
    }

    async fn settings(&self, users: &[UserId]) -> Result<Vec<Settings>, StoreError> {
        let users = users.to_vec();
        self.readers
            .run(move |connection| {
                let settings = |&user| Ok(users::settings(connection, user)?.unwrap_or_default());
                users.iter().map(settings).collect()
            })
            .await
    }

    async fn change_settings(
        &self,
        user: UserId,
        change: SettingsChange,
        _at: Timestamp,
    ) -> Result<Option<Settings>, StoreError> {
        let work = move |connection: &_| users::change_settings(connection, user, change);
        let committed = |shared: &projector::Shared, (_, newest): &(_, i64)| shared.committed(*newest);
        let (settings, _) = self.write(work, committed).await?;
        Ok(settings)
    }

    async fn users(&self, ids: &[UserId]) -> Result<Vec<Option<User>>, StoreError> {
        let ids = ids.to_vec();
        self.readers
            .run(move |connection| ids.iter().map(|&id| users::by_id(connection, id)).collect())
            .await
    }

    /// No: the directory is locked.
    fn is_shared(&self) -> bool {
        false
    }

    async fn create_users(&self, names: &[Username], at: Timestamp) -> Result<Vec<(User, bool)>, StoreError> {
        let names = names.to_vec();
        self.writer
            .run(move |connection| users::create(connection, &names, at))
            .await
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.readers.run(move |connection| users::by_id(connection, id)).await
    }

    async fn users_named(&self, name: &str) -> Result<Vec<User>, StoreError> {
        let name = name.to_owned();
        let user = self
            .readers
            .run(move |connection| users::by_name(connection, &name))
            .await?;
        Ok(user.into_iter().collect())
    }

    async fn list_users(&self, after: Option<UserId>, limit: usize) -> Result<Vec<User>, StoreError> {
        self.readers
            .run(move |connection| users::list(connection, after, limit))
            .await
    }

    async fn set_presence(&self, changes: &[PresenceChange]) -> Result<(), StoreError> {
        let changes = changes.to_vec();
        self.writer
            .run(move |connection| users::set_presence(connection, &changes))
            .await
    }

    /// Nothing to do: the directory's lock is the claim, and opening took the dead process's users offline.
    async fn heartbeat(&self, _now: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }

    async fn newest(&self) -> Result<Option<Timestamp>, StoreError> {
        let newest = self.readers.run(sequence::newest).await;
        newest.map_err(|error| opening::damaged(&self.path.join("chat.db"), error))
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.ping_within(PING_DEADLINE).await
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
