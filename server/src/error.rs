//! Where failures become what clients see: the one place that chooses code and words, and that logs the cause.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use shared::error::ErrorBody;
use shared::{ErrorCode, WireError};

use crate::auth::AuthError;
use crate::chat::{self, NotStored, SubmitError};
use crate::domain::InvalidText;
use crate::metrics::METRICS;
use crate::outage::Seldom;
use crate::storage::{AppendError, MarkError, Projection, StoreError};

use shut_out::banned;

mod connecting;
mod rates;
mod shut_out;

pub use connecting::{invalid_namespace, may_not_connect};
pub use rates::{
    quota_exceeded, too_many_connections_of_address, too_many_failed_tokens, too_many_of_address, too_many_of_user,
    too_many_players,
};
pub use shut_out::ended;

/// An error that can help itself: try again after so many milliseconds.
fn later(code: ErrorCode, message: &str, retry_after_ms: u64) -> WireError {
    WireError {
        retry_after_ms: Some(retry_after_ms),
        ..WireError::new(code, message)
    }
}

/// Requests that met a store that is away.
static UNAVAILABLE: Seldom = Seldom::new();

/// The wire form of a store's failure, without a log line: for many requests that failed for one reason.
fn store_failure(error: &StoreError) -> WireError {
    match error {
        StoreError::Unavailable(_) => later(
            ErrorCode::StoreUnavailable,
            "the database can't be reached or refuses work; try again",
            1_000,
        ),
        StoreError::Failed(_) => failed(),
        StoreError::ForeignIndex(name) => WireError::new(
            ErrorCode::Internal,
            format!(
                "the unique index {name} of the database, which is not this server's, keeps it out; drop it, or make it partial"
            ),
        ),
        StoreError::Validator => WireError::new(
            ErrorCode::Internal,
            "a validator of the database, which is not this server's, keeps it out; have it allow the fields that the start names, or \
             remove it",
        ),
    }
}

/// What a client sees of a use-case that failed. A failure of the store in this request is logged here; the queues have logged
/// theirs, once for each batch.
impl From<chat::Error> for WireError {
    fn from(error: chat::Error) -> Self {
        use chat::Error;
        let worded = |code, error: &Error| WireError::new(code, error.to_string());
        match error {
            Error::Invalid(_) | Error::ClientMessageId(_) => worded(ErrorCode::InvalidRequest, &error),
            Error::Text(InvalidText::Empty) => worded(ErrorCode::MessageEmpty, &error),
            Error::Text(InvalidText::TooLong { .. }) => worded(ErrorCode::MessageTooLong, &error),
            Error::Username { name, cause } => invalid_request(format!("{:?}: {cause}", short(&name))),
            Error::Cursor(_) | Error::SyncReset(_) => {
                WireError::new(ErrorCode::SyncReset, format!("since: {error}; begin without it"))
            }
            Error::Forbidden(_) => worded(ErrorCode::Forbidden, &error),
            Error::UnknownUser(_) | Error::UnknownCaller => worded(ErrorCode::UserNotFound, &error),
            Error::UnknownMessage { .. } => worded(ErrorCode::MessageNotFound, &error),
            Error::Refused(refused) => refused.into(),
            Error::TooManyReads => later(
                ErrorCode::Overloaded,
                "too many requests wait to be read; try again",
                1_000,
            ),
            Error::InboxBuilding(Projection { done, total, .. }) => later(
                ErrorCode::InboxBuilding,
                &format!("the list of conversations is being built: {done} of {total} messages are done; try again"),
                1_000,
            ),
            Error::NotStored(NotStored::Refused(refused)) => refused.into(),
            Error::NotStored(NotStored::Failed(failure)) => not_stored(&failure),
            Error::NotMarked(MarkError::UnknownMessage) => WireError::new(
                ErrorCode::MessageNotFound,
                "upTo: the conversation with peerId has no message of this id",
            ),
            Error::NotMarked(MarkError::Store(failure)) => store_failure(&failure),
            Error::Denied(AuthError::Store(failure)) | Error::Store(failure) => failed_request(&failure),
            Error::Denied(denied) => may_not_connect(&denied),
            Error::NotSerialised(error) => {
                tracing::error!(%error, "request: an answer could not be serialised");
                failed()
            }
        }
    }
}

/// Why a bearer is not let in.
impl From<AuthError> for WireError {
    fn from(denied: AuthError) -> Self {
        match denied {
            AuthError::Store(failure) => failed_request(&failure),
            AuthError::Banned(ban) => banned(&ban),
            AuthError::TooManyFailed(refused) => too_many_failed_tokens(&refused),
            AuthError::NotKnownYet(_) => not_known_yet(&denied),
            reason => WireError::new(ErrorCode::Unauthorized, reason.to_string()),
        }
    }
}

/// Nobody can say whether a token is good.
fn not_known_yet(denied: &AuthError) -> WireError {
    later(ErrorCode::StoreUnavailable, &denied.to_string(), 1_000)
}

/// Why a request was not taken.
impl From<SubmitError> for WireError {
    fn from(refused: SubmitError) -> Self {
        match refused {
            SubmitError::QueueFull => later(
                ErrorCode::Overloaded,
                "too many messages or marks wait to be stored; try again",
                250,
            ),
            SubmitError::ReceiverFull => later(
                ErrorCode::Overloaded,
                "the receiver, or a connection of yours, does not read as fast as you send; try again",
                1_000,
            ),
            SubmitError::Stopping => later(ErrorCode::ShuttingDown, "the server is stopping; connect again", 1_000),
            SubmitError::Broken => failed(),
        }
    }
}

/// Why a message that was taken is not stored.
fn not_stored(error: &AppendError) -> WireError {
    match error {
        AppendError::UnknownReceiver => WireError::new(ErrorCode::UserNotFound, "receiverId: no user has this id"),
        AppendError::Conflict => WireError::new(
            ErrorCode::IdempotencyConflict,
            "this clientMessageId was used before, for another receiver or another text; take a new one",
        ),
        AppendError::Store(error) => store_failure(error),
    }
}

/// A store's failure in a request of its own.
fn failed_request(error: &StoreError) -> WireError {
    match error {
        // Every request meets this, for one reason.
        StoreError::Unavailable(_) => {
            if let Some(since_last_line) = UNAVAILABLE.due() {
                tracing::error!(%error, since_last_line, "request: the store is away; this is said once a minute");
            }
        }
        StoreError::Failed(_) | StoreError::ForeignIndex(_) | StoreError::Validator => {
            tracing::error!(%error, "request: the store failed")
        }
    }
    store_failure(error)
}

/// Something in the server failed that has been logged.
pub fn failed() -> WireError {
    WireError::new(ErrorCode::Internal, "the server failed; its log says more")
}

/// The server stops and can't wait any longer for the outcome of a request.
pub fn cut_off() -> WireError {
    later(
        ErrorCode::StoreUnavailable,
        "the server stops before the database has answered; connect again",
        1_000,
    )
}

/// Too many requests of one connection wait for their answer.
pub fn too_many_unanswered(limit: u32) -> WireError {
    later(
        ErrorCode::Overloaded,
        &format!("{limit} requests of this connection wait for their answer; wait for some before sending more"),
        250,
    )
}

/// Too many requests wait for their turn, of this connection, of its user or of all.
pub fn too_much_waits() -> WireError {
    later(
        ErrorCode::Overloaded,
        "too many requests wait for their turn; wait for some answers, and read them, before sending more",
        250,
    )
}

/// Too many sessions wait to say who they are.
pub fn too_many_sessions() -> WireError {
    later(
        ErrorCode::Overloaded,
        "too many sessions are open that have not authenticated; try again",
        1_000,
    )
}

/// Too much waits to be read, of this connection or of all.
pub fn too_much_unread() -> WireError {
    later(
        ErrorCode::Overloaded,
        "too much waits to be read by clients; read what was asked for, and try again",
        1_000,
    )
}

/// All places are taken; this connection has one that is kept for probes.
pub fn no_place() -> WireError {
    later(ErrorCode::Overloaded, "MAX_CONNECTIONS are open; try again", 1_000)
}

/// Too many bytes of one connection's requests wait for their answer.
pub fn too_much_unanswered(limit: usize) -> WireError {
    later(
        ErrorCode::Overloaded,
        &format!(
            "{limit} bytes of this connection's requests wait for their answer; wait for some before sending more"
        ),
        250,
    )
}

/// A request of the wrong shape.
pub fn invalid_request(message: impl Into<String>) -> WireError {
    WireError::new(ErrorCode::InvalidRequest, message)
}

/// What to say where the JSON library could not read an escape. The digits of one are right, so what is missing is its other half.
pub fn half_character(cause: &str) -> Option<&'static str> {
    cause
        .contains("hex escape")
        .then_some("half a character: an escape such as \\ud83d needs its other half; send well-formed Unicode")
}

/// A text that should be an id; `name` says where it stood.
pub fn invalid_id(name: &str, text: &str) -> WireError {
    no_id(name, text, "an id is 24 hexadecimal digits")
}

/// A text that should be the id of a user, which can be one of another system where they `are_external`.
pub fn invalid_user_id(name: &str, text: &str, are_external: bool) -> WireError {
    match are_external {
        true => no_id(name, text, "an id has 1 to 128 characters, and no control characters"),
        false => invalid_id(name, text),
    }
}

fn no_id(name: &str, text: &str, what: &str) -> WireError {
    WireError::new(
        ErrorCode::InvalidId,
        format!("{name}: {:?} is no id; {what}", short(text)),
    )
}

/// As much of a client's text as an error repeats: more of a long one helps no client.
pub fn short(text: &str) -> String {
    text.chars().take(64).collect()
}

/// As much of a decoder's words as an error repeats: their beginning and their end, which say what was found and what is expected.
/// Between them can stand a name or a text of the client, however long.
pub fn shortened(words: &str) -> String {
    const HALF: usize = 128;
    let letters = words.chars().count();
    if letters <= 2 * HALF {
        return words.to_owned();
    }
    let beginning: String = words.chars().take(HALF).collect();
    let end: String = words.chars().skip(letters - HALF).collect();
    format!("{beginning} … {end}")
}

/// A wire error on its way out of an HTTP handler.
#[derive(Debug)]
pub struct HttpError(pub WireError);

impl<E: Into<WireError>> From<E> for HttpError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let Self(error) = self;
        METRICS.requests_refused.count(error.code);
        let status = StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = error.retry_after_ms.map(|ms| HeaderValue::from(ms.div_ceil(1_000)));
        let mut response = (status, Json(ErrorBody { error })).into_response();
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        if status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
