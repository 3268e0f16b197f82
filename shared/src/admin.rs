//! What administrators do about users who are to be shut out, and about connections.

use serde::{Deserialize, Serialize};

use crate::{ErrorCode, Timestamp, UserId};

/// Without `ADMIN_LISTEN` administration is served at 127.0.0.1, at the port so far above that of clients.
pub const PORT_OFFSET: u16 = 100;

/// The port of administration where that of clients is this one and nothing else is set; 0, for a free one, of 0. Where the
/// ports end, it lies below.
pub fn port_beside(port: u16) -> u16 {
    match port {
        0 => 0,
        _ => port.checked_add(PORT_OFFSET).unwrap_or_else(|| port - PORT_OFFSET),
    }
}

/// Body of `POST /admin/users/{id}/ban`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BanUser {
    /// When the ban ends by itself; never, if it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Why, at most [`crate::limits::BAN_REASON_CHARS`] characters. The user is shown it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(max = crate::limits::BAN_REASON_CHARS)))]
    pub reason: Option<String>,
}

/// Answer of `POST /admin/users/{id}/revoke`, `…/ban` and `…/unban`: how it stands with a user now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct UserAccess {
    /// Who.
    pub user_id: UserId,
    /// Tokens that were made before this moment are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_before: Option<Timestamp>,
    /// The ban, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ban: Option<Ban>,
}

/// A ban.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Ban {
    /// When it was decided.
    pub at: Timestamp,
    /// When it ends by itself; never, if it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Body of `PUT /admin/log-level`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SetLogLevel {
    /// What to log, as the setting `LOG_LEVEL` has it: a level, or a level and modules with theirs.
    pub filter: String,
    /// For how many seconds, at most [`crate::limits::LOG_LEVEL_SECONDS`]; until the process ends, if it is missing.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = crate::limits::LOG_LEVEL_SECONDS)))]
    pub lasting: Option<u32>,
}

/// Answer of `GET /admin/log-level` and of `PUT /admin/log-level`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LogLevel {
    /// What is logged now.
    pub filter: String,
    /// What `LOG_LEVEL` says.
    pub configured: String,
    /// When that is logged again; never by itself, if it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// Answer of `GET /admin/users/{id}/connections`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UserConnections {
    /// The process that answers. It knows its own connections only.
    pub node: String,
    /// The user's connections to it, oldest first.
    pub connections: Vec<ConnectionInfo>,
}

/// One connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ConnectionInfo {
    /// Its id, for `DELETE /admin/connections/{id}`; it is not the `socket.id` of its client.
    pub id: String,
    /// When it was let in.
    pub since: Timestamp,
    /// From where it comes.
    pub address: String,
    /// `websocket` or `polling`.
    pub transport: String,
    /// The client's `User-Agent`, if it sends one: it names the library, or the browser.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// When its token ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_expires_at: Option<Timestamp>,
    /// The last event that it sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_event: Option<LastEvent>,
}

/// The last event that a client sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LastEvent {
    /// Its name.
    pub name: String,
    /// When it came, to about a second.
    pub at: Timestamp,
}

/// Answer of `DELETE /admin/connections/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Disconnected {
    /// The connection that is being ended.
    pub id: String,
}

/// Payload of [`crate::events::SESSION_ENDED`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SessionEnded {
    /// [`ErrorCode::TokenRevoked`], [`ErrorCode::Banned`] or [`ErrorCode::Disconnected`].
    pub code: ErrorCode,
    /// For people.
    pub message: String,
    /// When a ban ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}
