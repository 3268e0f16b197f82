//! What administrators do about users who are to be shut out, and about connections.

use std::sync::Arc;
use std::time::Duration;

use shared::admin::{self, BanUser, ConnectionInfo, UserAccess};
use shared::{UserId, limits};

use super::Chat;
use super::error::Error;
use crate::clock;
use crate::delivery::client::{ConnectionId, Ending};
use crate::domain::{Access, Ban, revocation_of};
use crate::storage::Store;

impl<R> Chat<R> {
    /// Refuses all tokens of a user that were made before now, and ends the user's connections. It returns in the next whole
    /// second: a token that is made then, or later, is taken.
    ///
    /// # Errors
    /// There is no such user, the server is stopping, or the store failed.
    pub async fn revoke(&self, user: UserId) -> Result<UserAccess, Error> {
        let admitted = self.admission.admit()?;
        let _until_answered = admitted.clone();
        let before = revocation_of(clock::now());
        let revoke = async move |store: Arc<dyn Store>| store.revoke(user, before).await;
        let access = self.access.change(user, admitted, revoke).await?;
        let access = access.ok_or(Error::UnknownUser(user))?;
        let rest = before.millis().saturating_sub(clock::now().millis());
        // Not longer, if the clock was set back meanwhile.
        let rest = u64::try_from(rest).unwrap_or(0).min(1_000);
        tokio::time::sleep(Duration::from_millis(rest)).await;
        Ok(shown(user, access))
    }

    /// Shuts a user out, and ends the user's connections.
    ///
    /// # Errors
    /// The ban has ended already, its reason is too long, there is no such user, the server is stopping, or the store failed.
    pub async fn ban(&self, user: UserId, request: BanUser) -> Result<UserAccess, Error> {
        let at = clock::now();
        if let Some(until) = request.until.filter(|until| *until <= at) {
            return Err(Error::Invalid(format!(
                "until: {until} is over; name a time that is to come"
            )));
        }
        let characters = request.reason.as_ref().map_or(0, |reason| reason.chars().count());
        if characters > limits::BAN_REASON_CHARS {
            return Err(Error::Invalid(format!(
                "reason has {characters} characters; at most {} are allowed",
                limits::BAN_REASON_CHARS
            )));
        }
        let ban = Ban {
            at,
            until: request.until,
            reason: request.reason,
        };
        self.set_ban(user, Some(ban)).await
    }

    /// Lifts the ban of a user, if there is one.
    ///
    /// # Errors
    /// There is no such user, the server is stopping, or the store failed.
    pub async fn unban(&self, user: UserId) -> Result<UserAccess, Error> {
        self.set_ban(user, None).await
    }

    async fn set_ban(&self, user: UserId, ban: Option<Ban>) -> Result<UserAccess, Error> {
        let admitted = self.admission.admit()?;
        let set = async move |store: Arc<dyn Store>| store.set_ban(user, ban).await;
        let access = self.access.change(user, admitted, set).await?;
        let access = access.ok_or(Error::UnknownUser(user))?;
        Ok(shown(user, access))
    }

    /// The connections of a user to this process, oldest first, each with the id that `id` makes for it.
    ///
    /// # Errors
    /// There is no such user, or reading failed.
    pub async fn connections_of(
        &self,
        user: UserId,
        id: impl Fn(ConnectionId) -> String,
    ) -> Result<Vec<ConnectionInfo>, Error> {
        let found = self.reader.store.access(user).await?;
        found.ok_or(Error::UnknownUser(user))?;
        let mut connections = self.dispatcher.connections.of(user);
        connections.sort_by_key(|connection| connection.id);
        let described = connections.iter().map(|one| one.client.describe(id(one.id)));
        Ok(described.collect())
    }

    /// Ends a connection to this process. False if there is none of this id.
    pub fn disconnect(&self, connection: ConnectionId) -> bool {
        let client = self.dispatcher.connections.find(connection);
        client.is_some_and(|client| {
            client.end(Ending::Disconnected);
            true
        })
    }
}

fn shown(user: UserId, access: Access) -> UserAccess {
    UserAccess {
        user_id: user,
        revoked_before: access.revoked_before,
        ban: access.ban.map(|ban| admin::Ban {
            at: ban.at,
            until: ban.until,
            reason: ban.reason,
        }),
    }
}
