//! The store in SQLite beside the server: one directory, one file, one process.
//!
//! | module | what it owns |
//! |---|---|
//! | `directory` | the directory, its lock and its modes |
//! | `schema` | tables, indexes, migrations, how a connection is set up |
//! | `writer` | the one thread that writes: group commit |
//! | `checkpoint` | keeping the write-ahead log short, off the commit path |
//! | `readers` | the connections that read beside it |
//! | `append`, `pages`, `users` | the statements |
//! | `error` | what a failure of SQLite means to a caller |
//!
//! Every write is a job for the writer, and every read is one short statement on a connection of its own: no
//! snapshot outlives a call, so nothing that a client does can keep the write-ahead log from being emptied.
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
use shared::{Message, MessageId, Settings, SettingsChange, Timestamp, User, UserId};

use self::directory::Directory;
use self::readers::Readers;
use self::writer::Writer;
use super::{
    AppendError, Appended, Bounds, Change, Changes, ChangesError, Conversation, Cursor, End, InboxEntry, Mark,
    MarkError, Marked, Position, PresenceChange, Projection, Store, StoreError, Summary,
};
use crate::chat::{NewMessage, Username};

mod append;
mod checkpoint;
mod directory;
mod error;
mod pages;
mod readers;
mod schema;
#[cfg(test)]
mod tests;
mod users;
mod writer;

/// How long [`Store::ping`] waits for the writer and a reader before it calls the store stuck.
const PING_DEADLINE: Duration = Duration::from_secs(2);

/// Messages in one chunk of [`Store::history`].
const HISTORY_CHUNK: usize = 256;

/// A [`Store`] in one directory of this machine.
///
/// Dropping it waits for the writes that were handed in, but leaves the users online that [`Store::close`] would
/// have taken offline.
pub struct EmbeddedStore {
    path: PathBuf,
    writer: Writer,
    readers: Arc<Readers>,
}

impl EmbeddedStore {
    /// Opens the database in `dir`, creating both where they are missing, and takes every user offline.
    ///
    /// Blocks for as long as a migration takes. Fails if another process has the directory, or if its database
    /// belongs to a newer version of this program.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        schema::check_version()?;
        let directory = Directory::claim(dir)?;
        let database = directory.database();
        let mut connection = schema::open_writer(&database)?;
        schema::migrate(&mut connection, dir)?;
        users::all_offline(&connection, None)?;
        let readers = Arc::new(Readers::open(&database)?);
        Ok(Self {
            path: dir.to_owned(),
            writer: Writer::start(connection, directory)?,
            readers,
        })
    }

    async fn ping_within(&self, deadline: Duration) -> Result<(), StoreError> {
        let both = async {
            self.writer.run(users::probe_write).await?;
            self.readers.run(users::probe_read).await
        };
        tokio::time::timeout(deadline, both)
            .await
            .unwrap_or_else(|_| Err(StoreError::Unavailable(format!("no answer within {deadline:?}"))))
    }
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
        match self
            .writer
            .run(move |connection| append::append(connection, &messages))
            .await
        {
            Ok(outcomes) => outcomes,
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
                    Some(last) if chunk.len() == HISTORY_CHUNK => last.created_at.map(|created_at| Bounds {
                        after: Some(Position {
                            created_at,
                            id: last.id,
                        }),
                        before: None,
                    }),
                    Some(_) => None,
                };
                Ok(Some((chunk, rest)))
            }
        })
        .boxed()
    }

    fn frontier(&self) -> i64 {
        todo!()
    }

    fn cursor(&self, _frontier: i64) -> Cursor {
        todo!()
    }

    async fn changes(&self, _user: UserId, _since: &Cursor, _limit: usize) -> Result<Changes, ChangesError> {
        todo!()
    }

    fn foreign(&self) -> BoxStream<'static, Vec<Change>> {
        todo!()
    }

    async fn mark(&self, _marks: &[Mark]) -> Vec<Result<Marked, MarkError>> {
        todo!()
    }

    async fn inbox(
        &self,
        _user: UserId,
        _after: Option<Position>,
        _limit: usize,
    ) -> Result<Vec<InboxEntry>, StoreError> {
        todo!()
    }

    async fn summaries(&self, _pairs: &[(UserId, UserId)]) -> Result<Vec<Summary>, StoreError> {
        todo!()
    }

    async fn total_unread(&self, _user: UserId, _most: u32) -> Result<u32, StoreError> {
        todo!()
    }

    async fn acquainted(&self, _user: UserId, _others: &[UserId]) -> Result<HashSet<UserId>, StoreError> {
        todo!()
    }

    fn projection(&self) -> Projection {
        todo!()
    }

    async fn rebuild(&self) -> Result<(), StoreError> {
        todo!()
    }

    async fn settings(&self, _users: &[UserId]) -> Result<Vec<Settings>, StoreError> {
        todo!()
    }

    async fn change_settings(
        &self,
        _user: UserId,
        _change: SettingsChange,
        _at: Timestamp,
    ) -> Result<Option<Settings>, StoreError> {
        todo!()
    }

    async fn users(&self, _ids: &[UserId]) -> Result<Vec<Option<User>>, StoreError> {
        todo!()
    }

    fn is_shared(&self) -> bool {
        todo!()
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

    async fn ping(&self) -> Result<(), StoreError> {
        self.ping_within(PING_DEADLINE).await
    }

    async fn close(&self, now: Timestamp) -> Result<(), StoreError> {
        let offline = self
            .writer
            .run(move |connection| users::all_offline(connection, Some(now)))
            .await;
        self.readers.close().await;
        self.writer.close().await?;
        offline
    }
}
