//! Presence: a connection brings its user online, and may follow the presence of the user's acquaintances.

use std::sync::Arc;

use shared::presence::PresentNow;
use shared::{UserId, limits};

use super::Chat;
use super::error::Error;
use crate::delivery::client::{Client, ConnectionId};
use crate::delivery::registration::Registration;
use crate::delivery::{TooManyConnections, privacy};

impl<R> Chat<R> {
    /// Registers a connection of a user, who is online as long as the registration is held.
    ///
    /// # Errors
    /// The user has as many connections as are allowed.
    pub fn connect(&self, user: UserId, client: Arc<dyn Client>) -> Result<Registration, TooManyConnections> {
        Registration::enter(self.registrar.clone(), user, client)
    }

    /// Lets a connection of a user follow others, with whom the user has exchanged a message, and returns how they are now.
    ///
    /// # Errors
    /// One of them is a stranger, the connection would follow too many, or reading failed.
    pub async fn follow(
        &self,
        user: UserId,
        connection: ConnectionId,
        others: Vec<UserId>,
    ) -> Result<PresentNow, Error> {
        let stranger = privacy::first_stranger(&*self.reader.store, user, &others);
        if let Some(place) = self.read(user, stranger).await? {
            return Err(Error::Forbidden(format!(
                "userIds[{place}]: there is no conversation with this user; only people one writes with can be followed"
            )));
        }
        let subscriptions = &self.registrar.presence_subscriptions;
        let presence = self.read(user, subscriptions.follow(connection, user, &others)).await?;
        let presence = presence.map_err(|cause| Error::Invalid(format!("userIds: {cause}")))?;
        Ok(PresentNow { presence })
    }

    /// A connection follows these users no more.
    pub fn unfollow(&self, connection: ConnectionId, others: &[UserId]) {
        self.registrar.presence_subscriptions.unfollow(connection, others);
    }
}

/// Checks how many users one request names.
///
/// # Errors
/// None, or more than are allowed.
pub fn checked_count(count: usize) -> Result<(), Error> {
    let most = limits::PRESENCE_SUBSCRIPTIONS;
    match (1..=most).contains(&count) {
        true => Ok(()),
        false => Err(Error::Invalid(format!(
            "userIds has {count} ids; 1 to {most} are allowed"
        ))),
    }
}
