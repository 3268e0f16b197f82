//! The log tells what happened, never what people say to each other or what lets them in.

use serde_json::{Value, json};
use testkit::{Engine, Setup, node};

#[test]
fn holds_no_secret_and_no_text_embedded() {
    holds_no_secret_and_no_text(Engine::Embedded);
}

#[test]
fn holds_no_secret_and_no_text_mongo() {
    holds_no_secret_and_no_text(Engine::Mongo);
}

fn holds_no_secret_and_no_text(engine: Engine) {
    let mut server = Setup::new(engine)
        .env("LOG_LEVEL", "trace")
        .env("LOG_FORMAT", "json")
        .start();
    let [a, b] = server.new_users();
    let token = server.token(&a);
    let texts = ["between the two of us", "", &"far too long ".repeat(2_000)];
    let mut argument = json!({"url": server.url(), "token": token, "receiver": b, "texts": texts});
    for transport in ["polling", "upgrade"] {
        argument["transport"] = transport.into();
        let reports = node::run("send.js", &argument);
        assert_eq!(reports.len(), 4, "three answers and the end: {reports:?}");
    }
    assert_eq!(server.history(&a, &b).len(), 2);
    let refused = server.get("/users/me", "no.good.token-at-all");
    assert_eq!(refused.status, 401);
    assert!(server.terminate().0.success());

    let log = server.stderr() + &server.stdout();
    assert!(
        log.contains(&a),
        "it tells who was there; else this test would see nothing"
    );
    let signature = token.rsplit('.').next().expect("a token has three parts");
    for secret in [
        server.secret(),
        signature,
        "token-at-all",
        "between the two",
        "far too long",
    ] {
        let found = log.lines().find(|line| line.contains(secret));
        assert!(
            found.is_none(),
            "{secret:?} is in the log: {}",
            found.unwrap_or_default()
        );
    }
    for line in server.stderr().lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line["level"].is_string() && line["timestamp"].is_string(), "{line}");
    }
}
