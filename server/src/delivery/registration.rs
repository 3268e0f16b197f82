//! One registered connection: it counts for its user's presence from [`Registration::enter`] until it is dropped.

use std::sync::Arc;

use shared::UserId;

use super::client::{Client, ConnectionId};
use super::connections::TooManyConnections;
use super::presence_writer::PresenceWriter;
use super::{Connections, PresenceSubscriptions};

/// Where connections are registered, and who is notified of it.
#[derive(Clone)]
pub struct Registrar {
    /// Who is connected here.
    pub connections: Arc<Connections>,
    /// Stores who is online.
    pub presence_writer: Arc<PresenceWriter>,
    /// Who follows whose presence.
    pub presence_subscriptions: Arc<PresenceSubscriptions>,
}

/// A registered connection.
pub struct Registration {
    registrar: Registrar,
    user: UserId,
    id: ConnectionId,
}

impl Registration {
    /// Registers a connection of a user.
    ///
    /// # Errors
    /// The user has as many connections as are allowed.
    pub fn enter(registrar: Registrar, user: UserId, client: Arc<dyn Client>) -> Result<Self, TooManyConnections> {
        let id = ConnectionId::unique();
        let writer = &registrar.presence_writer;
        registrar
            .connections
            .enter(user, id, client, || writer.set(user, true))?;
        registrar.presence_subscriptions.recheck(user);
        Ok(Self { registrar, user, id })
    }

    /// The name of the connection.
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// The client has received everything up to now, or has missed something.
    pub fn set_caught_up(&self, caught_up: bool) {
        self.registrar.connections.set_caught_up(self.user, self.id, caught_up);
    }

    /// Takes the connection out of the registry. It may be called again.
    pub fn leave(&self) {
        let Registrar {
            connections,
            presence_writer,
            presence_subscriptions,
        } = &self.registrar;
        connections.leave(self.user, self.id, || {
            presence_writer.set(self.user, false);
            presence_subscriptions.left(self.user);
        });
        presence_subscriptions.recheck(self.user);
        presence_subscriptions.end(self.id);
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.leave();
    }
}
