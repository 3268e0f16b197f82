//! Who is it: from a token to a [`Caller`], for sockets and HTTP alike.
//!
//! [`token`] knows JWTs, [`secret`] where their key comes from. What a caller may do is decided where it is done.

use std::time::Duration;

use shared::{Role, UserId};

use crate::rates::TooOften;
use crate::storage::{StoreError, UserStore};

pub mod secret;
mod token;

pub use token::Verifier;

/// How long it may take to find out whether the bearer of a token exists, waiting for a turn included.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// The bearer of a good token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// Who.
    pub user: UserId,
    /// Whether the token makes them an administrator.
    pub admin: bool,
}

/// Why a bearer is not let in. The texts never hold the token.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// There is no token.
    #[error("a token is missing; send it as `Authorization: Bearer <token>`")]
    Missing,
    /// There is none where the client connects from; the text says what is there instead.
    #[error("{0}")]
    NoToken(&'static str),
    /// The token is not accepted.
    #[error("the token is not accepted: {0}")]
    Invalid(&'static str),
    /// The token is good, but no user has its `userId`.
    #[error("the token's user does not exist")]
    UnknownUser,
    /// Too many tokens from the same address were not accepted, so this one was not looked at.
    #[error("too many tokens from this address were not accepted")]
    TooManyFailed(TooOften),
    /// It could not be found out whether the user exists.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AuthError {
    /// Whether a token was looked at and not accepted.
    pub fn is_failed_token(&self) -> bool {
        matches!(self, Self::Invalid(_) | Self::UnknownUser)
    }

    /// The reason, of which there are few.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Missing => "a token is missing",
            Self::NoToken(reason) | Self::Invalid(reason) => reason,
            Self::UnknownUser => "no user has the token's userId in this database, which the start names",
            Self::TooManyFailed(_) => "too many tokens from the address were not accepted (RATE_FAILED_TOKENS)",
            Self::Store(_) => "the database did not answer who this is",
        }
    }
}

/// Checks a token, and that its user exists.
pub async fn authenticate(
    verifier: &Verifier,
    store: &dyn UserStore,
    token: Option<&str>,
) -> Result<Caller, AuthError> {
    let caller = bearer_of(verifier, token)?;
    known(store, caller).await
}

/// Checks a token for HTTP, where an administrator need not be a user of the chat: an operator's tool has no chats.
pub async fn authenticate_http(
    verifier: &Verifier,
    store: &dyn UserStore,
    token: Option<&str>,
) -> Result<Caller, AuthError> {
    let caller = bearer_of(verifier, token)?;
    if caller.admin {
        return Ok(caller);
    }
    known(store, caller).await
}

fn bearer_of(verifier: &Verifier, token: Option<&str>) -> Result<Caller, AuthError> {
    let claims = verifier.verify(token.ok_or(AuthError::Missing)?)?;
    Ok(Caller {
        user: claims.user_id,
        admin: claims.role == Some(Role::Admin),
    })
}

async fn known(store: &dyn UserStore, caller: Caller) -> Result<Caller, AuthError> {
    match exists(store, caller.user).await? {
        true => Ok(caller),
        false => Err(AuthError::UnknownUser),
    }
}

/// Whether there is such a user, found out within [`LOOKUP_TIMEOUT`]: a store that hangs may take several times as long for
/// each of those who ask.
///
/// # Errors
/// [`StoreError::Unavailable`] at the latest then.
pub async fn exists(store: &dyn UserStore, user: UserId) -> Result<bool, StoreError> {
    match tokio::time::timeout(LOOKUP_TIMEOUT, store.user(user)).await {
        Ok(found) => Ok(found?.is_some()),
        Err(_) => {
            let text = format!("looking up who it is: no answer within {LOOKUP_TIMEOUT:?}");
            Err(StoreError::Unavailable(text))
        }
    }
}

/// The token of an `Authorization: Bearer …` header.
pub fn bearer(headers: &axum::http::HeaderMap) -> Option<&str> {
    let value = headers.get(axum::http::header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
