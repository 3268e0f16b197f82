//! The store in a MongoDB deployment: a replica set, or a standalone server.
//!
//! The database stays one that a Mongoose program can read and write at the same time: collections `users` and
//! `messages` keep their shape, every added field is optional, and `nodes` is new.
//!
//! | module | what it holds |
//! |---|---|
//! | `connect` | from a connection string to a database; errors that never repeat it |
//! | `indexes` | what is created at the start, beside what others created |
//! | `append` | the durable write of a batch, its retries, and what a duplicate key means |
//! | `history` | messages, pages and whole conversations |
//! | `users` | creating and finding users |
//! | `presence` | who is online, across processes that can die; `lease` says which process is which |
//! | `query` | a query to its end |
//! | `document` | documents to wire types and back |
//! | `error` | the driver's errors, time limits and retries |

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use bson::doc;
use futures_util::stream::BoxStream;
use mongodb::{Client, Database};
use shared::{Message, MessageId, Settings, SettingsChange, Timestamp, User, UserId};

use super::{
    AppendError, Appended, Bounds, Change, Changes, ChangesError, Conversation, Cursor, End, InboxEntry, Mark,
    MarkError, Marked, Position, PresenceChange, Projection, Store, StoreError, Summary,
};
use crate::chat::{NewMessage, Username};
use append::Appender;
use error::bounded;
use history::History;
use presence::Presence;
use users::Users;

mod append;
mod connect;
mod document;
mod error;
mod history;
mod indexes;
mod lease;
mod lookup;
mod presence;
mod query;
mod users;

/// How long opening may take until the deployment has answered. Building indexes comes on top.
const OPEN: Duration = Duration::from_secs(8);
/// How long one read may take.
const READ: Duration = Duration::from_secs(10);
/// How long one attempt of a write may take.
const WRITE: Duration = Duration::from_secs(6);
/// How long [`Store::ping`] may take.
const PING: Duration = Duration::from_secs(2);
/// How long the driver may take to end.
const SHUTDOWN: Duration = Duration::from_secs(5);

/// A [`Store`] in MongoDB. End it with [`Store::close`]: the driver does not like to be dropped by a process that exits.
pub struct MongoStore {
    client: Client,
    database: Database,
    appender: Appender,
    history: History,
    users: Users,
    presence: Presence,
}

impl MongoStore {
    /// Connects and creates the indexes that are missing.
    ///
    /// The database is `database`, else the one that `uri` names, else `realtime_chat`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] within about eight seconds if no primary can be reached; the text names the hosts
    /// and the reasons. [`StoreError::Failed`] if the string can't be used, the login is refused, or an index can't
    /// be built. No text repeats the connection string.
    pub async fn open(uri: &str, database: Option<&str>) -> Result<Self, StoreError> {
        let connecting = async {
            let (client, database) = connect::connect(uri, database).await?;
            ping(&database, OPEN).await?;
            Ok::<_, StoreError>((client, database))
        };
        let (client, database) = tokio::time::timeout(OPEN, connecting)
            .await
            .map_err(|_| error::timed_out("connecting", OPEN))??;
        indexes::create(&database).await?;
        Ok(Self {
            appender: Appender::new(&database),
            history: History::new(&database),
            users: Users::new(&database),
            presence: Presence::new(&database),
            client,
            database,
        })
    }
}

#[async_trait]
impl Store for MongoStore {
    /// Two batches in flight gain up to half; more are slower than one.
    fn append_lanes(&self) -> usize {
        2
    }

    async fn append(&self, batch: &[NewMessage]) -> Vec<Result<Appended, AppendError>> {
        self.appender.append(batch).await
    }

    async fn message(&self, conversation: Conversation, id: MessageId) -> Result<Option<Message>, StoreError> {
        self.history.message(conversation, id).await
    }

    async fn page(
        &self,
        conversation: Conversation,
        bounds: Bounds,
        end: End,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        self.history.page(conversation, bounds, end, limit).await
    }

    fn history(&self, conversation: Conversation) -> BoxStream<'static, Result<Vec<Message>, StoreError>> {
        self.history.stream(conversation)
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
        self.users.create(names, at).await
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.users.by_id(id).await
    }

    async fn users_named(&self, name: &str) -> Result<Vec<User>, StoreError> {
        self.users.named(name).await
    }

    async fn list_users(&self, after: Option<UserId>, limit: usize) -> Result<Vec<User>, StoreError> {
        self.users.list(after, limit).await
    }

    /// If this fails, the next [`heartbeat`](Store::heartbeat) makes up for it.
    async fn set_presence(&self, changes: &[PresenceChange]) -> Result<(), StoreError> {
        self.presence.set(changes).await
    }

    async fn heartbeat(&self, now: Timestamp) -> Result<(), StoreError> {
        self.presence.heartbeat(now).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        ping(&self.database, PING).await
    }

    async fn close(&self, now: Timestamp) -> Result<(), StoreError> {
        let released = self.presence.release(now).await;
        // Immediate: a history that someone still reads must not hold up the end.
        let shutdown = self.client.clone().shutdown().immediate(true);
        if tokio::time::timeout(SHUTDOWN, shutdown).await.is_err() {
            tracing::warn!("the MongoDB driver did not end in time");
        }
        released
    }
}

/// Succeeds if a primary answers that it takes writes.
async fn ping(database: &Database, limit: Duration) -> Result<(), StoreError> {
    let hello = bounded(
        "asking for the primary",
        limit,
        database.run_command(doc! { "hello": 1 }),
    )
    .await?;
    match hello.get_bool("isWritablePrimary") {
        Ok(true) => Ok(()),
        _ => Err(StoreError::Unavailable(
            "the server is not a primary that takes writes".into(),
        )),
    }
}
