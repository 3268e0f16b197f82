//! What a chat does, apart from how it is carried and kept: it knows neither sockets nor databases' formats.
//!
//! One use-case a file, each as methods of [`Chat`]:
//!
//! | use-case | |
//! |---|---|
//! | [`send`] | a message: checked, stored, answered, delivered |
//! | [`receipts`] | messages are marked as received or read |
//! | [`sync`] | what a user missed |
//! | [`conversations`] | a user's inbox |
//! | [`history`] | the messages between two people |
//! | [`settings`] | reading and changing them |
//! | [`presence`], [`typing`] | who is there, who types |
//! | [`users`] | creating, finding and listing them |
//! | [`access`] | shutting them out, looking at their connections |
//!
//! What these need: [`message_ids`](MessageIdGenerator) gives a message its id and time, [`commit`](Committer) makes durable
//! batches of what waits, [`reads`](Reads) and [`reader`] let users read in turn, [`admission`] counts requests for the stop,
//! [`respond`] is how a request is answered, and [`error`] why it failed.

use std::sync::Arc;

use shared::UserId;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::delivery::Dispatcher;
use crate::delivery::access::AccessEnforcer;
use crate::delivery::registration::Registrar;
use crate::delivery::remote_changes::RemoteChangeListener;
use crate::delivery::{TypingTracker, run_heartbeat};
use crate::storage::Store;
use crate::supervisor::Supervisor;
use admission::Admission;
use reader::Reader;
use respond::Respond;

pub mod access;
pub mod admission;
mod commit;
pub mod conversations;
pub mod error;
pub mod history;
mod message_ids;
mod paging;
pub mod presence;
pub mod reader;
mod reads;
pub mod receipts;
pub mod respond;
pub mod send;
pub mod settings;
pub mod sync;
#[cfg(test)]
mod tests;
pub mod typing;
pub mod users;

pub use commit::{AppendOutcome, Backlog, Committer, Depth, Limits, NotStored, SubmitError};
pub use error::Error;
pub use message_ids::MessageIdGenerator;
pub use paging::checked_limit;
pub use reads::{ReadPermit, Reads, TooManyReads};
pub use receipts::{MarkOutcome, Receipts};
pub use settings::SettingsChanges;

/// A chat, whose requests are answered through an `R`.
pub struct Chat<R> {
    /// The store, and whose turn it is to read from it.
    pub reader: Reader,
    /// The way out to the connections.
    pub dispatcher: Dispatcher,
    /// Who is connected, and who is notified of it.
    pub registrar: Registrar,
    /// Ends the connections of those who are shut out.
    pub access: Arc<AccessEnforcer>,
    /// Requests that are not answered yet.
    pub admission: Admission,
    committer: Committer<R>,
    receipts: Receipts<R>,
    settings_changes: SettingsChanges,
    typing: Arc<TypingTracker>,
    message_ids: MessageIdGenerator,
    /// Longest message, in bytes of UTF-8.
    max_message_bytes: usize,
}

/// What a chat is made of.
pub struct Parts {
    /// Keeps users and messages.
    pub store: Arc<dyn Store>,
    /// Gives messages their ids and times.
    pub message_ids: MessageIdGenerator,
    /// The way out to the connections.
    pub dispatcher: Dispatcher,
    /// Who is connected, and who is notified of it.
    pub registrar: Registrar,
    /// What may wait to be stored.
    pub limits: Limits,
    /// Longest message, in bytes of UTF-8.
    pub max_message_bytes: usize,
}

impl<R: Respond> Chat<R> {
    /// Starts a chat's queues; `supervisor` owns their tasks.
    pub fn start(parts: Parts, supervisor: &Supervisor) -> Self {
        let Parts {
            store,
            message_ids,
            dispatcher,
            registrar,
            limits,
            max_message_bytes,
        } = parts;
        let watermark = &dispatcher.watermark;
        let (committed, marked, buffers) = (dispatcher.clone(), dispatcher.clone(), dispatcher.clone());
        let backlog: Backlog = Arc::new(move |user| buffers.backlog(user));
        Self {
            committer: Committer::start(
                Arc::clone(&store),
                watermark,
                limits,
                backlog,
                supervisor,
                move |outcome| send::finish(&committed, outcome),
            ),
            receipts: Receipts::start(Arc::clone(&store), Arc::clone(watermark), supervisor, move |outcome| {
                receipts::finish(&marked, outcome)
            }),
            settings_changes: SettingsChanges::new(store.clone(), Arc::clone(watermark), supervisor),
            access: AccessEnforcer::new(Arc::clone(&store), Arc::clone(&dispatcher.connections), supervisor),
            reader: Reader {
                store,
                reads: Arc::default(),
            },
            admission: Admission::default(),
            typing: Arc::default(),
            dispatcher,
            registrar,
            message_ids,
            max_message_bytes,
        }
    }

    /// Starts what runs beside the requests, each task until `supervisor` stops.
    pub fn start_background(self: &Arc<Self>, supervisor: &Supervisor) {
        let (store, stop) = (|| Arc::clone(&self.reader.store), || supervisor.stopping().clone());
        let dispatcher = || self.dispatcher.clone();
        let Registrar {
            presence_writer,
            presence_subscriptions,
            ..
        } = &self.registrar;
        supervisor.spawn("presence", Arc::clone(presence_writer).run(store(), stop()));
        supervisor.spawn("heartbeat", run_heartbeat(store(), stop()));
        supervisor.spawn("reads", Arc::clone(&self.reader.reads).run(store(), stop()));

        // The task must not keep the queue of messages alive.
        let chat = Arc::downgrade(self);
        let busy = move || chat.upgrade().is_some_and(|chat| chat.committer.is_busy());
        let (ready, emit) = (dispatcher(), dispatcher());
        let notifying = Arc::clone(&self.dispatcher.conversation_notifier).run(
            store(),
            stop(),
            busy,
            move |user| ready.readiness(user),
            move |user, conversation| emit.conversation(user, conversation),
        );
        supervisor.spawn("conversation-updates", notifying);

        let emit = dispatcher();
        let following =
            Arc::clone(presence_subscriptions).run(stop(), move |followers, state| emit.presence(followers, state));
        supervisor.spawn("presence-watch", following);

        let emit = dispatcher();
        let expired = move |typist, receiver| typing::emit(&emit, typist, receiver, false);
        supervisor.spawn("typing", Arc::clone(&self.typing).run(stop(), expired));

        let listener = RemoteChangeListener {
            store: store(),
            dispatcher: dispatcher(),
            settings_order: Arc::clone(self.settings_changes.order()),
            presence_subscriptions: Arc::clone(presence_subscriptions),
        };
        supervisor.spawn("remote-changes", listener.run(stop()));
        supervisor.spawn("access-changes", Arc::clone(&self.access).run(stop()));
    }

    /// Takes no more messages and marks, and returns when those that were taken are answered and delivered.
    pub async fn drain(&self) {
        tokio::join!(self.committer.stop(), self.receipts.stop(), self.admission.wait());
    }
}

impl<R> Chat<R> {
    /// How full the queue of messages is.
    pub fn queued(&self) -> Depth
    where
        R: Send + 'static,
    {
        self.committer.depth()
    }

    /// Counts a request until the token is dropped, so that a stop waits for it.
    ///
    /// # Errors
    /// The server is stopping, and takes no more.
    pub fn admit(&self) -> Result<TaskTrackerToken, SubmitError> {
        self.admission.admit()
    }

    /// Reads from the store when it is this user's turn.
    async fn read<T, E: Into<Error>>(
        &self,
        user: UserId,
        read: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Error> {
        self.reader.read(user, read).await
    }
}
