//! Users, as the HTTP API takes and shows them.

use serde::{Deserialize, Serialize};

use crate::{ExternalId, Timestamp, UserId};

/// One user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    /// What another system calls this user; absent if nobody said. No two users have the same one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<ExternalId>,
    /// The name to show to people, which need not be unique; absent if it is the username.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Where a picture of the user is: an address of http or https.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<String>,
}

impl User {
    /// A user of whom no more than the name is known.
    pub const fn new(id: UserId, username: String) -> Self {
        Self {
            id,
            username,
            is_online: false,
            last_seen: None,
            external_id: None,
            display_name: None,
            avatar_url: None,
        }
    }
}

/// Body of `POST /users`: one of its fields.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = crate::schema::one_way_to_create))]
pub struct CreateUsers {
    /// `{"username": "ada"}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// `{"usernames": ["ada", "grace"]}`, at most [`crate::limits::USERS_PER_REQUEST`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usernames: Option<Vec<String>>,
    /// `{"users": [{"username": "ada", "externalId": "7"}]}`, as many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<Vec<CreateUser>>,
}

/// A user of another system, to be created here, or to be known as one of those who are here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = crate::schema::one_way_to_name))]
#[serde(rename_all = "camelCase")]
pub struct CreateUser {
    /// What a new user is called; where another user has the name, something is added to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Instead of it: the id of a user who is here, and has no external id yet.
    #[serde(rename = "_id", default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What the other system calls the user: a user who has it is found, and stays as it is. (The server reads any text
    /// first, so that it can tell what is wrong with it.)
    pub external_id: String,
    /// The name to show to people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Where a picture is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<String>,
}

/// A user that `POST /users` created or found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CreatedUser {
    /// The user.
    #[serde(flatten)]
    pub user: User,
    /// False if a user of that name, or of that external id, existed before.
    pub created: bool,
}

/// Answer of `POST /users`: one entry for each name, in the order asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CreatedUsers {
    /// The users.
    pub users: Vec<CreatedUser>,
}

/// Answer of `GET /users`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UserList {
    /// The users, oldest first.
    pub users: Vec<User>,
    /// What to pass as `after` for the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<UserId>,
}
