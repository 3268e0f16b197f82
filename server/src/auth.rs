//! Who is it: from a token to a [`Caller`], for sockets and HTTP alike.
//!
//! [`token`] checks tokens, [`keys`] and [`secret`] know where the keys come from. What a caller may do is decided where it is done.

use std::time::Duration;

use shared::UserId;

use crate::storage::{StoreError, UserStore};

pub mod keys;
pub mod secret;
mod token;

pub use jwt::{ClaimedUser, Profile, Refusal, Verified};
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
    /// When the token was made, in seconds since 1970, if it says so.
    pub issued_at: Option<i64>,
    /// The second in which it ends, likewise.
    pub expires_at: Option<i64>,
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
    Invalid(Refusal),
    /// The token was good once.
    #[error("the token is not accepted: {}", Refusal::Expired)]
    Expired,
    /// The token is good, but no user has its `userId`.
    #[error("the token's user does not exist")]
    UnknownUser,
    /// It could not be found out whether the user exists.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AuthError {
    /// The reason, of which there are few.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Missing => "a token is missing",
            Self::NoToken(reason) => reason,
            Self::Invalid(refusal) => refusal.why(),
            Self::Expired => Refusal::Expired.why(),
            Self::UnknownUser => "no user has the token's userId in this database, which the start names",
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
    let caller = bearer_of(verifier, token).await?;
    known(store, caller).await
}

/// Checks a token for HTTP, where an administrator need not be a user of the chat: an operator's tool has no chats.
pub async fn authenticate_http(
    verifier: &Verifier,
    store: &dyn UserStore,
    token: Option<&str>,
) -> Result<Caller, AuthError> {
    let caller = bearer_of(verifier, token).await?;
    if caller.admin {
        return Ok(caller);
    }
    known(store, caller).await
}

async fn bearer_of(verifier: &Verifier, token: Option<&str>) -> Result<Caller, AuthError> {
    let verified = verifier.verify(token.ok_or(AuthError::Missing)?).await?;
    let ClaimedUser::Id(user) = verified.user else {
        return Err(AuthError::UnknownUser);
    };
    Ok(Caller {
        user,
        admin: verified.admin,
        issued_at: verified.issued_at,
        expires_at: verified.expires_at,
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
