//! Limits: each one that is reached is told, and nobody else suffers.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::process::eventually;
use testkit::raw::Raw;
use testkit::{Engine, Server, Setup, node};

use crate::listed;

/// Runs a script of checks and returns what else it reported.
fn run(script: &str, server: &Server, more: Value) -> Vec<Value> {
    let [a, b] = server.new_users();
    let mut argument = json!({
        "url": server.url(),
        "users": {"a": a, "b": b},
        "tokens": {"a": server.token(&a), "b": server.token(&b)},
    });
    let fields = argument.as_object_mut().expect("an object");
    fields.extend(more.as_object().cloned().unwrap_or_default());
    let reports = node::run(script, &argument);
    assert_eq!(reports.last(), Some(&json!({"done": true})));
    let failed: Vec<&Value> = reports.iter().filter(|report| report["error"].is_string()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    let taken = reports.iter().find(|report| report["taken"].is_array());
    if let Some(taken) = taken {
        let texts: Vec<String> = serde_json::from_value(taken["taken"].clone()).expect("texts");
        let listed = listed(&server.history(&a, &b));
        assert_eq!(
            listed.into_iter().map(|(text, _)| text).collect::<Vec<_>>(),
            texts,
            "only what was taken is stored"
        );
    }
    reports
}

#[test]
fn of_messages_connections_and_unanswered_requests_are_told() {
    let server = Setup::new(Engine::Embedded)
        .env("MAX_MESSAGE_BYTES", 10)
        .env("MAX_CONNECTIONS_PER_USER", 2)
        .start();
    run(
        "limits.js",
        &server,
        json!({"limits": {"messageBytes": 10, "connections": 2}}),
    );
    for name in ["MAX_UNANSWERED_PER_CONNECTION", "MAX_QUEUED_MESSAGES"] {
        let server = Setup::new(Engine::Embedded).env(name, 2).start();
        run("limits.js", &server, json!({"limits": {"waiting": true}}));
    }
}

#[test]
fn of_all_connections_is_kept() {
    let server = Setup::new(Engine::Embedded).env("MAX_CONNECTIONS", 3).start();
    // Whether a request on this connection is answered, to the end of the answer.
    let ask = |connection: &mut TcpStream| {
        let timeout = connection.set_read_timeout(Some(Duration::from_secs(60)));
        timeout.expect("a timeout is no zero");
        let asked = connection.write_all(b"GET /users/me HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let mut answer = Vec::new();
        asked.is_ok()
            && loop {
                let mut more = [0; 1024];
                match connection.read(&mut more) {
                    Ok(0) | Err(_) => break false,
                    Ok(bytes) => answer.extend_from_slice(&more[..bytes]),
                }
                if answer.ends_with(b"}") {
                    break answer.starts_with(b"HTTP/1.1 401");
                }
            }
    };
    let connect = || TcpStream::connect(("127.0.0.1", server.port())).expect("the system takes it");
    let mut open: Vec<TcpStream> = (0..3).map(|_| connect()).collect();
    assert!(open.iter_mut().all(ask));
    assert!(!ask(&mut connect()), "one too many");
    assert!(open.iter_mut().all(ask), "the others are not disturbed");
    open.pop();
    eventually("the place is free again", Duration::from_secs(60), || {
        ask(&mut connect()).then_some(())
    });
}

#[test]
fn of_what_waits_for_a_stalled_reader_ends_it() {
    let server = Server::start(Engine::Embedded);
    run("stalled.js", &server, json!({"bytes": 4_000, "most": 40_000}));
}

#[test]
fn of_what_one_sender_may_send_to_a_stalled_reader_leave_room_for_others() {
    let server = Server::start(Engine::Embedded);
    let [friend, _] = server.new_users();
    let friend = server.token(&friend);
    run(
        "flooded.js",
        &server,
        json!({"friend": friend, "bytes": 4_000, "most": 40_000}),
    );
}

#[test]
fn of_attachments_are_those_of_an_event() {
    let server = Server::start(Engine::Embedded);
    let [user] = server.new_users();
    let attached = |client: &mut Raw, bytes: usize| {
        let head = [&[0x82, 0x80 | 127][..], &(bytes as u64).to_be_bytes(), &[0; 4]].concat();
        client.send([head, vec![0; bytes]].concat())
    };
    let mut client = Raw::connect(&server);
    client.authenticate(&server.token(&user));
    client
        .say("451-7[\"hello\",{\"_placeholder\":true,\"num\":0}]")
        .expect("it is open");
    attached(&mut client, 60_000).expect("it is open");
    let answer = client.text().expect("an answer");
    assert!(
        answer.starts_with("437") && answer.contains("unknown_event"),
        "{answer}"
    );
    client.say("452-8[\"hello\"]").expect("it is open");
    for _ in 0..2 {
        attached(&mut client, 60_000).expect("it is open");
    }
    let answer = client.text().expect("an answer");
    assert!(
        answer.starts_with("438") && answer.contains("payload_too_large"),
        "{answer}"
    );
    // Sixty of the longest would be held, for as long as one of them is missing.
    client.say("4560-9[\"hello\"]").expect("it is open");
    let sent = (0..59).all(|_| attached(&mut client, 100_000).is_ok());
    assert!(!sent || client.is_ended());
}

#[test]
fn whoever_leaves_holds_no_connection() {
    let server = Server::start(Engine::Embedded);
    let [user] = server.new_users();
    let token = server.token(&user);
    let mut client = Raw::connect(&server);
    client.authenticate(&token);
    client.say("41").expect("it is open");
    assert_eq!(client.text(), None);

    let mut polling = Raw::connect(&server);
    let session = polling.authenticate_polling(&token);
    polling.post(&session, "41").expect("it is open");
    assert_eq!(polling.answer().expect("an answer").status, 200);
    eventually("the session is gone", Duration::from_secs(10), || {
        polling.post(&session, "3").expect("it is open");
        (polling.answer().expect("an answer").status == 400).then_some(())
    });
}

#[test]
fn what_an_ended_connection_asked_for_is_no_fault_of_the_server() {
    let server = Server::start(Engine::Embedded);
    let [user] = server.new_users();
    let mut client = Raw::connect(&server);
    client.authenticate(&server.token(&user));
    for number in 0..200 {
        client
            .say(&format!("42{number}[\"conversations\",{{}}]"))
            .expect("it is open");
    }
    client.say(&format!("40/{},", "a".repeat(200))).expect("it is open");
    assert!(client.is_ended());
    eventually("it is said", Duration::from_secs(10), || {
        server.stderr().contains("a connection was ended").then_some(())
    });
    std::thread::sleep(Duration::from_millis(500));
    let log = server.stderr();
    assert!(!log.contains("unanswered"), "{log}");
}
