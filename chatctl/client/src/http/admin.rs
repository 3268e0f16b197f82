//! What administrators do: building inboxes anew, shutting users out, looking at and ending connections.

use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::UserId;
use shared::admin::{BanUser, Disconnected, UserAccess, UserConnections};

use super::{Bearer, Building, Http};
use crate::ClientError;

/// The part of the server's readiness, and of the answer to a rebuild, that is about inboxes.
#[derive(Debug, Deserialize)]
struct Inboxes {
    inbox: Building,
}

impl Http {
    /// Begins to build all inboxes anew.
    pub fn rebuild(&self) -> Result<Building, ClientError> {
        let answer: Inboxes =
            self.with_retries(|| self.read(self.post(Bearer::Admin, "/admin/rebuild", &json!({}))?))?;
        Ok(answer.inbox)
    }

    /// Refuses all tokens of a user that were made before now, and ends the user's connections. Answered when a new token is good.
    pub fn revoke(&self, user: UserId) -> Result<UserAccess, ClientError> {
        self.change(user, "revoke", &json!({}))
    }

    /// Shuts a user out, and ends the user's connections.
    pub fn ban(&self, user: UserId, ban: &BanUser) -> Result<UserAccess, ClientError> {
        self.change(user, "ban", ban)
    }

    /// Lifts the ban of a user.
    pub fn unban(&self, user: UserId) -> Result<UserAccess, ClientError> {
        self.change(user, "unban", &json!({}))
    }

    fn change(&self, user: UserId, what: &str, body: &impl Serialize) -> Result<UserAccess, ClientError> {
        let path = format!("/admin/users/{user}/{what}");
        self.with_retries(|| self.read(self.post(Bearer::Admin, &path, body)?))
    }

    /// The connections of a user to this server.
    pub fn connections(&self, user: UserId) -> Result<UserConnections, ClientError> {
        self.get(Bearer::Admin, &format!("/admin/users/{user}/connections"), &[])
    }

    /// Ends a connection to this server, by its id.
    pub fn disconnect(&self, id: &str) -> Result<Disconnected, ClientError> {
        let mut address = Url::parse(&self.url).map_err(|error| self.not_the_server(error.to_string()))?;
        if let Ok(mut path) = address.path_segments_mut() {
            path.pop_if_empty().extend(["admin", "connections", id]);
        }
        let ended = || self.transport.client().delete(address.clone());
        self.with_retries(|| self.read(self.send(ended().headers(self.authorization(Bearer::Admin)))?))
    }

    /// How far the inboxes are built. A server that is not ready otherwise tells it all the same.
    pub fn building(&self) -> Result<Building, ClientError> {
        let answer: Inboxes = self.decode(self.request_get(Bearer::Admin, "/readyz", &[])?)?;
        Ok(answer.inbox)
    }
}
