//! Which claims are taken, and what is read of them.

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
