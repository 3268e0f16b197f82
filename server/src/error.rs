//! Where failures become what clients see: the one place that chooses code and words, and that logs the cause.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use shared::error::ErrorBody;
use shared::{ErrorCode, WireError};

use crate::auth::AuthError;
use crate::chat::{NotStored, SubmitError, TooManyReads};
use crate::domain::InvalidCursor;
use crate::domain::{InvalidClientMessageId, InvalidText, InvalidUsername};
use crate::outage::Seldom;
use crate::storage::{AppendError, ChangesError, MarkError, Projection, StoreError};

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

/// A store's failure in a request of its own.
pub fn store_error(error: StoreError) -> WireError {
    match &error {
        // Every request meets this, for one reason.
        StoreError::Unavailable(_) => {
            if let Some(since_last_line) = UNAVAILABLE.due() {
                tracing::error!(%error, since_last_line, "requests failed; this is said once a minute");
            }
        }
        StoreError::Failed(_) | StoreError::ForeignIndex(_) | StoreError::Validator => {
            tracing::error!(%error, "a request failed")
        }
    }
    store_failure(&error)
}

/// Why a message was not stored. The committer has logged a store's failure, once for its batch.
pub fn not_stored(why: &NotStored) -> WireError {
    let error = match why {
        NotStored::SubmitError(why) => return refused(*why),
        NotStored::Failed(error) => error,
    };
    match error {
        AppendError::UnknownReceiver => WireError::new(ErrorCode::UserNotFound, "receiverId: no user has this id"),
        AppendError::Conflict => WireError::new(
            ErrorCode::IdempotencyConflict,
            "this clientMessageId was used before, for another receiver or another text; take a new one",
        ),
        AppendError::Store(error) => store_failure(error),
    }
}

/// Why nothing was marked. The queue of watermarks has logged a store's failure, once for its batch.
pub fn mark_error(error: &MarkError) -> WireError {
    match error {
        MarkError::UnknownMessage => WireError::new(
            ErrorCode::MessageNotFound,
            "upTo: the conversation with peerId has no message of this id",
        ),
        MarkError::Store(error) => store_failure(error),
    }
}

/// Why there is no page of what was missed.
pub fn changes_error(error: ChangesError) -> WireError {
    match error {
        ChangesError::Reset(why) => WireError::new(ErrorCode::SyncReset, format!("since: {why}; begin without it")),
        ChangesError::Store(error) => store_error(error),
    }
}

/// A text that is no cursor.
pub fn invalid_cursor(error: InvalidCursor) -> WireError {
    WireError::new(ErrorCode::SyncReset, format!("since: {error}; begin without it"))
}

/// The inboxes are not complete yet.
pub fn inbox_building(projection: Projection) -> WireError {
    let Projection { done, total, .. } = projection;
    later(
        ErrorCode::InboxBuilding,
        &format!("the list of conversations is being built: {done} of {total} messages are done; try again"),
        1_000,
    )
}

/// Said more often than is allowed.
pub fn rate_limited(limit: &str, retry_after_ms: u64) -> WireError {
    later(ErrorCode::RateLimited, limit, retry_after_ms)
}

/// Something of ours that has no JSON form.
pub fn not_serialised(cause: &serde_json::Error) -> WireError {
    tracing::error!(%cause, "an answer could not be serialised");
    failed()
}

/// Why the chat did not take a message.
pub fn refused(refused: SubmitError) -> WireError {
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

/// Something in the server failed that has been logged.
pub fn failed() -> WireError {
    WireError::new(ErrorCode::Internal, "the server failed; its log says more")
}

/// The server stops and can't wait any longer to know what became of a request.
pub fn cut_off() -> WireError {
    later(
        ErrorCode::StoreUnavailable,
        "the server stops before the database has answered; connect again",
        1_000,
    )
}

/// Too many requests of everybody wait for their turn to read.
pub fn too_many_reads(_: TooManyReads) -> WireError {
    later(
        ErrorCode::Overloaded,
        "too many requests wait to be read; try again",
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

/// Why a text is no message.
pub fn invalid_text(error: InvalidText) -> WireError {
    let code = match error {
        InvalidText::Empty => ErrorCode::MessageEmpty,
        InvalidText::TooLong { .. } => ErrorCode::MessageTooLong,
    };
    WireError::new(code, error.to_string())
}

/// Why a `clientMessageId` is none.
pub fn invalid_client_message_id(error: InvalidClientMessageId) -> WireError {
    WireError::new(ErrorCode::InvalidRequest, error.to_string())
}

/// Why a name can't be given.
pub fn invalid_username(name: &str, error: InvalidUsername) -> WireError {
    WireError::new(ErrorCode::InvalidRequest, format!("{:?}: {error}", short(name)))
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
    WireError::new(
        ErrorCode::InvalidId,
        format!("{name}: {:?} is no id; an id is 24 hexadecimal digits", short(text)),
    )
}

/// As much of a client's text as an error repeats: nobody needs more of a long one.
pub fn short(text: &str) -> String {
    text.chars().take(64).collect()
}

/// Why a bearer is not let in.
pub fn denied(denied: AuthError) -> WireError {
    match denied {
        AuthError::Store(error) => store_error(error),
        reason => WireError::new(ErrorCode::Unauthorized, reason.to_string()),
    }
}

/// A wire error on its way out of an HTTP handler.
#[derive(Debug)]
pub struct HttpError(pub WireError);

impl From<WireError> for HttpError {
    fn from(error: WireError) -> Self {
        Self(error)
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let Self(error) = self;
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
