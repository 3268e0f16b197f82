//! Users, as the HTTP API takes and shows them.

use serde::{Deserialize, Serialize};

use crate::{Timestamp, UserId};

/// One user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// The user's id: what tokens, messages and event names carry.
    #[serde(rename = "_id")]
    pub id: UserId,
    /// The name people type. Old databases can hold one name twice; new names are unique.
    pub username: String,
    /// Whether the user has a connection now.
    #[serde(default)]
    pub is_online: bool,
    /// When the user's first connection began or the last one ended; absent if there never was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Timestamp>,
}

/// Body of `POST /users`: one name or many, never both.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateUsers {
    /// `{"username": "ada"}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// `{"usernames": ["ada", "grace"]}`, at most [`crate::limits::USERS_PER_REQUEST`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usernames: Option<Vec<String>>,
}

/// A user that `POST /users` created or found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedUser {
    /// The user.
    #[serde(flatten)]
    pub user: User,
    /// False if a user of that name existed before.
    pub created: bool,
}

/// Answer of `POST /users`: one entry for each name, in the order asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedUsers {
    /// The users.
    pub users: Vec<CreatedUser>,
}

/// Answer of `GET /users`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserList {
    /// The users, oldest first.
    pub users: Vec<User>,
    /// What to pass as `after` for the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<UserId>,
}
