//! What the handlers of both transports share.

use std::sync::Arc;

use super::client_files::ClientFiles;
use super::level_timer::LevelTimer;
use super::mint::Mint;
use super::node::Node;
use super::pages::Pages;
use super::socketio::hints::DevHints;
use super::socketio::reply::Reply;
use super::socketio::timers::Timers;
use super::store_check::StoreCheck;
use super::tcp::registry::Registry;
use crate::auth::{UserIds, Verifier};
use crate::config::Config;
use crate::rates::UserRates;
use crate::storage::Store;
use crate::supervisor::Supervisor;

/// A chat whose requests are answered over Socket.IO.
pub type Chat = crate::chat::Chat<Reply>;

/// What the handlers of one server share.
pub struct Context {
    /// As configured.
    pub config: Config,
    /// What they call.
    pub chat: Arc<Chat>,
    /// Finds the users whom clients name.
    pub user_ids: Arc<UserIds>,
    /// Checks tokens.
    pub verifier: Verifier,
    /// Where the users of tokens are looked up.
    pub store: Arc<dyn Store>,
    /// Whether it does its work.
    pub store_check: StoreCheck,
    /// The client, for pages that load it from here.
    pub client_files: ClientFiles,
    /// The pages for developers.
    pub pages: Pages,
    /// How many tokens the playground may make.
    pub mint: Mint,
    /// What tells clients about their mistakes, if that is wanted.
    pub hints: Option<Arc<DevHints>>,
    /// When something is to happen to a connection.
    pub timers: Arc<Timers>,
    /// Takes the log level back when its time is over.
    pub level_timer: Arc<LevelTimer>,
    /// The name of this process.
    pub node: Node,
    /// How often users may do what.
    pub rates: Arc<UserRates>,
    /// The TCP connections, and the sessions that poll.
    pub registry: Arc<Registry>,
    /// Owns the tasks of requests, and says when the server begins to stop: it is no longer ready then.
    pub supervisor: Supervisor,
}
