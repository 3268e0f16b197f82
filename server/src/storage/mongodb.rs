//! The store in a MongoDB deployment: a replica set, or a standalone server.
//!
//! The database stays one that a Mongoose program can read and write at the same time: collections `users` and `messages`
//! keep their shape, every added field is optional, and `nodes`, `markers`, `inboxes`, `renewals` and `meta` are new.
//!
//! | module | what it holds |
//! |---|---|
//! | `connect` | from a connection string to a database; `connections` counts what the driver makes |
//! | `connection_string` | what is wrong with one, in words that never repeat it |
//! | `uri` | the connection string of a Node.js program, made into one that this driver takes |
//! | `opening`, `closing` | the ways to open it; what is still written at the end of a process |
//! | `choice` | which database is meant by a string that names none |
//! | `advice` | what to do about a deployment that can't be used |
//! | `shapes` | documents that other programs wrote in another shape |
//! | `names`, `timeouts` | the names of collections; how long a command may take |
//! | `indexes` | what is created at the start, beside what others created; `duplicates` names what prevents one |
//! | `integrity` | whether work is admitted: only while it is still the same database with its indexes, which `verifier` finds out |
//! | `store` | the calls of the traits, each led to the part that does it |
//! | `append` | the durable write of a batch, its retries, what a duplicate key means, and what took too long |
//! | `history` | messages, pages and whole conversations; `newest` is the greatest time of a message |
//! | `window` | why catching up skips nothing: the argument about time |
//! | `pages` | from a cursor to a page, and to the next cursor |
//! | `feed` | what changed for a user |
//! | `change_poller` | what other programs write, and what dead ones left |
//! | `markers` | who has received and read what |
//! | `inbox` | the list of a user's conversations: how it is written, built and read |
//! | `summaries` | conversations as the messages themselves show them: the newest message, what is unread; `unread` counts, `union` runs many pipelines with few commands |
//! | `users`, `identities` | creating and finding users: by name, and by an id that another system knows |
//! | `settings` | what users let others see |
//! | `access` | whose tokens are revoked, and who is banned |
//! | `meta` | the few documents about the database as a whole |
//! | `presence` | who is online, across processes that can die; `lease` says which process is which |
//! | `batches` | reads for many callers with few commands |
//! | `query` | a query to its end |
//! | `document` | documents to wire types and back |
//! | `error` | the driver's errors, time limits and retries |

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bson::oid::ObjectId;
use parking_lot::Mutex;
use shared::diagnosis::StoreFacts;
use shared::{Message, Timestamp, UserId};
use tokio_util::task::AbortOnDropHandle;

use super::{MessageName, Store, StoreError, Summary};
use crate::metrics::METRICS;
use crate::supervisor::Supervisor;
use access::UserAccess;
use append::Appender;
use batches::Batches;
use change_poller::ChangePoller;
pub use choice::ChoiceError;
use connect::{Connected, ping};
use feed::Feed;
use history::History;
use inbox::Inboxes;
use inbox::build::Builder;
use inbox::projector::Projector;
use integrity::Integrity;
use markers::Markers;
use meta::Meta;
use presence::NodePresence;
use settings::UserSettings;
use summaries::Summaries;
pub use uri::Uri;
use users::Users;
use verifier::Verifier;
pub use window::Clock;

mod access;
mod advice;
mod append;
mod batches;
mod change_poller;
mod choice;
mod closing;
mod connect;
mod connection_string;
mod connections;
mod document;
mod duplicates;
mod error;
mod facts;
mod feed;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod history;
mod identities;
mod inbox;
mod indexes;
mod integrity;
mod lease;
mod markers;
mod meta;
mod names;
mod newest;
mod opening;
mod pages;
mod presence;
mod query;
mod settings;
mod shapes;
mod store;
mod summaries;
mod timeouts;
mod union;
mod unread;
mod uri;
mod users;
mod verifier;
mod window;

/// How long [`Store::ping`] may take.
const PING_TIMEOUT: Duration = Duration::from_secs(2);
/// How long [`Store::close`] may take to write what it can, and then the driver to end.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(1_500);
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(500);

/// A [`Store`] in MongoDB. End it with [`Store::close`]: the driver does not like to be dropped by a process that exits.
pub struct MongoStore {
    connected: Connected,
    appender: Appender,
    history: History,
    feed: Feed,
    markers: Markers,
    summaries: Summaries,
    /// The same for callers, many at a time.
    summary_lookup: Batches<(UserId, UserId), Summary>,
    inboxes: Inboxes,
    projector: Projector,
    builder: Builder,
    change_poller: ChangePoller,
    users: Users,
    settings: UserSettings,
    access: UserAccess,
    presence: NodePresence,
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
        tokio::join!(shapes::report(&database), choice::warn_if_elsewhere(&database));
        let meta = Meta::new(&database);
        inbox::write::complete(&database, &meta).await?;
        let node = ObjectId::new();
        let begun = meta.begin(clock()).await?;
        let markers = Markers::new(&database, node, clock.clone());
        let projector = Projector::new(&database, clock.clone());
        let summaries = Summaries::new(&database, markers.clone(), projector.clone(), begun.first_start);
        let builder = Builder::begin(&database, meta.clone(), summaries.clone(), node, no_inboxes).await?;
        let integrity = Integrity::new(Arc::clone(&connected.connections));
        let verifier = Verifier::new(&connected, integrity.clone(), meta, builder.clone(), begun.instance).await?;
        let settled = begun.settled.millis();
        let presence = NodePresence::new(&database);
        let others = presence.others();
        let settings = UserSettings::new(&database, clock.clone());
        let node_ids = (node, settings.node());
        let (change_poller, poller_task) =
            ChangePoller::new(&database, projector.clone(), settled, node_ids, clock.clone(), others);
        let tasks = parts.child();
        let tasks = [
            tasks.spawn("inbox-projector", projector.clone().run(integrity.clone())),
            tasks.spawn("inbox-builder", builder.clone().run(integrity.clone())),
            tasks.spawn("change-poller", poller_task.run(integrity.clone())),
            tasks.spawn("integrity", verifier.run()),
        ];
        Ok(Self {
            appender: Appender::new(&connected, integrity.clone(), node, clock.clone(), presence.others()),
            history: History::new(&database, integrity.clone()),
            feed: Feed::new(&database, begun.instance, clock.clone()),
            inboxes: Inboxes::new(&database, projector.clone(), summaries.clone()),
            users: Users::new(&database, parts),
            settings,
            access: UserAccess::new(&database, integrity.clone()),
            presence,
            tasks: Mutex::new(tasks.into_iter().map(AbortOnDropHandle::new).collect()),
            markers,
            summary_lookup: Batches::start("summary-lookup", parts, {
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
}

#[async_trait]
impl Store for MongoStore {
    async fn ping(&self) -> Result<(), StoreError> {
        self.integrity
            .guard(PING_TIMEOUT, ping(&self.connected.database, PING_TIMEOUT))
            .await
    }

    async fn facts(&self) -> Result<StoreFacts, StoreError> {
        let now = (self.clock)().millis().cast_unsigned();
        // As the metrics have it: 0 where nobody else writes.
        let behind = match METRICS.polled_up_to.get() {
            0 => 0,
            up_to => now.saturating_sub(up_to),
        };
        facts::facts(&self.connected.database, behind).await
    }

    async fn find(&self, name: &MessageName) -> Result<Option<Message>, StoreError> {
        facts::find(&self.connected.database, name).await
    }

    async fn close(&self, now: Timestamp) -> Result<(), StoreError> {
        let released = self.leave(now, CLOSE_TIMEOUT).await;
        self.tasks.lock().clear();
        // Immediate: a history that somebody still reads must not delay the end.
        if tokio::time::timeout(SHUTDOWN_TIMEOUT, self.connected.shut_down())
            .await
            .is_err()
        {
            tracing::warn!("close: the MongoDB driver did not end in time");
        }
        released
    }
}
