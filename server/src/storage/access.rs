//! What a store is asked about who is shut out.

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use shared::{Timestamp, UserId};

use super::error::StoreError;
use crate::domain::{Access, Ban};

/// Holds which tokens of a user are revoked, and who is banned.
#[async_trait]
pub trait AccessStore: Send + Sync + 'static {
    /// How it stands with a user; `None` if there is no such user. Every connection and every HTTP request asks this, with
    /// the look-up that it needs to know whether the user exists.
    async fn access(&self, user: UserId) -> Result<Option<Access>, StoreError>;

    /// Refuses tokens of a user that were made before a moment, and returns how it stands then; `None` if there is no such
    /// user. That moment never moves back.
    async fn revoke(&self, user: UserId, before: Timestamp) -> Result<Option<Access>, StoreError>;

    /// Bans a user, in the place of a ban that there is, or lifts it, and returns how it stands then; `None` if there is no
    /// such user.
    async fn set_ban(&self, user: UserId, ban: Option<Ban>) -> Result<Option<Access>, StoreError>;

    /// The users with whom it stands otherwise since other processes changed that: within half a second after the change,
    /// at least once, in no particular order. The stream never ends; a caller takes it once.
    fn access_changes(&self) -> BoxStream<'static, Vec<UserId>>;
}
