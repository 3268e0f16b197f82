//! What every handler can reach: the parts of one running server.

use std::sync::Arc;

use shared::WireError;
use socketioxide::socket::Sid;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::auth::Verifier;
use crate::chat::{Committer, Directory, Horizon, Mint, Presence, Receipts, Refused, SettingsChanges, Typists, Watch};
use crate::config::Config;
use crate::error;
use crate::http::store_check::StoreCheck;
use crate::net::registry::Registry;
use crate::socket::outlet::Outlet;
use crate::socket::request::Reply;
use crate::store::Store;
use crate::supervisor::Supervisor;

/// One running server.
pub struct App {
    /// As configured.
    pub config: Config,
    /// Checks tokens.
    pub verifier: Verifier,
    /// Keeps users and messages.
    pub store: Arc<dyn Store>,
    /// Whether it does its work.
    pub store_check: StoreCheck,
    /// Who is connected here.
    pub directory: Arc<Directory<Sid>>,
    /// Tells the store of it.
    pub presence: Arc<Presence>,
    /// The queue of messages in front of the store.
    pub committer: Committer<Reply>,
    /// The queue of watermarks in front of the store.
    pub receipts: Receipts<Reply>,
    /// Changes settings.
    pub settings: SettingsChanges,
    /// From where those that have caught up can go on.
    pub horizon: Arc<Horizon>,
    /// Who is told of whose presence.
    pub watch: Arc<Watch<Sid>>,
    /// Who types.
    pub typists: Arc<Typists>,
    /// The way out to the connections.
    pub outlet: Outlet,
    /// Taken by each request that reads whole pages, so that their memory has a bound.
    pub reading: Semaphore,
    /// Ids and times of new messages.
    pub mint: Mint,
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
            true => Err(error::refused(Refused::Stopping)),
        }
    }
}

/// Requests that read whole pages at a time: enough to keep any store busy.
pub const READING: usize = 64;
