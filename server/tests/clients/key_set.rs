//! The keys of an identity provider: fetched, fetched again, and kept while it is away.

use std::time::Duration;

use serde_json::json;
use testkit::process::eventually;
use testkit::token::seconds;
use testkit::{Engine, Server, Setup};

use crate::provider::Provider;
use crate::{TIMEOUT, logged, run_checks};

const ALGORITHMS: [&str; 9] = [
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA",
];

/// The status with which a token of a user is answered.
fn status(server: &Server, token: &str) -> u16 {
    server.get("/users/me", token).status
}

#[test]
fn tokens_of_jose_are_taken_whatever_their_algorithm() {
    let mut provider = Provider::start(&ALGORITHMS);
    let server = provider.setup().start();
    let [user] = server.new_users();
    let tokens = ALGORITHMS.map(|algorithm| (algorithm, provider.token(algorithm, &user)));
    let taken: Vec<_> = tokens
        .iter()
        .map(|(algorithm, token)| json!([algorithm, {"auth": {"token": token}}, ""]))
        .collect();
    run_checks(
        "handshakes.js",
        &json!({"url": server.url(), "user": user, "refused": [], "taken": taken}),
    );
    for (algorithm, token) in &tokens {
        assert_eq!(status(&server, token), 200, "{algorithm}");
        // The head names another key, and the token is as good as before.
        let claims = json!({"userId": user, "exp": seconds() + 60});
        for other in ALGORITHMS.into_iter().filter(|other| other != algorithm) {
            let forged = provider.signed(algorithm, &claims, &json!({"kid": other}));
            assert_eq!(status(&server, &forged), 401, "{algorithm} with the id of {other}");
        }
    }
    // Tokens of the secret are taken beside them.
    assert_eq!(status(&server, &server.token(&user)), 200);
}

#[test]
fn public_keys_in_a_file_need_no_provider_and_no_secret() {
    let mut provider = Provider::start(&ALGORITHMS);
    let folder = tempfile::tempdir().expect("a folder");
    let keys = folder.path().join("keys.pem");
    let of = |kid: &str| provider.public[kid].as_str().expect("a PEM").to_owned();
    // Of each kind of RSA key one will do for all its algorithms.
    std::fs::write(&keys, [of("RS256"), of("ES256"), of("ES384"), of("EdDSA")].concat()).expect("a file");
    let server = Setup::new(Engine::Embedded)
        .env("JWT_SECRET", "")
        .env("JWT_PUBLIC_KEY", keys.display())
        .start();
    let claims = json!({"userId": "0".repeat(24), "role": "admin", "exp": seconds() + 60});
    let admin = provider.signed("ES256", &claims, &json!({}));
    let made = server.post("/users", &admin, &json!({"username": "ada"}));
    assert_eq!(made.status, 200, "{}", made.body);
    let user = made.json()["users"][0]["_id"].as_str().expect("an id").to_owned();
    for kid in ["RS256", "ES256", "ES384", "EdDSA"] {
        assert_eq!(status(&server, &provider.token(kid, &user)), 200, "{kid}");
    }
    for kid in ["RS384", "PS256"] {
        assert_eq!(
            status(&server, &provider.token(kid, &user)),
            401,
            "signed with another key"
        );
    }
    assert_eq!(status(&server, &server.token(&user)), 401, "there is no secret");
    assert!(
        !server.folder().join("data/jwt_secret").exists(),
        "and none was generated"
    );
}

#[test]
fn an_unknown_key_makes_the_provider_be_asked_again_but_seldom() {
    let mut provider = Provider::start(&["ES256"]);
    let server = provider.setup().start();
    let [user] = server.new_users();
    let good = provider.token("ES256", &user);
    assert_eq!(status(&server, &good), 200);
    let before = provider.requests();
    provider.make("ES256", "new");
    provider.publish(&["ES256", "new"]);
    let new = provider.token("new", &user);
    assert_eq!(status(&server, &new), 200, "it is asked for at once");
    assert_eq!(provider.requests(), before + 1);
    // Strangers who name keys can't have it asked more often than that.
    provider.make("ES256", "newer");
    provider.publish(&["ES256", "new", "newer"]);
    let newer = provider.token("newer", &user);
    for _ in 0..20 {
        let answer = server.get("/users/me", &newer);
        let error = &answer.json()["error"];
        assert_eq!(
            (answer.status, &error["code"]),
            (503, &json!("store_unavailable")),
            "{error}"
        );
    }
    assert_eq!(provider.requests(), before + 1);
    // Tokens of secrets need nobody to be asked, whatever id they name.
    assert_eq!((status(&server, &good), status(&server, &new)), (200, 200));
    eventually("it is asked again after a while", TIMEOUT, || {
        (status(&server, &newer) == 200).then_some(())
    });
    assert_eq!(provider.requests(), before + 2);
}

/// Being refused would be final for a client, and a stranger could have it so with a token every ten seconds.
#[test]
fn a_new_key_is_waited_for_when_strangers_have_had_the_provider_asked() {
    let mut provider = Provider::start(&["ES256"]);
    let server = provider.setup().start();
    let [user] = server.new_users();
    let claims = json!({"userId": user, "exp": seconds() + 600});
    let of_stranger = provider.signed("ES256", &claims, &json!({"kid": "nobody's"}));
    assert_eq!(status(&server, &of_stranger), 401, "the provider was asked");
    provider.make("ES256", "new");
    provider.publish(&["ES256", "new"]);
    let new = provider.token("new", &user);
    assert_eq!(status(&server, &new), 503);
    assert_eq!(
        status(&server, &of_stranger),
        401,
        "what was denied once is not put off"
    );
    // Who waits longer than a handshake may take is disconnected, and a stock client comes again by itself.
    let options = json!({"auth": {"token": new}, "reconnection": true});
    run_checks(
        "handshakes.js",
        &json!({"url": server.url(), "user": user, "refused": [], "taken": [["with a new key", options, ""]]}),
    );
}

#[test]
fn keys_are_kept_while_the_provider_is_away_and_removed_ones_are_gone_when_it_is_back() {
    let mut provider = Provider::start(&["ES256", "EdDSA"]);
    let server = provider.setup().env("JWT_JWKS_REFRESH", "1").start();
    let [user] = server.new_users();
    let [kept, removed] = ["ES256", "EdDSA"].map(|kid| provider.token(kid, &user));
    assert_eq!((status(&server, &kept), status(&server, &removed)), (200, 200));
    provider.publish(&["ES256"]);
    eventually("a key that was removed is taken no more", TIMEOUT, || {
        (status(&server, &removed) == 401).then_some(())
    });
    assert_eq!(status(&server, &kept), 200);
    provider.kill();
    assert_eq!(logged(&server, "JWT_JWKS_URL can't be fetched").len(), 1);
    assert_eq!(status(&server, &kept), 200, "it is kept");
    provider.restart(&["ES256"]);
    eventually("its keys are other ones now", TIMEOUT, || {
        (status(&server, &kept) == 401).then_some(())
    });
    logged(&server, "the identity provider answers again");
}

#[test]
fn before_the_keys_were_fetched_nobody_is_refused_for_good() {
    let mut provider = Provider::start(&["ES256"]);
    let token = provider.token("ES256", &"0".repeat(24));
    provider.kill();
    let server = provider.setup().start();
    let [user] = server.new_users();
    let answer = server.get("/users/me", &token);
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (503, "store_unavailable"),
        "{}",
        answer.body
    );
    assert_eq!(status(&server, &server.token(&user)), 200, "secrets need no provider");
    provider.restart(&["ES256"]);
    let token = provider.token("ES256", &user);
    eventually("the provider is found", Duration::from_secs(60), || {
        (status(&server, &token) == 200).then_some(())
    });
}

#[test]
fn what_answers_in_another_way_than_a_provider_is_told_apart() {
    let provider = Provider::start(&["ES256"]);
    for (path, why) in [
        ("/redirect", "it redirects"),
        ("/failing", "status 500"),
        ("/missing", "status 404"),
        ("/page", "no key set"),
        ("/large", "larger than 262144 bytes"),
        ("/silent", "no answer within 5s"),
    ] {
        let server = provider.setup_at(path).start();
        let lines = logged(&server, "JWT_JWKS_URL can't be fetched");
        assert!(lines[0].contains(why), "{path}: {}", lines[0]);
        assert!(!lines[0].contains(path), "the address may hold a secret: {}", lines[0]);
    }
    // Who is not trusted is no provider.
    let server = provider.setup().env("SSL_CERT_FILE", "/dev/null").start();
    assert!(logged(&server, "JWT_JWKS_URL can't be fetched")[0].contains("can't be reached"));
}

#[test]
fn machines_of_this_network_are_asked_only_where_that_is_allowed() {
    let mut provider = Provider::start(&["ES256"]);
    let port = provider.url("").rsplit(':').next().expect("a port").to_owned();
    let by_name = format!("https://localhost:{port}/jwks");
    let server = provider
        .setup()
        .env("JWT_JWKS_URL", &by_name)
        .env("JWT_JWKS_ALLOW_PRIVATE", "false")
        .start();
    let line = logged(&server, "JWT_JWKS_URL can't be fetched").remove(0);
    assert!(
        line.contains("private") && line.contains("JWT_JWKS_ALLOW_PRIVATE"),
        "{line}"
    );
    assert_eq!(provider.requests(), 0);
    let server = provider.setup().env("JWT_JWKS_URL", &by_name).start();
    let [user] = server.new_users();
    assert_eq!(status(&server, &provider.token("ES256", &user)), 200);
}
