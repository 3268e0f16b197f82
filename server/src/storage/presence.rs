//! What a store is asked about presence: who is online, across processes that can die at any moment.

use std::time::Duration;

use async_trait::async_trait;
use shared::{Timestamp, UserId};

use super::error::StoreError;

/// How often [`PresenceStore::heartbeat`] is called.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(3);

/// How long after its last heartbeat a process counts as dead.
pub const LEASE_TIMEOUT: Duration = Duration::from_secs(8);

/// Holds who is online. A user is online as long as a living process serves the user.
#[async_trait]
pub trait PresenceStore: Send + Sync + 'static {
    /// Records that users came online to this process or left it. A user whom another living process still
    /// serves stays online. Unknown users are ignored.
    async fn set_presence(&self, changes: &[PresenceChange]) -> Result<(), StoreError>;

    /// Renews this process's claim on the users that it brought online, and takes offline the users that a dead
    /// process left online. To be called at the start and then every [`HEARTBEAT_INTERVAL`].
    async fn heartbeat(&self, now: Timestamp) -> Result<(), StoreError>;

    /// Whether other processes can serve users of the same database.
    fn is_shared(&self) -> bool;

    /// Whether other processes do, as of the last [`heartbeat`](PresenceStore::heartbeat). When this turns false, their
    /// users are offline already.
    fn others_live(&self) -> bool {
        false
    }
}

/// A user came online to this process, or left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PresenceChange {
    /// Who.
    pub user: UserId,
    /// Whether the user has a connection to this process.
    pub online: bool,
    /// When it changed; becomes the user's `lastSeen`.
    pub at: Timestamp,
}
