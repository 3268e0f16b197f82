//! A MongoDB that is away for a while: the server says so, loses nothing, and heals by itself.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::Setup;
use testkit::mongod::Mongod;
use testkit::node::Script;
use testkit::process::eventually;
use testkit::server::with_database;

use crate::{listed, ready};

const TIMEOUT: Duration = Duration::from_secs(120);

#[test]
fn a_paused_database_is_told_and_outlived() {
    through_an_outage(|mongod| mongod.pause(0), |mongod| mongod.resume(0));
}

#[test]
fn a_killed_database_is_told_and_outlived() {
    through_an_outage(|mongod| mongod.kill(0), |mongod| mongod.restart(0));
}

/// A look-up in the database may take ten seconds, and many of them wait for each other.
#[test]
fn who_asks_while_the_database_hangs_is_answered_in_time() {
    const DEADLINE: Duration = Duration::from_secs(9);
    let mongod = Mongod::replica_set(1);
    let server = Setup::on(&with_database(&mongod.uri(), "asks")).start();
    let users: [String; 24] = server.new_users();
    mongod.pause(0);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for user in &users {
            let server = &server;
            scope.spawn(move || {
                let answer = server.get("/users/me", &server.token(user));
                assert_eq!((answer.status, answer.code().as_str()), (503, "store_unavailable"));
                assert!(begun.elapsed() < DEADLINE, "{:?}", begun.elapsed());
            });
        }
    });
    mongod.resume(0);
}

fn through_an_outage(begin: impl Fn(&Mongod), end: impl Fn(&Mongod)) {
    let mongod = Mongod::replica_set(1);
    let server = Setup::on(&with_database(&mongod.uri(), "outage")).start();
    let [a, b] = server.new_users();
    assert!(ready(&server));
    let argument = json!({
        "url": server.url(),
        "token": server.token(&a),
        "receiver": b,
        "clientMessageId": "through the outage",
    });
    let mut client = Script::start("outage.js", &argument);
    assert_eq!(client.report(), Some(json!({"connected": true})));

    begin(&mongod);
    client.tell(&Value::Null);
    eventually("the server is not ready", TIMEOUT, || (!ready(&server)).then_some(()));
    // It is no use to restart a server whose database is away.
    assert_eq!(server.get("/healthz", "").status, 200);
    let answer = client.report().expect("an answer")["answer"].clone();
    assert_eq!(
        (&answer["ok"], &answer["error"]["code"]),
        (&json!(false), &json!("store_unavailable")),
        "{answer}"
    );
    assert!(answer["error"]["retryAfterMs"].as_u64() > Some(0), "{answer}");
    let history = server.get(&format!("/chat/history/{a}/{b}"), &server.admin_token());
    assert_eq!(
        (history.status, history.code().as_str()),
        (503, "store_unavailable"),
        "{}",
        history.body
    );
    assert!(!history.header("retry-after").is_empty());

    end(&mongod);
    eventually("the server is ready again", TIMEOUT, || ready(&server).then_some(()));
    client.tell(&Value::Null);
    let answer = client.report().expect("an answer")["answer"].clone();
    assert_eq!(answer["ok"], true, "{answer}");
    client.finish();
    let id = answer["message"]["_id"].as_str().expect("an id").to_owned();
    assert_eq!(
        listed(&server.history(&a, &b)),
        [("through it".to_owned(), id)],
        "once, however often it was tried"
    );
}
