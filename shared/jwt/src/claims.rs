//! What a token says, once its signature is known to be good: who the bearer is, and for how long.

use serde_json::{Map, Value};
use shared::{ExternalId, UserId};

use crate::claim_path::ClaimPath;
use crate::refusal::Refusal;
use crate::settings::{AdminClaim, Settings};

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
    /// The second in which it ends (`exp` and the leeway), likewise.
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

/// What a token has to say to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Who may have made it; empty for anybody.
    pub issuers: Vec<String>,
    /// For whom it may be made; empty for anybody.
    pub audiences: Vec<String>,
    /// How many seconds the clocks may be apart.
    pub leeway: i64,
    /// Where it names the user.
    pub user: ClaimPath,
    /// Whether it names the user by the id in another system.
    pub external_users: bool,
    /// Where it says that the bearer is an administrator, and with which value.
    pub admin: AdminClaim,
    /// Whether a list that has the value says so, too: not where the setting is not set, as tokens of other programs with lists of
    /// roles never made administrators.
    pub admin_in_list: bool,
    /// Whether it has to end.
    pub needs_expiry: bool,
}

impl Default for Rules {
    /// Those of the settings that nobody has set.
    fn default() -> Self {
        Self {
            issuers: Vec::new(),
            audiences: Vec::new(),
            leeway: 0,
            user: ClaimPath::new("userId"),
            external_users: false,
            admin: AdminClaim::default(),
            admin_in_list: false,
            needs_expiry: true,
        }
    }
}

impl Rules {
    /// Those of the settings.
    pub fn new(settings: &Settings) -> Self {
        Self {
            issuers: settings
                .jwt_issuer
                .as_ref()
                .map(|list| list.0.clone())
                .unwrap_or_default(),
            audiences: settings
                .jwt_audience
                .as_ref()
                .map(|list| list.0.clone())
                .unwrap_or_default(),
            leeway: i64::from(settings.jwt_leeway),
            user: settings.jwt_user_claim.clone(),
            external_users: false,
            admin: settings.jwt_admin.clone().unwrap_or_default(),
            admin_in_list: settings.jwt_admin.is_some(),
            needs_expiry: settings.jwt_require_exp,
        }
    }

    /// Reads the claims of a token, and whether they hold at this second.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn read(&self, claims: &Map<String, Value>, now: i64) -> Result<Verified, Refusal> {
        let user = self.user.find(claims).and_then(Value::as_str);
        let user = match self.external_users {
            false => ClaimedUser::Id(user.and_then(|id| id.parse().ok()).ok_or(Refusal::User)?),
            true => ClaimedUser::External(user.and_then(|id| id.parse().ok()).ok_or(Refusal::ExternalUser)?),
        };
        let exp = seconds(claims, "exp")?;
        if exp.is_none() && self.needs_expiry {
            return Err(Refusal::Expiry);
        }
        let (nbf, iat) = (seconds(claims, "nbf")?, seconds(claims, "iat")?);
        let expires_at = exp.map(|exp| exp.saturating_add(self.leeway));
        self.check_times(exp, nbf, iat, now)?;
        if !self.issuers.is_empty() && !is_one_of(claims.get("iss"), &self.issuers) {
            return Err(Refusal::Issuer);
        }
        if !self.audiences.is_empty() && !has_one_of(claims.get("aud"), &self.audiences) {
            return Err(Refusal::Audience);
        }
        Ok(Verified {
            user,
            admin: self.is_admin(claims),
            issued_at: iat,
            expires_at,
            profile: Profile {
                name: text(claims, "name"),
                picture: text(claims, "picture"),
            },
        })
    }

    /// RFC 7519, 4.1. Without leeway the clocks of issuer and server are the same or synchronised.
    fn check_times(&self, exp: Option<i64>, nbf: Option<i64>, iat: Option<i64>, now: i64) -> Result<(), Refusal> {
        let too_late = |seconds: Option<i64>| seconds.is_some_and(|seconds| seconds > LAST_SECOND);
        let dates = [
            (exp, Refusal::ExpiryTooLate),
            (nbf, Refusal::BeginTooLate),
            (iat, Refusal::IssueTooLate),
        ];
        if let Some((_, refusal)) = dates.into_iter().find(|(seconds, _)| too_late(*seconds)) {
            return Err(refusal);
        }
        if exp.is_some_and(|exp| exp.saturating_add(self.leeway) <= now) {
            return Err(Refusal::Expired);
        }
        if nbf.is_some_and(|nbf| nbf.saturating_sub(self.leeway) > now) {
            return Err(Refusal::NotYet);
        }
        Ok(())
    }

    /// Whether the claim is the value, or a list that has it.
    fn is_admin(&self, claims: &Map<String, Value>) -> bool {
        let AdminClaim { claim, value } = &self.admin;
        let is_value = |claimed: &Value| match claimed {
            Value::String(text) => text == value,
            Value::Bool(is_so) => *value == if *is_so { "true" } else { "false" },
            Value::Number(number) => *value == number.to_string(),
            _ => false,
        };
        match claim.find(claims) {
            Some(Value::Array(all)) => self.admin_in_list && all.iter().any(is_value),
            Some(one) => is_value(one),
            None => false,
        }
    }
}

/// Whether a claim is one of these texts.
fn is_one_of(claim: Option<&Value>, allowed: &[String]) -> bool {
    let text = claim.and_then(Value::as_str);
    text.is_some_and(|text| allowed.iter().any(|one| one == text))
}

/// The same of a claim that may also be a list.
fn has_one_of(claim: Option<&Value>, allowed: &[String]) -> bool {
    match claim {
        Some(Value::Array(all)) => all.iter().any(|one| is_one_of(Some(one), allowed)),
        one => is_one_of(one, allowed),
    }
}

fn text(claims: &Map<String, Value>, name: &str) -> Option<String> {
    claims.get(name)?.as_str().map(str::to_owned)
}

/// A date that may be missing, but not be anything else. RFC 7519 allows decimals in it; they are cut off.
fn seconds(claims: &Map<String, Value>, name: &str) -> Result<Option<i64>, Refusal> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => value.as_f64().map(|seconds| Some(seconds as i64)).ok_or(Refusal::Date),
    }
}

#[cfg(test)]
mod tests;
