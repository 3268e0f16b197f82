//! What clients of the replaced program send: stored as it stored it, or refused in words.

use serde_json::json;
use testkit::raw::Raw;
use testkit::{Engine, Server, Setup};

use crate::{logged, run_checks};

fn habits(engine: Engine, transport: &str) {
    let server = Server::shared(engine);
    let [a, b] = server.new_users();
    run_checks(
        "habits.js",
        &json!({
            "url": server.url(),
            "transport": transport,
            "users": {"a": a, "b": b},
            "token": server.token(&a),
            "scalars": [[42, "42"], [true, "true"], [false, "false"], [-1.5, "-1.5"], [1e21, "1e+21"], [1e-7, "1e-7"], ["42", "42"]],
        }),
    );
    let history = server.history(&a, &b);
    let texts: Vec<&str> = history
        .iter()
        .filter_map(|document| document["message"].as_str())
        .collect();
    assert_eq!(texts, ["42", "true", "false", "-1.5", "1e+21", "1e-7", "42", "the end"]);
}

#[test]
fn habits_embedded_polling() {
    habits(Engine::Embedded, "polling");
}

#[test]
fn habits_embedded_websocket() {
    habits(Engine::Embedded, "websocket");
}

#[test]
fn habits_mongo_websocket() {
    habits(Engine::Mongo, "websocket");
}

#[test]
fn who_cant_be_served_is_in_the_log_once() {
    let server = Setup::new(Engine::Embedded).start();
    let [a] = server.new_users();
    run_checks("unserved.js", &json!({"url": server.url(), "token": server.token(&a)}));
    for kind in [
        "another namespace",
        "Engine.IO 4",
        "socket.io-msgpack-parser",
        "a packet that can't be read",
    ] {
        let lines = logged(&server, kind);
        assert_eq!(lines.len(), 1, "once a minute: {lines:#?}");
    }
}

/// The library keeps a buffer as long as the longest message that a connection has sent. So long ones stay charged to their
/// user, and of many connections that send one each some are ended.
#[test]
fn what_long_messages_leave_behind_is_bounded() {
    let server = Setup::new(Engine::Embedded).start();
    let [a] = server.new_users();
    let event = format!("420[\"hello\",\"{}\"]", "x".repeat(1_000_000));
    let mut connections = Vec::new();
    let answered = (0..30)
        .filter(|_| {
            let mut connection = Raw::connect(&server);
            connection.authenticate(&server.token(&a));
            // It may be ended before all of it was sent.
            let sent = connection.say(&event);
            let answer = connection.text();
            connections.push(connection);
            sent.is_ok() && answer.is_some_and(|answer| answer.contains("payload_too_large"))
        })
        .count();
    // The first hold 11 MiB, and a further one 1 MiB of an eighth of what is free besides.
    assert!((8..16).contains(&answered), "{answered} of 30 were answered");
    let [b] = server.new_users();
    let mut other = Raw::connect(&server);
    other.authenticate(&server.token(&b));
    other.say(&event).expect("it is open");
    assert!(
        other.text().is_some_and(|answer| answer.contains("payload_too_large")),
        "nobody else is held back"
    );
}
