//! Who is it: from a token to a [`Caller`], for sockets and HTTP alike.
//!
//! [`token`] checks tokens, [`key_store`], [`keys`] and [`secret`] know where the keys come from; [`bearers`] and [`user_ids`] whom tokens
//! name. What a caller may do is decided where it is done.

use std::time::Duration;

use shared::UserId;

use crate::clock;
use crate::domain::{Access, Ban, ShutOut};
use crate::rates::TooOften;
use crate::storage::{AccessStore, Store, StoreError};

mod bearers;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod key_store;
pub mod keys;
pub mod secret;
mod token;
mod user_ids;

pub use jwt::{ClaimedUser, Profile, Refusal, Verified};
pub use key_store::KeyStore;
pub use token::Verifier;
pub use user_ids::{Named, UserIds};

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
    /// Nobody can say yet whether the token is good.
    #[error("{0} yet; try again")]
    NotKnownYet(Refusal),
    /// The token is good, but no user has its `userId`.
    #[error("the token's user does not exist")]
    UnknownUser,
    /// The token was made before its user's tokens were revoked.
    #[error("the token was made before the tokens of its user were revoked, or does not say when")]
    Revoked,
    /// The token's user is banned.
    #[error("the token's user is banned")]
    Banned(Ban),
    /// Too many tokens from the same address were not accepted, so this one was not looked at.
    #[error("too many tokens from this address were not accepted")]
    TooManyFailed(TooOften),
    /// It could not be found out whether the user exists.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AuthError {
    /// Whether a token was looked at and not accepted, for more than that it has ended: that one was good, and many can have one.
    pub fn is_failed_token(&self) -> bool {
        matches!(
            self,
            Self::Invalid(_) | Self::UnknownUser | Self::Revoked | Self::Banned(_)
        )
    }

    /// The reason, of which there are few.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Missing => "a token is missing",
            Self::NoToken(reason) => reason,
            Self::Invalid(refusal) => refusal.why(),
            Self::NotKnownYet(refusal) => refusal.why(),
            Self::Expired => Refusal::Expired.why(),
            Self::UnknownUser => "no user has the token's userId in this database, which the start names",
            Self::Revoked => "the token was made before the tokens of its user were revoked, or has no iat",
            Self::Banned(_) => "the user is banned",
            Self::TooManyFailed(_) => "too many tokens from the address were not accepted (RATE_FAILED_TOKENS)",
            Self::Store(_) => "the database did not answer who this is",
        }
    }
}

/// Checks a token, and that its user exists or may be created; and stores what the token shows of a user who may.
pub async fn authenticate(verifier: &Verifier, store: &dyn Store, token: Option<&str>) -> Result<Caller, AuthError> {
    let verified = verifier.verify(token.ok_or(AuthError::Missing)?).await?;
    let caller = bearers::admit(verifier.user_ids(), verifier.provisions(), store, &verified).await?;
    if verifier.provisions() {
        bearers::update(store, caller.user, &verified.profile).await;
    }
    Ok(caller)
}

/// Checks a token for HTTP, where an administrator need not be a user of the chat: an operator's tool has no chats.
pub async fn authenticate_http(
    verifier: &Verifier,
    store: &dyn Store,
    token: Option<&str>,
) -> Result<Caller, AuthError> {
    let verified = verifier.verify(token.ok_or(AuthError::Missing)?).await?;
    let ids = verifier.user_ids();
    if !verified.admin {
        return bearers::admit(ids, verifier.provisions(), store, &verified).await;
    }
    match bearers::find(ids, store, &verified).await {
        Err(AuthError::UnknownUser) => Ok(bearers::caller(
            match verified.user {
                ClaimedUser::Id(user) => user,
                ClaimedUser::External(_) => ids.nobody(),
            },
            &verified,
        )),
        found => found,
    }
}

async fn known(store: &dyn Store, caller: Caller) -> Result<Caller, AuthError> {
    let access = access(store, caller.user).await?.ok_or(AuthError::UnknownUser)?;
    match access.refusal(caller.issued_at, clock::now()) {
        None => Ok(caller),
        Some(ShutOut::Revoked) => Err(AuthError::Revoked),
        Some(ShutOut::Banned(ban)) => Err(AuthError::Banned(ban)),
    }
}

/// Whether there is such a user.
///
/// # Errors
/// [`StoreError::Unavailable`] within [`LOOKUP_TIMEOUT`].
pub async fn exists(store: &dyn AccessStore, user: UserId) -> Result<bool, StoreError> {
    Ok(access(store, user).await?.is_some())
}

/// How it stands with a user, found out within [`LOOKUP_TIMEOUT`]: a store that hangs may take several times as long for each of
/// those who ask.
async fn access(store: &dyn AccessStore, user: UserId) -> Result<Option<Access>, StoreError> {
    match tokio::time::timeout(LOOKUP_TIMEOUT, store.access(user)).await {
        Ok(found) => found,
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
