//! What a token claims, once its signature is known to be good: who the bearer is, and for how long.

use serde_json::{Map, Value};
use shared::{ExternalId, UserId};

use super::AuthError;

/// The last second of the year 9999, in which every calendar ends. Since 1978 the milliseconds of any date are more.
const LAST_SECOND: i64 = 253_402_300_799;

/// What a good token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Who the bearer is. Whether there is such a user is another question.
    pub user: ClaimedUser,
    /// Whether it makes the bearer an administrator.
    pub admin: bool,
    /// When it was made (`iat`), in seconds since 1970.
    pub issued_at: Option<i64>,
    /// The second in which it ends (`exp`), likewise.
    pub expires_at: Option<i64>,
    /// What it says of the person.
    pub profile: Profile,
}

/// How a token names its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimedUser {
    /// By the id in this chat.
    Id(UserId),
    /// By the id in another system.
    External(ExternalId),
}

/// What a token says of the person, as it stands there: nothing has been checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// The claim `name`, if it is a text.
    pub name: Option<String>,
    /// The claim `picture`, likewise.
    pub picture: Option<String>,
}

impl Verified {
    /// Reads the claims of a token, and whether they hold at this second.
    pub(super) fn read(claims: &Map<String, Value>, external: bool, now: i64) -> Result<Self, AuthError> {
        const SHAPE: AuthError = AuthError::Invalid(
            "it needs the claims userId (24 hexadecimal digits) and exp (seconds); nbf and iat are seconds, too",
        );
        const EXTERNAL_SHAPE: AuthError = AuthError::Invalid(
            "it needs the claims userId (a text of 1 to 128 characters) and exp (seconds); nbf and iat are seconds, too",
        );
        let user = text(claims, "userId");
        let user = match external {
            false => ClaimedUser::Id(user.and_then(|id| id.parse().ok()).ok_or(SHAPE)?),
            true => ClaimedUser::External(user.and_then(|id| id.parse().ok()).ok_or(EXTERNAL_SHAPE)?),
        };
        let exp = seconds(claims, "exp")
            .and_then(|exp| exp.ok_or(()))
            .map_err(|()| SHAPE)?;
        let nbf = seconds(claims, "nbf").map_err(|()| SHAPE)?;
        let iat = seconds(claims, "iat").map_err(|()| SHAPE)?;
        check_times(exp, nbf, iat, now)?;
        Ok(Self {
            user,
            admin: text(claims, "role") == Some("admin"),
            issued_at: iat,
            expires_at: Some(exp),
            profile: Profile {
                name: text(claims, "name").map(str::to_owned),
                picture: text(claims, "picture").map(str::to_owned),
            },
        })
    }
}

fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    claims.get(name)?.as_str()
}

/// A date that may be missing, but not be anything else. RFC 7519 allows decimals in it; they are cut off.
fn seconds(claims: &Map<String, Value>, name: &str) -> Result<Option<i64>, ()> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => value.as_f64().map(|seconds| Some(seconds as i64)).ok_or(()),
    }
}

/// RFC 7519, 4.1. Without tolerance: the clocks of issuer and server are the same or synchronised.
fn check_times(exp: i64, nbf: Option<i64>, iat: Option<i64>, now: i64) -> Result<(), AuthError> {
    let too_late = |seconds: Option<i64>| seconds.is_some_and(|seconds| seconds > LAST_SECOND);
    if too_late(Some(exp)) {
        return Err(AuthError::Invalid(
            "its exp lies beyond the year 9999; it counts seconds, not milliseconds",
        ));
    }
    if too_late(nbf) {
        return Err(AuthError::Invalid(
            "its nbf lies beyond the year 9999; it counts seconds, not milliseconds",
        ));
    }
    if too_late(iat) {
        return Err(AuthError::Invalid(
            "its iat lies beyond the year 9999; it counts seconds, not milliseconds",
        ));
    }
    if exp <= now {
        return Err(AuthError::Expired);
    }
    if nbf.is_some_and(|nbf| nbf > now) {
        return Err(AuthError::Invalid("it is not valid yet"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_ends_in_the_second_that_it_names() {
        let why = |exp, nbf, now| check_times(exp, nbf, None, now).map_err(|error| error.kind());
        assert_eq!(why(101, None, 100), Ok(()));
        assert_eq!(why(100, None, 100), Err("it has expired"));
        assert_eq!(why(101, Some(100), 100), Ok(()));
        assert_eq!(why(102, Some(101), 100), Err("it is not valid yet"));
        assert_eq!(why(LAST_SECOND, Some(1), 100), Ok(()));
    }
}
