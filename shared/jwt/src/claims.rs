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
            Value::Bool(_) | Value::Number(_) => claimed.to_string() == *value,
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
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;

    const USER: &str = "6945576383968f286a0ff5f9";
    const NOW: i64 = 1_000;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        settings: Settings,
    }

    fn rules(arguments: &[&str]) -> Rules {
        let all = ["test"].iter().chain(arguments);
        Rules::new(&Arguments::try_parse_from(all).unwrap().settings)
    }

    fn read(rules: &Rules, claims: &Value) -> Result<Verified, Refusal> {
        rules.read(claims.as_object().unwrap(), NOW)
    }

    #[test]
    fn takes_what_the_contract_names() {
        assert_eq!(rules(&[]), Rules::default());
        let claims =
            json!({"userId": USER, "exp": 2_000.5, "iat": 7, "aud": "x", "iss": 3, "name": "Ada", "picture": ["x"]});
        let verified = read(&rules(&[]), &claims).unwrap();
        assert_eq!(verified.user, ClaimedUser::Id(USER.parse().unwrap()));
        // Date.now() / 1000 has decimals; issuers forget to cut them off.
        assert_eq!((verified.issued_at, verified.expires_at), (Some(7), Some(2_000)));
        assert_eq!(verified.profile.name.as_deref(), Some("Ada"));
        assert_eq!(verified.profile.picture, None);
    }

    #[test]
    fn refuses_the_rest_and_says_why() {
        const MILLIS: i64 = 1_800_000_000_000;
        for (more, why) in [
            (json!({"exp": null}), Refusal::Date),
            (json!({"exp": "2000"}), Refusal::Date),
            (json!({"nbf": "1"}), Refusal::Date),
            (json!({"iat": null}), Refusal::Date),
            (json!({"exp": MILLIS}), Refusal::ExpiryTooLate),
            (json!({"nbf": MILLIS}), Refusal::BeginTooLate),
            (json!({"iat": MILLIS}), Refusal::IssueTooLate),
            (json!({"exp": NOW}), Refusal::Expired),
            (json!({"exp": -1}), Refusal::Expired),
            (json!({"nbf": NOW + 1}), Refusal::NotYet),
            (json!({"userId": "ada"}), Refusal::User),
            (json!({"userId": 7}), Refusal::User),
            (json!({"userId": null}), Refusal::User),
        ] {
            let mut claims = json!({"userId": USER, "exp": 2_000});
            claims
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            assert_eq!(read(&rules(&[]), &claims), Err(why), "{claims}");
        }
        assert_eq!(read(&rules(&[]), &json!({"userId": USER})), Err(Refusal::Expiry));
        assert_eq!(read(&rules(&[]), &json!({"exp": 2_000})), Err(Refusal::User));
        let edge = json!({"userId": USER, "exp": NOW + 1, "nbf": NOW, "iat": LAST_SECOND});
        assert!(
            read(&rules(&[]), &edge).is_ok(),
            "a token ends in the second that it names"
        );
    }

    #[test]
    fn a_token_need_not_end_where_the_setting_says_so() {
        let rules = rules(&["--jwt-require-exp=false"]);
        let verified = read(&rules, &json!({"userId": USER})).unwrap();
        assert_eq!(verified.expires_at, None);
        assert_eq!(
            read(&rules, &json!({"userId": USER, "exp": NOW})),
            Err(Refusal::Expired)
        );
        assert_eq!(read(&rules, &json!({"userId": USER, "exp": null})), Err(Refusal::Date));
    }

    #[test]
    fn clocks_may_be_apart_as_far_as_the_setting_says() {
        let rules = rules(&["--jwt-leeway", "30"]);
        let claims = |exp: i64, nbf: i64| json!({"userId": USER, "exp": exp, "nbf": nbf});
        let verified = read(&rules, &claims(NOW - 29, NOW + 30)).unwrap();
        assert_eq!(
            verified.expires_at,
            Some(NOW + 1),
            "it is not at its end before it is taken"
        );
        assert_eq!(read(&rules, &claims(NOW - 30, NOW)), Err(Refusal::Expired));
        assert_eq!(read(&rules, &claims(2_000, NOW + 31)), Err(Refusal::NotYet));
    }

    #[test]
    fn issuer_and_audience_are_compared_as_they_are() {
        let rules = rules(&[
            "--jwt-issuer",
            "https://id.example/, other",
            "--jwt-audience",
            "chat,app",
        ]);
        let with = |iss: Value, aud: Value| {
            let claims = json!({"userId": USER, "exp": 2_000, "iss": iss, "aud": aud});
            read(&rules, &claims).map(|_| ())
        };
        assert_eq!(with(json!("https://id.example/"), json!("chat")), Ok(()));
        assert_eq!(with(json!("other"), json!(["x", 3, "app"])), Ok(()));
        for iss in [
            json!("https://id.example"),
            json!(""),
            json!(null),
            json!(["other"]),
            json!("OTHER"),
        ] {
            assert_eq!(with(iss, json!("chat")), Err(Refusal::Issuer));
        }
        for aud in [
            json!("x"),
            json!([]),
            json!(null),
            json!(["chat2"]),
            json!({"chat": true}),
            json!("chat,app"),
        ] {
            assert_eq!(with(json!("other"), aud), Err(Refusal::Audience));
        }
        let missing = json!({"userId": USER, "exp": 2_000});
        assert_eq!(read(&rules, &missing), Err(Refusal::Issuer));
    }

    #[test]
    fn user_and_administrator_are_where_the_settings_say() {
        let rules = rules(&[
            "--jwt-user-claim",
            "https://x.example/claims.id",
            "--jwt-admin",
            "realm_access.roles=chat-admin",
        ]);
        let claims = json!({
            "userId": "ignored", "role": "admin", "exp": 2_000,
            "https://x.example/claims": {"id": USER},
            "realm_access": {"roles": ["user", "chat-admin"]},
        });
        let verified = read(&rules, &claims).unwrap();
        assert_eq!(
            (verified.user, verified.admin),
            (ClaimedUser::Id(USER.parse().unwrap()), true)
        );
        let admin = |roles: Value| {
            let claims = json!({
                "exp": 2_000, "https://x.example/claims": {"id": USER}, "role": "admin", "realm_access": {"roles": roles},
            });
            read(&rules, &claims).unwrap().admin
        };
        assert!(admin(json!("chat-admin")));
        for other in [
            json!("user"),
            json!([]),
            json!({"chat-admin": true}),
            json!([["chat-admin"]]),
            json!(true),
            json!("chat-admin user"),
        ] {
            assert!(!admin(other.clone()), "{other}");
        }
    }

    #[test]
    fn users_of_another_system_are_named_by_any_text() {
        let rules = Rules {
            external_users: true,
            ..rules(&["--jwt-user-claim", "sub"])
        };
        let user = |sub: Value| read(&rules, &json!({"sub": sub, "exp": 2_000})).map(|verified| verified.user);
        let external = |text: &str| Ok(ClaimedUser::External(text.parse().unwrap()));
        assert_eq!(user(json!("auth0|5f7c")), external("auth0|5f7c"));
        assert_eq!(user(json!(USER)), external(USER));
        for wrong in [json!(""), json!(7), json!(null), json!("a\nb"), json!("x".repeat(129))] {
            assert_eq!(user(wrong.clone()), Err(Refusal::ExternalUser), "{wrong}");
        }
    }

    #[test]
    fn an_administrator_has_the_role_and_nothing_like_it() {
        let admin = |rules: &Rules, role: Value| {
            read(rules, &json!({"userId": USER, "exp": 2_000, "role": role}))
                .unwrap()
                .admin
        };
        let usual = rules(&[]);
        assert!(admin(&usual, json!("admin")) && !admin(&usual, json!(["admin"])));
        let set = rules(&["--jwt-admin", "role=admin"]);
        assert!(admin(&set, json!("admin")) && admin(&set, json!(["editor", "admin"])));
        for other in [
            json!(null),
            json!("editor"),
            json!("Admin"),
            json!(3),
            json!({"admin": null}),
            json!(true),
        ] {
            assert!(!admin(&usual, other.clone()), "{other}");
        }
        let flag = rules(&["--jwt-admin", "role=true"]);
        assert!(admin(&flag, json!(true)) && !admin(&flag, json!(false)));
    }

    #[test]
    fn wrong_settings_say_what_to_write() {
        for (flag, wrong, says) in [
            ("--jwt-admin", "admin", "such as role=admin"),
            ("--jwt-admin", "=admin", "such as role=admin"),
            ("--jwt-issuer", "a,,b", "separated by commas"),
            ("--jwt-leeway", "601", "from 0 to 600"),
            ("--jwt-jwks-url", "http://id.example/keys", "https://"),
            ("--jwt-jwks-url", "ftp://id.example/keys", "https:// URL or the path"),
            ("--jwt-require-exp", "maybe", "true or false"),
        ] {
            let error = Arguments::try_parse_from(["test", flag, wrong])
                .map(|_| ())
                .unwrap_err()
                .to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
