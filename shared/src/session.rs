//! The token of a connection: when it ends, and how a new one takes its place.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Payload of [`crate::events::TOKEN_EXPIRING`] and [`crate::events::TOKEN_EXPIRED`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TokenEnd {
    /// When the connection's token ends, or ended.
    pub expires_at: Timestamp,
}

/// Payload of [`crate::events::REFRESH_TOKEN`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RefreshToken {
    /// A token of the same user.
    pub token: String,
}

impl fmt::Debug for RefreshToken {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshToken").finish_non_exhaustive()
    }
}

/// The answer to [`crate::events::REFRESH_TOKEN`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Refreshed {
    /// When the connection's token ends now; missing if it never does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}
