//! What every handler can reach: the parts of one running server.

use std::sync::Arc;

use socketioxide::socket::Sid;

use crate::auth::Verifier;
use crate::chat::{Committer, Directory, Mint, Presence};
use crate::config::Config;
use crate::net::detach::Upgrades;
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
    /// Who is connected here.
    pub directory: Arc<Directory<Sid>>,
    /// Tells the store of it.
    pub presence: Arc<Presence>,
    /// The queue in front of the store.
    pub committer: Committer<Reply>,
    /// Ids and times of new messages.
    pub mint: Mint,
    /// The WebSockets that began as polling.
    pub upgrades: Arc<Upgrades>,
    /// Set once the server begins to stop: it is no longer ready.
    pub stopping: tokio_util::sync::CancellationToken,
}
