//! What a server says of itself to an administrator who looks for what is wrong: the answer of `GET /admin/doctor`. It holds no secret.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Answer of `GET /admin/doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Diagnosis {
    /// The process that answers.
    pub node: String,
    /// Its version.
    pub version: String,
    /// What its clock says.
    pub now: Timestamp,
    /// Whether it is being stopped.
    pub stopping: bool,
    /// Whether its store takes writes.
    pub store_reachable: bool,
    /// How its store stands; absent if it can't be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreFacts>,
    /// Why it can't.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_error: Option<String>,
    /// How far the inboxes are built.
    pub inbox: InboxFacts,
    /// How many files and connections the process may have open.
    pub files: FileFacts,
    /// Connections that it takes at most.
    pub max_connections: u32,
    /// Log lines that were lost, because whoever reads the log does not keep up.
    pub lost_log_lines: u64,
    /// Settings that are for development or a migration, and are on: each as NAME=value.
    pub risky_settings: Vec<String>,
    /// Where tokens come from.
    pub tokens: TokenFacts,
}

/// How a store stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct StoreFacts {
    /// `embedded` or `mongodb`.
    pub engine: String,
    /// When a write counts as done.
    pub durability: String,
    /// Indexes that should be there, and are not.
    pub missing_indexes: Vec<String>,
    /// Messages that are stored and not yet in feeds and inboxes, where the store counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backlog: Option<u64>,
    /// How long ago that was, in milliseconds, up to which all was read that other processes wrote; 0 where nobody else writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind_ms: Option<u64>,
    /// Members of the replica set that keep data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<u32>,
}

/// How far the inboxes are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InboxFacts {
    /// They are complete.
    pub ready: bool,
    /// They are being built, for the first time or anew.
    pub building: bool,
    /// How many messages have been gone through.
    pub done: u64,
    /// How many there are.
    pub total: u64,
}

/// How many files and connections a process may have open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FileFacts {
    /// So many now; absent where the system does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<u64>,
    /// So many at most.
    pub limit: u64,
}

/// Where the tokens come from that a server takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TokenFacts {
    /// Secrets and public keys of the settings.
    pub own_keys: u32,
    /// Where the key set of the provider is, without a name and a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Keys of the provider that are known; absent as long as none could be fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_keys: Option<u32>,
    /// Whether tokens must say when they end.
    pub must_end: bool,
}
