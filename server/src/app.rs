//! What every handler can reach: the parts of one running server.

use std::sync::Arc;

use socketioxide::socket::Sid;
use tokio::sync::Semaphore;

use crate::auth::Verifier;
use crate::chat::{Committer, Directory, Horizon, Mint, Presence, Receipts, Typists, Watch};
use crate::config::Config;
use crate::http::store_check::StoreCheck;
use crate::net::registry::Registry;
use crate::socket::outlet::Outlet;
use crate::socket::request::Reply;
use crate::store::Store;

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
    /// Set once the server begins to stop: it is no longer ready.
    pub stopping: tokio_util::sync::CancellationToken,
}

/// Requests that read whole pages at a time: enough to keep any store busy.
pub const READING: usize = 64;
