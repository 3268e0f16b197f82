//! Errors on the wire: each code once, for sockets, HTTP and the command line.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $status:literal;)*) => {
        /// What went wrong, for machines.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub enum ErrorCode {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The code as it stands on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// The HTTP status it goes with.
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status),* }
            }
        }
    };
}

codes! {
    /// A payload, body or parameter of the wrong shape; the message names what was wrong and what is allowed.
    InvalidRequest = "invalid_request", 400;
    /// A body that is not JSON.
    InvalidJson = "invalid_json", 400;
    /// An id that is not 24 hexadecimal digits.
    InvalidId = "invalid_id", 400;
    /// A message without text.
    MessageEmpty = "message_empty", 400;
    /// A message longer than the server allows.
    MessageTooLong = "message_too_long", 400;
    /// An event that this server does not know.
    UnknownEvent = "unknown_event", 400;
    /// No token, or one that is not accepted.
    Unauthorized = "unauthorized", 401;
    /// The token was made before its user's tokens were revoked.
    TokenRevoked = "token_revoked", 401;
    /// An administrator has banned the user, `until` a time if there is one.
    Banned = "banned", 403;
    /// An administrator has ended this connection.
    Disconnected = "disconnected", 403;
    /// Connecting: the token is missing or not accepted.
    TokenInvalid = "token_invalid", 401;
    /// Connecting: the token has ended.
    TokenExpired = "token_expired", 401;
    /// Connecting: the token is good, and no user is the one that it names.
    UserUnknown = "user_unknown", 401;
    /// Connecting: the user has as many connections as are allowed; try again after `retryAfterMs`.
    TooManyConnections = "too_many_connections", 429;
    /// Connecting: there is no namespace of this name.
    InvalidNamespace = "invalid_namespace", 404;
    /// The token is good, but not for this.
    Forbidden = "forbidden", 403;
    /// No such route.
    NotFound = "not_found", 404;
    /// No such user.
    UserNotFound = "user_not_found", 404;
    /// No such message in this conversation.
    MessageNotFound = "message_not_found", 404;
    /// The route exists, but not with this method.
    MethodNotAllowed = "method_not_allowed", 405;
    /// The `clientMessageId` was used before for another receiver or text.
    IdempotencyConflict = "idempotency_conflict", 409;
    /// The cursor is not one of this database, or from a state that it no longer has: begin without one.
    SyncReset = "sync_reset", 410;
    /// A body or event larger than the server reads.
    PayloadTooLarge = "payload_too_large", 413;
    /// The body is not declared as `application/json`.
    UnsupportedMediaType = "unsupported_media_type", 415;
    /// The header `Expect` asks for what the server can't do.
    ExpectationFailed = "expectation_failed", 417;
    /// More often than allowed; try again after `retryAfterMs`.
    RateLimited = "rate_limited", 429;
    /// The user has sent as many bytes of messages as the server's quota allows; try again after `retryAfterMs`.
    QuotaExceeded = "quota_exceeded", 429;
    /// The inbox of an old database is still being built; try again after `retryAfterMs`.
    InboxBuilding = "inbox_building", 503;
    /// One of the limits on work in progress is reached; try again after `retryAfterMs`.
    Overloaded = "overloaded", 503;
    /// The database can't be reached or refuses writes; try again after `retryAfterMs`.
    StoreUnavailable = "store_unavailable", 503;
    /// The server is stopping; connect again.
    ShuttingDown = "shutting_down", 503;
    /// A fault of the server; its log says more.
    Internal = "internal", 500;
    /// The body is encoded in a way that the server does not know.
    NotImplemented = "not_implemented", 501;
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error as clients see it: the body of every HTTP error is `{"error": …}`, and so is a socket's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[error("{message} ({code})")]
pub struct WireError {
    /// For machines.
    pub code: ErrorCode,
    /// For people: what was wrong and what is allowed.
    pub message: String,
    /// How long to wait, in milliseconds, before trying the same again; absent if that can't help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// When a ban ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl WireError {
    /// An error that trying again won't mend.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            retry_after_ms: None,
            until: None,
        }
    }
}

/// Body of an HTTP error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ErrorBody {
    /// The error.
    pub error: WireError,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_names_are_the_serialized_ones() {
        for code in ErrorCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }
}
