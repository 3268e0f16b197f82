//! The store in a MongoDB deployment: a replica set, or a standalone server.
//!
//! The database stays one that a Mongoose program can read and write at the same time: collections `users` and
//! `messages` keep their shape, every added field is optional, and `nodes`, `markers`, `inboxes`, `renewals` and `meta` are
//! new.
//!
//! | module | what it holds |
//! |---|---|
//! | `connect` | from a connection string to a database; errors that never repeat it |
//! | `uri` | the connection string of a Node.js program, made into one that this driver takes |
//! | `opening` | the ways to open it |
//! | `choice` | which database is meant by a string that names none |
//! | `advice` | what to do about a deployment that can't be used |
//! | `shapes` | documents that other programs wrote in another shape |
//! | `indexes` | what is created at the start, beside what others created; `duplicates` names what is in the way |
//! | `integrity` | whether it is still the same database with its indexes, while the server runs |
//! | `append` | the durable write of a batch, its retries, what a duplicate key means, and what took too long |
//! | `history` | messages, pages and whole conversations |
//! | `window` | why catching up skips nothing: the argument about time |
//! | `pages` | from a cursor to a page, and to the next cursor |
//! | `feed` | what changed for a user |
//! | `follower` | what other programs write, and what dead ones left |
//! | `markers` | who has received and read what |
//! | `inbox` | the list of a user's conversations: how it is written, built and read |
//! | `summaries` | conversations as the messages themselves show them: the newest message, what is unread; `unread` counts little for many |
//! | `users` | creating and finding users |
//! | `settings` | what users let others know |
//! | `meta` | the few documents about the database as a whole |
//! | `closing` | what the end of a process leaves to be written |
//! | `presence` | who is online, across processes that can die; `lease` says which process is which |
//! | `batches` | questions of many, read with few commands |
//! | `query` | a query to its end |
//! | `document` | documents to wire types and back |
//! | `error` | the driver's errors, time limits and retries |

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use bson::oid::ObjectId;
use futures_util::stream::BoxStream;
use parking_lot::Mutex;
use shared::{Message, MessageId, Settings, SettingsChange, Timestamp, User, UserId};
use tokio_util::task::AbortOnDropHandle;

use super::{
    AppendError, Appended, ChangesError, InboxEntry, MarkError, PresenceChange, Projection, Store, StoreError, Summary,
};
use crate::domain::{Bounds, Changes, Conversation, Cursor, End, Mark, Marked, Position, RemoteChange};
use crate::domain::{NewMessage, Username};
use crate::supervisor::Supervisor;
use append::Appender;
use batches::Batches;
use change_poller::ChangePoller;
pub use choice::ChoiceError;
use connect::{Connected, ping};
use feed::Feed;
use history::History;
use inbox::{Builder, Inboxes, Projector};
use integrity::Integrity;
use markers::Markers;
use meta::Meta;
use presence::Presence;
use settings::UserSettings;
use summaries::Summaries;
pub use uri::Uri;
use users::Users;
pub use window::Clock;

mod advice;
mod append;
mod batches;
mod change_poller;
mod choice;
mod closing;
mod connect;
mod document;
mod duplicates;
mod error;
mod feed;
mod history;
mod inbox;
mod indexes;
mod integrity;
mod lease;
mod markers;
mod meta;
mod opening;
mod pages;
mod presence;
mod query;
mod settings;
mod shapes;
mod summaries;
mod unread;
mod uri;
mod users;
mod window;

/// How long one read may take.
const READ: Duration = Duration::from_secs(10);
/// How long one attempt of a write may take.
const WRITE: Duration = Duration::from_secs(6);
/// How long [`Store::ping`] may take.
const PING: Duration = Duration::from_secs(2);
/// How long [`Store::close`] may take to write what it can, and then the driver to end.
const CLOSE: Duration = Duration::from_millis(1_500);
const SHUTDOWN: Duration = Duration::from_millis(500);

/// A [`Store`] in MongoDB. End it with [`Store::close`]: the driver does not like to be dropped by a process that exits.
pub struct MongoStore {
    connected: Connected,
    appender: Appender,
    history: History,
    feed: Feed,
    markers: Markers,
    summaries: Summaries,
    /// Those that are asked for, many at a time.
    asked_summaries: Batches<(UserId, UserId), Summary>,
    inboxes: Inboxes,
    projector: Projector,
    builder: Builder,
    change_poller: ChangePoller,
    users: Users,
    settings: UserSettings,
    presence: Presence,
    integrity: Integrity,
    clock: Clock,
    /// They end with the store, at the latest. Held to end them.
    tasks: Mutex<Vec<AbortOnDropHandle<()>>>,
}

impl MongoStore {
    /// Connects, and wires the parts together.
    async fn connect(uri: &str, database: Option<&str>, clock: Clock, parts: &Supervisor) -> Result<Self, StoreError> {
        let connected = connect::open(uri, database).await?;
        let database = connected.database.clone();
        let no_inboxes = indexes::create(&database).await?;
        tokio::join!(shapes::report(&database), choice::say_if_elsewhere(&database));
        let meta = Meta::new(&database);
        inbox::complete(&database, &meta).await?;
        let node = ObjectId::new();
        let begun = meta.begin(clock()).await?;
        let markers = Markers::new(&database, node, clock.clone());
        let projector = Projector::new(&database, clock.clone());
        let summaries = Summaries::new(&database, markers.clone(), projector.clone(), begun.first_start);
        let builder = Builder::begin(&database, meta.clone(), summaries.clone(), node, no_inboxes).await?;
        let (integrity, looking) = Integrity::begin(&connected, meta, builder.clone(), begun.instance).await?;
        let settled = begun.settled.millis();
        let presence = Presence::new(&database);
        let others = presence.others();
        let settings = UserSettings::new(&database, clock.clone());
        let nodes = (node, settings.node());
        let (change_poller, following) =
            ChangePoller::new(&database, projector.clone(), settled, nodes, clock.clone(), others);
        let tasks = parts.child();
        let tasks = [
            tasks.spawn("inbox-projector", projector.clone().run(integrity.clone())),
            tasks.spawn("inbox-builder", builder.clone().run(integrity.clone())),
            tasks.spawn("follower", following.run(integrity.clone())),
            tasks.spawn("integrity", looking.run()),
        ];
        Ok(Self {
            appender: Appender::new(&connected, integrity.clone(), node, clock.clone(), presence.others()),
            history: History::new(&database, integrity.clone()),
            feed: Feed::new(&database, begun.instance, clock.clone()),
            inboxes: Inboxes::new(&database, projector.clone(), summaries.clone()),
            users: Users::new(&database, parts),
            settings,
            presence,
            tasks: Mutex::new(tasks.into_iter().map(AbortOnDropHandle::new).collect()),
            markers,
            asked_summaries: Batches::start("summary-lookup", parts, {
                let summaries = summaries.clone();
                move |pairs| {
                    let summaries = summaries.clone();
                    async move { summaries.of(&pairs).await }
                }
            }),
            summaries,
            projector,
            builder,
            change_poller,
            integrity,
            clock,
            connected,
        })
    }

    /// Does work while the database is sound.
    async fn guard<T, E: From<StoreError>>(&self, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        self.integrity.guard(READ, work).await
    }

    /// Reads while the database is sound.
    async fn sound<T, E: From<StoreError>>(&self, read: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        self.integrity.read(READ, read).await
    }
}

#[async_trait]
impl Store for MongoStore {
    /// Two batches in flight gain up to half; more are slower than one.
    fn append_lanes(&self) -> usize {
        2
    }

    async fn append(&self, batch: &[NewMessage]) -> Vec<Result<Appended, AppendError>> {
        if let Some(first) = batch.first() {
            self.change_poller.minted(first.id);
        }
        let outcomes = self.appender.append(batch).await;
        self.projector
            .add(outcomes.iter().flatten().map(|appended| &appended.message));
        let unknown = batch.iter().zip(&outcomes).filter_map(|(new, outcome)| {
            let unknown = matches!(outcome, Err(AppendError::Store(_)));
            unknown.then_some(new.id)
        });
        self.projector.doubt(unknown);
        outcomes
    }

    async fn message(&self, conversation: Conversation, id: MessageId) -> Result<Option<Message>, StoreError> {
        self.sound(self.history.message(conversation, id)).await
    }

    async fn page(
        &self,
        conversation: Conversation,
        bounds: Bounds,
        end: End,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        self.sound(self.history.page(conversation, bounds, end, limit)).await
    }

    fn history(&self, conversation: Conversation) -> BoxStream<'static, Result<Vec<Message>, StoreError>> {
        self.history.stream(conversation)
    }

    fn committed_position(&self) -> i64 {
        (self.clock)().millis()
    }

    fn cursor(&self, committed_position: i64) -> Cursor {
        let own = committed_position.saturating_sub(window::of_cursors());
        #[cfg(feature = "sabotage")]
        if crate::sabotage::is("no-window") {
            return self.feed.cursor(own);
        }
        self.feed.cursor(own.min(self.change_poller.committed_position()))
    }

    async fn changes(&self, user: UserId, since: &Cursor, limit: usize) -> Result<Changes, ChangesError> {
        self.sound(self.feed.changes(user, since, limit)).await
    }

    fn remote_changes(&self) -> BoxStream<'static, Vec<RemoteChange>> {
        self.change_poller.remote_changes()
    }

    fn untold(&self, message: MessageId) -> bool {
        self.projector.untold(message)
    }

    async fn mark(&self, marks: &[Mark]) -> Vec<Result<Marked, MarkError>> {
        self.markers.mark(marks, &self.integrity).await
    }

    async fn inbox(&self, user: UserId, after: Option<Position>, limit: usize) -> Result<Vec<InboxEntry>, StoreError> {
        self.sound(self.inboxes.page(user, after, limit)).await
    }

    async fn summaries(&self, pairs: &[(UserId, UserId)]) -> Result<Vec<Summary>, StoreError> {
        self.sound(self.asked_summaries.read(pairs.to_vec())).await
    }

    async fn listed(&self, user: UserId, entries: &[InboxEntry]) -> Result<Vec<Summary>, StoreError> {
        self.sound(self.summaries.listed(user, entries)).await
    }

    async fn total_unread(&self, user: UserId, most: u32) -> Result<u32, StoreError> {
        self.sound(self.inboxes.total_unread(user, most)).await
    }

    async fn acquainted(&self, user: UserId, others: &[UserId]) -> Result<HashSet<UserId>, StoreError> {
        self.sound(self.summaries.acquainted(user, others)).await
    }

    fn projection(&self) -> Projection {
        self.builder.projection()
    }

    async fn rebuild(&self) -> Result<(), StoreError> {
        self.guard(self.builder.rebuild()).await
    }

    async fn settings(&self, users: &[UserId]) -> Result<Vec<Settings>, StoreError> {
        self.sound(self.settings.of(users)).await
    }

    async fn change_settings(
        &self,
        user: UserId,
        change: SettingsChange,
        at: Timestamp,
    ) -> Result<Option<Settings>, StoreError> {
        let changed = self.guard(self.settings.change(user, change, at)).await;
        if changed.is_err() {
            self.settings.doubt();
        }
        changed
    }

    async fn users(&self, ids: &[UserId]) -> Result<Vec<Option<User>>, StoreError> {
        self.sound(self.users.by_ids(ids)).await
    }

    async fn people(&self, ids: &[UserId]) -> Result<Vec<(Option<User>, Settings)>, StoreError> {
        self.sound(self.users.people(ids)).await
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn others_live(&self) -> bool {
        self.presence.others_live()
    }

    async fn create_users(&self, names: &[Username], at: Timestamp) -> Result<Vec<(User, bool)>, StoreError> {
        self.guard(self.users.create(names, at)).await
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.sound(self.users.by_id(id)).await
    }

    async fn users_named(&self, name: &str) -> Result<Vec<User>, StoreError> {
        self.sound(self.users.named(name)).await
    }

    async fn list_users(&self, after: Option<UserId>, limit: usize) -> Result<Vec<User>, StoreError> {
        self.sound(self.users.list(after, limit)).await
    }

    /// If this fails, the next [`heartbeat`](Store::heartbeat) makes up for it.
    async fn set_presence(&self, changes: &[PresenceChange]) -> Result<(), StoreError> {
        self.guard(self.presence.set(changes)).await
    }

    async fn heartbeat(&self, now: Timestamp) -> Result<(), StoreError> {
        self.guard(self.presence.heartbeat(now, self.change_poller.claim()))
            .await
    }

    async fn newest(&self) -> Result<Option<Timestamp>, StoreError> {
        self.sound(self.history.newest((self.clock)())).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.integrity.guard(PING, ping(&self.connected.database, PING)).await
    }

    async fn close(&self, now: Timestamp) -> Result<(), StoreError> {
        let released = self.leave(now, CLOSE).await;
        self.tasks.lock().clear();
        // Immediate: a history that someone still reads must not hold up the end.
        if tokio::time::timeout(SHUTDOWN, self.connected.shut_down())
            .await
            .is_err()
        {
            tracing::warn!("the MongoDB driver did not end in time");
        }
        released
    }
}
