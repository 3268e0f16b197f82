//! `chatctl token` with keys of all kinds, and what `--check` says of tokens.

use std::path::Path;

use jsonwebtoken::Algorithm::HS256;
use serde_json::{Value, json};
use testkit::token::{seconds, sign};
use testkit::{Engine, Setup};

use crate::program::{bare, ended};

const SECRET: &str = "a secret of this test, 32 bytes or more";
const USER: &str = "6945576383968f286a0ff5f9";

/// A key of the tests of the crate `jwt`.
fn key(name: &str) -> String {
    let path = testkit::workspace().join("shared/jwt/tests/pem").join(name);
    path.display().to_string()
}

/// What a command prints, run with these settings.
fn said(folder: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> String {
    let mut command = bare(folder, arguments);
    command.envs(settings.iter().copied());
    ended(command).output().trim().to_owned()
}

/// What is thought of a token with these settings.
fn opinion(folder: &Path, token: &str, settings: &[(&str, &str)]) -> Value {
    let mut command = bare(folder, &["token", "--json", "--check", token]);
    command.envs(settings.iter().copied());
    let ended = ended(command);
    let opinion: Value =
        serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{}{}", ended.stdout, ended.stderr));
    assert_eq!(ended.code, i32::from(opinion["taken"] != true), "{opinion}");
    opinion
}

#[test]
fn keys_of_all_kinds_sign_tokens_that_their_public_keys_take() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("rsa.pem", "rsa.pub.pem", None, "RS256"),
        ("rsa.pem", "rsa.pub.pem", Some("PS512"), "PS512"),
        ("p256.pem", "p256.pub.pem", None, "ES256"),
        ("p384.pem", "p384.pub.pem", Some("ES384"), "ES384"),
        ("ed25519.pem", "ed25519.pub.pem", None, "EdDSA"),
    ];
    for (private, public, algorithm, named) in cases {
        let (private, public) = (key(private), key(public));
        let mut arguments = vec![
            "token", USER, "--key", &private, "--kid", "k 1", "--claim", "name=Ada", "--claim", "n=[1]",
        ];
        if let Some(name) = algorithm {
            arguments.extend(["--alg", name]);
        }
        let settings = [
            ("JWT_PUBLIC_KEY", &*public),
            ("JWT_ISSUER", "me,you"),
            ("JWT_AUDIENCE", "chat"),
        ];
        let token = said(folder.path(), &arguments, &settings);
        let opinion = opinion(folder.path(), &token, &settings);
        assert_eq!(
            (&opinion["taken"], &opinion["user"]),
            (&json!(true), &json!(USER)),
            "{opinion}"
        );
        assert_eq!(opinion["header"], json!({"alg": named, "kid": "k 1", "typ": "JWT"}));
        let claims = &opinion["claims"];
        assert_eq!(
            (&claims["iss"], &claims["aud"]),
            (&json!("me"), &json!("chat")),
            "{claims}"
        );
        assert_eq!(
            (&claims["name"], &claims["n"]),
            (&json!("Ada"), &json!([1])),
            "{claims}"
        );
        assert!(claims["iat"].is_number() && opinion["key"].as_str().unwrap().contains("JWT_PUBLIC_KEY"));
    }
    let refused = |arguments: &[&str]| {
        let key = key("p256.pem");
        let all = [&["token", USER, "--key", &key][..], arguments].concat();
        ended(bare(folder.path(), &all)).complaint(1)
    };
    for name in ["ES384", "HS256", "none"] {
        let refused = refused(&["--alg", name]);
        assert!(refused.contains("signs with ES256"), "{name}: {refused}");
    }
    let public = ended(bare(folder.path(), &["token", USER, "--key", &key("p256.pub.pem")])).complaint(1);
    assert!(public.contains("signed with the private one"), "{public}");
}

#[test]
fn a_server_with_public_keys_only_needs_a_key_to_be_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join(".env"),
        format!("JWT_PUBLIC_KEY={}\n", key("rsa.pub.pem")),
    )
    .unwrap();
    for command in [&["token", USER][..], &["users"]] {
        let refused = ended(bare(folder.path(), command)).complaint(1);
        assert!(
            refused.contains("JWT_PUBLIC_KEY") && refused.contains("chatctl token --key FILE"),
            "{refused}"
        );
    }
    let token = said(folder.path(), &["token", "--admin", "--key", &key("rsa.pem")], &[]);
    assert_eq!(opinion(folder.path(), &token, &[])["admin"], true);
}

#[test]
fn check_says_what_is_wrong_and_what_is_allowed_and_never_the_secret() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [
        ("JWT_SECRET", SECRET),
        ("JWT_ISSUER", "https://id.example/"),
        ("JWT_AUDIENCE", "chat"),
        ("JWT_USER_CLAIM", "sub"),
    ];
    let good = json!({"sub": USER, "exp": seconds() + 60, "iss": "https://id.example/", "aud": ["chat"]});
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        sign(HS256, SECRET, &claims)
    };
    let token = sign(HS256, SECRET, &good);
    let taken = opinion(folder.path(), &format!("Bearer {token}"), &settings);
    assert_eq!(
        (&taken["taken"], &taken["key"]),
        (&json!(true), &json!("secret 1 of JWT_SECRET"))
    );
    for (token, why, hint) in [
        ("a.b.c".to_owned(), "not a JSON Web Token", ""),
        (
            sign(HS256, "another secret", &good),
            "signature",
            "secret 1 of JWT_SECRET",
        ),
        (
            token.replacen("eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9", "eyJhbGciOiJSUzI1NiJ9", 1),
            "algorithm",
            "RS256",
        ),
        (with("exp", json!(1_700_000_000)), "expired", "2023-11-1"),
        (with("nbf", json!(4_000_000_000_i64)), "not valid yet", "2096-10-0"),
        (with("exp", json!(1_700_000_000_000_i64)), "milliseconds", ""),
        (
            with("iss", json!("https://id.example")),
            "issuer",
            "allows \"https://id.example/\"",
        ),
        (
            with("aud", json!("app")),
            "audience",
            "aud is \"app\"; JWT_AUDIENCE allows \"chat\"",
        ),
        (
            with("sub", json!("ada")),
            "userId",
            "JWT_USER_CLAIM is sub, which is \"ada\"",
        ),
    ] {
        let opinion = opinion(folder.path(), &token, &settings);
        assert!(
            opinion["why"].as_str().is_some_and(|text| text.contains(why)),
            "{why}: {opinion}"
        );
        assert!(
            opinion["hint"].as_str().unwrap_or_default().contains(hint),
            "{hint}: {opinion}"
        );
        assert!(!opinion.to_string().contains(SECRET));
    }
    // For people, from standard input as well.
    let mut command = bare(folder.path(), &["token", "--check", &with("aud", json!("app"))]);
    command.envs(settings);
    let ended = ended(command);
    assert_eq!(ended.code, 1);
    assert!(ended.stdout.starts_with("✗ refused: its audience"), "{}", ended.stdout);
    assert!(!ended.stdout.contains(SECRET));
}

#[test]
fn all_commands_follow_the_servers_settings() {
    let settings = [
        ("JWT_ISSUER", "me"),
        ("JWT_AUDIENCE", "chat"),
        ("JWT_USER_CLAIM", "https://x.example/claims.id"),
        ("JWT_ADMIN", "roles=boss"),
    ];
    let mut setup = Setup::new(Engine::Embedded);
    for (name, value) in settings {
        setup = setup.env(name, value);
    }
    let secrets = format!("{SECRET}\nan older secret, of 32 bytes as well\n");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secrets");
    std::fs::write(&file, secrets).unwrap();
    let file = file.display().to_string();
    let server = setup.env("JWT_SECRET", "").env("JWT_SECRET_FILE", &file).start();
    let url = server.url();
    let all: Vec<(&str, &str)> = settings
        .into_iter()
        .chain([("JWT_SECRET_FILE", &*file), ("CHAT_URL", &url)])
        .collect();
    let seeded = said(folder.path(), &["seed", "users", "ada"], &all);
    assert!(seeded.contains("ada"), "{seeded}");
    let token = said(folder.path(), &["token", "ada"], &all);
    assert_eq!(server.get("/users/me", &token).status, 200);
    assert_eq!(
        server.get("/users?limit=1", &token).status,
        403,
        "ada is no administrator"
    );
}
