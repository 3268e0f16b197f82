//! What a client sees of what it did too often.

use shared::{ErrorCode, WireError};

use crate::config::Allowed;
use crate::rates::{Kind, TooOften};

/// An error after which the same can be tried again, after so many milliseconds.
fn after(code: ErrorCode, message: &str, retry_after_ms: u64) -> WireError {
    WireError {
        retry_after_ms: Some(retry_after_ms),
        ..WireError::new(code, message)
    }
}

/// What a client sees of something that was done too often; `what` says what, and by whom.
fn too_often(what: &str, too_often: &TooOften) -> WireError {
    let message = format!("{what}: {too_often}, are allowed; try again after retryAfterMs");
    after(ErrorCode::RateLimited, &message, too_often.retry_after_ms())
}

/// A user does something too often.
pub fn too_many_of_user(kind: Kind, refused: &TooOften) -> WireError {
    let what = match kind {
        Kind::Message => "messages of one user",
        Kind::Typing => "typing of one user",
        Kind::Event => "events of one user, beside messages, typing and pages",
        Kind::Read => "pages and requests of one user",
    };
    too_often(what, refused)
}

/// A user has sent as many bytes of messages as a quota allows.
pub fn quota_exceeded(refused: &TooOften) -> WireError {
    let Allowed { count, span, .. } = refused.allowed;
    let message = format!(
        "MESSAGE_QUOTA: {count} bytes of messages in {} seconds are allowed to one user; try again after retryAfterMs",
        span.as_secs()
    );
    after(ErrorCode::QuotaExceeded, &message, refused.retry_after_ms())
}

/// Too many requests come from one address.
pub fn too_many_of_address(refused: &TooOften) -> WireError {
    too_often("requests from one address", refused)
}

/// Too many tokens were made for the playground.
pub fn too_many_players(refused: &TooOften) -> WireError {
    too_often("tokens of the playground", refused)
}

/// Too many tokens of one address were not accepted.
pub fn too_many_failed_tokens(refused: &TooOften) -> WireError {
    too_often("tokens from one address that are not accepted", refused)
}

/// An address has all the connections that it may.
pub fn too_many_connections_of_address() -> WireError {
    after(
        ErrorCode::RateLimited,
        "this address has MAX_CONNECTIONS_PER_ADDRESS connections; end some, and try again",
        1_000,
    )
}
