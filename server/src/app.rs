//! What every handler can reach: the parts of one running server.

use std::sync::Arc;

use shared::{UserId, WireError};
use socketioxide::socket::Sid;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::auth::Verifier;
use crate::chat::{Committer, MessageIdGenerator, Reads, Receipts, SettingsChanges, SubmitError};
use crate::config::Config;
use crate::delivery::Dispatcher;
use crate::delivery::{DeliveryWatermark, PresenceSubscriptions, PresenceWriter, TypingTracker};
use crate::error;
use crate::storage::{ChangesError, Store, StoreError};
use crate::supervisor::Supervisor;
use crate::transport::http::client::ClientFiles;
use crate::transport::http::store_check::StoreCheck;
use crate::transport::socketio::emit::{ConnectionRegistry, Way};
use crate::transport::socketio::request::Reply;
use crate::transport::tcp::registry::Registry;

/// One running server.
pub struct App {
    /// As configured.
    pub config: Config,
    /// The client, for pages that load it from here.
    pub client_files: ClientFiles,
    /// Checks tokens.
    pub verifier: Verifier,
    /// Keeps users and messages.
    pub store: Arc<dyn Store>,
    /// Whether it does its work.
    pub store_check: StoreCheck,
    /// Who is connected here.
    pub directory: Arc<ConnectionRegistry>,
    /// Tells the store of it.
    pub presence: Arc<PresenceWriter>,
    /// The queue of messages in front of the store.
    pub committer: Committer<Reply>,
    /// The queue of watermarks in front of the store.
    pub receipts: Receipts<Reply>,
    /// Changes settings.
    pub settings: Arc<SettingsChanges>,
    /// From where those that have caught up can go on.
    pub delivery_watermark: Arc<DeliveryWatermark>,
    /// Who is told of whose presence.
    pub watch: Arc<PresenceSubscriptions<Sid, Way>>,
    /// Who types.
    pub typing_tracker: Arc<TypingTracker>,
    /// The way out to the connections.
    pub dispatcher: Dispatcher,
    /// Whose turn it is to read.
    pub reads: Arc<Reads>,
    /// Ids and times of new messages.
    pub message_ids: MessageIdGenerator,
    /// The TCP connections, and the sessions that poll.
    pub registry: Arc<Registry>,
    /// Owns all that goes on beside the requests.
    pub supervisor: Supervisor,
    /// Requests that were taken and not answered, and writes that nobody waits for any more. Closed when the server
    /// begins to stop.
    pub requests: TaskTracker,
    /// Set once the server begins to stop: it is no longer ready.
    pub stopping: CancellationToken,
}

impl App {
    /// Counts a request until it is answered, so that a stop waits for it.
    ///
    /// # Errors
    /// The server is stopping, and takes no more.
    pub fn admit(&self) -> Result<TaskTrackerToken, WireError> {
        // Counted before looking, and both are one number: either the stop waits for this one, or it is refused.
        let token = self.requests.token();
        match self.requests.is_closed() {
            false => Ok(token),
            true => Err(error::refused(SubmitError::Stopping)),
        }
    }
}

impl App {
    /// Reads from the store when it is this user's turn. Dropped, it gives up its place or its turn.
    pub async fn read<T, E: Into<ChangesError>>(
        &self,
        user: UserId,
        read: impl Future<Output = Result<T, E>>,
    ) -> Result<T, WireError> {
        let turn = self.reads.turn(user).await.map_err(error::too_many_reads)?;
        let done = read.await.map_err(Into::into);
        drop(turn);
        if let Err(ChangesError::Store(StoreError::Unavailable(_))) = &done {
            self.reads.failed();
        }
        done.map_err(error::changes_error)
    }
}
