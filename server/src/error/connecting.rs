//! Why a client may not connect: the `data` of its `connect_error`.

use shared::{ErrorCode, WireError};

use super::{banned, later, not_known_yet, store_failure, too_many_failed_tokens};
use crate::auth::AuthError;
use crate::delivery::TooManyConnections;

/// Why a bearer may not connect: the same reason as over HTTP, with a code of its own for each thing that a client can do about
/// it. What the log needs is said where connections are refused.
pub fn may_not_connect(denied: &AuthError) -> WireError {
    let code = match denied {
        AuthError::Store(failure) => return store_failure(failure),
        AuthError::TooManyFailed(refused) => return too_many_failed_tokens(refused),
        AuthError::Missing | AuthError::NoToken(_) | AuthError::Invalid(_) => ErrorCode::TokenInvalid,
        AuthError::Expired => ErrorCode::TokenExpired,
        AuthError::UnknownUser => ErrorCode::UserUnknown,
        AuthError::Revoked => ErrorCode::TokenRevoked,
        AuthError::Banned(ban) => return banned(ban),
        AuthError::NotKnownYet(_) => return not_known_yet(denied),
    };
    WireError::new(code, denied.to_string())
}

/// A user has as many connections as are allowed.
impl From<TooManyConnections> for WireError {
    fn from(TooManyConnections: TooManyConnections) -> Self {
        later(
            ErrorCode::TooManyConnections,
            "the user has MAX_CONNECTIONS_PER_USER connections; end one, and connect again",
            1_000,
        )
    }
}

/// A client asks for another namespace than the one there is.
pub fn invalid_namespace() -> WireError {
    WireError::new(
        ErrorCode::InvalidNamespace,
        "there is no such namespace; the only one is `/`",
    )
}
