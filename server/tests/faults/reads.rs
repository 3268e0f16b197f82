//! Reading that fails: whoever waits for it holds nothing that others need, and is caught up in the end.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::mongod::Mongod;
use testkit::node::Script;
use testkit::process::eventually;
use testkit::server::with_database;
use testkit::{Engine, Setup, node};

use crate::ready;

const TIMEOUT: Duration = Duration::from_secs(120);

/// More connections than reads at a time.
const MANY: usize = 80;

#[test]
fn who_can_not_be_caught_up_makes_nobody_wait() {
    let mut server = Setup::new(Engine::Embedded)
        .env("MAX_CONNECTIONS_PER_USER", MANY)
        .start();
    let [unlucky, friend, other] = server.new_users();
    let cursor = |user: &str| server.get("/chat/sync", &server.token(user)).json()["next"].clone();
    let (since, others) = (cursor(&unlucky), cursor(&other));
    let message = json!({"url": server.url(), "token": server.token(&friend), "receiver": unlucky, "count": 1});
    node::run("send.js", &message);
    server.terminate();
    // A fault of the disk: nobody can read this message.
    let path = server.folder().join("data").join("chat.db");
    let database = rusqlite::Connection::open(path).expect("the database is there");
    let spoilt = database.execute("UPDATE messages SET id = x'00'", ());
    assert_eq!(spoilt, Ok(1));
    drop(database);
    server.restart();

    let argument = json!({
        "url": server.url(),
        "token": server.token(&unlucky),
        "since": since,
        "count": MANY,
        "other": {"token": server.token(&other), "since": others},
    });
    let reports = node::run("unlucky.js", &argument);
    assert_eq!(
        reports[0],
        json!({"stillWaiting": MANY}),
        "when somebody else was answered"
    );
    assert_eq!(reports[1], json!({"ended": MANY}), "so that they come back");
}

#[test]
fn who_comes_during_an_outage_is_caught_up_after_it() {
    let mongod = Mongod::replica_set(1);
    let server = Setup::on(&with_database(&mongod.uri(), "reads")).start();
    let [sender] = server.new_users();
    let receivers = server.new_users::<MANY>();
    let user = |id: &String| json!({"id": id, "token": server.token(id)});
    let receivers: Vec<Value> = receivers.iter().map(user).collect();
    let argument = json!({"url": server.url(), "sender": server.token(&sender), "receivers": receivers});
    let mut clients = Script::start("back.js", &argument);
    assert_eq!(clients.report(), Some(json!({"away": true})));
    mongod.pause(0);
    clients.tell(&Value::Null);
    assert_eq!(clients.report(), Some(json!({"connecting": true})));
    eventually("the server is not ready", TIMEOUT, || (!ready(&server)).then_some(()));
    mongod.resume(0);
    assert_eq!(clients.report(), Some(json!({"caughtUp": MANY})));
    clients.finish();
}
