//! SIGTERM: what was taken is finished and answered, nobody stays online, and the server ends well and soon.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use testkit::node::Script;
use testkit::{Engine, Server};

use crate::listed;

#[test]
fn finishes_what_was_taken_embedded() {
    finishes_what_was_taken(Engine::Embedded);
}

#[test]
fn finishes_what_was_taken_mongo() {
    finishes_what_was_taken(Engine::Mongo);
}

fn finishes_what_was_taken(engine: Engine) {
    let mut server = Server::start(engine);
    let [a, b] = server.new_users();
    let argument = json!({"url": server.url(), "token": server.token(&a), "receiver": b, "count": 1_000});
    let mut drain = Script::start("drain.js", &argument);
    let first = drain.report().expect("an answer");
    assert_eq!(first["ok"], true, "{first}");

    let (status, elapsed) = server.terminate();
    assert!(status.success(), "{status}");
    assert!(elapsed < Duration::from_secs(10), "{elapsed:?}");

    let mut answers = drain.finish();
    assert_eq!(answers.pop(), Some(json!({"done": true})));
    let disconnected = answers.pop().expect("the connection ended");
    // The reason after which stock clients come back by themselves.
    assert_eq!(disconnected, json!({"disconnected": "transport close"}));
    answers.insert(0, first);
    let text = |answer: &serde_json::Value| answer["text"].as_str().expect("a text").to_owned();
    let (stored, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer["ok"] == true);
    for answer in refused {
        assert_eq!(answer["code"], "shutting_down", "{answer}");
    }

    server.restart();
    let listed: BTreeSet<String> = listed(&server.history(&a, &b))
        .into_iter()
        .map(|(text, _)| text)
        .collect();
    let acknowledged: BTreeSet<String> = stored.into_iter().map(text).collect();
    assert_eq!(
        listed, acknowledged,
        "what is stored was acknowledged, and the other way round"
    );
    // The stop itself took them offline, not the start after it: that one would need a lease to end.
    for user in [&a, &b] {
        let found = server.get(&format!("/users/{user}"), &server.admin_token()).json();
        assert_eq!(found["isOnline"], false, "{found}");
    }
    assert!(server.get(&format!("/users/{a}"), &server.admin_token()).json()["lastSeen"].is_string());
}

#[test]
fn an_interrupt_stops_it_as_well() {
    let mut server = Server::start(Engine::Embedded);
    let (status, elapsed) = server.interrupt();
    assert!(
        status.success() && elapsed < Duration::from_secs(10),
        "{status} after {elapsed:?}"
    );
}

#[test]
fn an_idle_connection_does_not_delay_it() {
    let mut server = Server::start(Engine::Embedded);
    let [a] = server.new_users();
    // One that speaks Socket.IO, one that says nothing, one in the middle of a request.
    let mut stay = Script::start("stay.js", &json!({"url": server.url(), "tokens": [server.token(&a)]}));
    assert_eq!(stay.report(), Some(json!({"connected": 1})));
    let silent = std::net::TcpStream::connect(("127.0.0.1", server.port())).expect("a connection");
    let mut slow = std::net::TcpStream::connect(("127.0.0.1", server.port())).expect("a connection");
    std::io::Write::write_all(
        &mut slow,
        b"POST /users HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
    )
    .expect("a write");

    let (status, elapsed) = server.terminate();
    assert!(
        status.success() && elapsed < Duration::from_secs(10),
        "{status} after {elapsed:?}"
    );
    drop((silent, slow));
}
