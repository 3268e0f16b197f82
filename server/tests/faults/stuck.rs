//! A stop while the store hangs or is away: it keeps its deadline, answers whoever waits, and says what was left undone.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::mongod::Mongod;
use testkit::node::Script;
use testkit::process::eventually;
use testkit::server::with_database;
use testkit::{Engine, Server, Setup};

use crate::ready;

/// How long a stop may take in all.
const DEADLINE: Duration = Duration::from_secs(10);

const TIMEOUT: Duration = Duration::from_secs(60);

#[test]
fn a_stop_keeps_its_deadline_while_mongod_is_stopped() {
    let mongod = Mongod::replica_set(1);
    let server = Setup::on(&with_database(&mongod.uri(), "stuck")).start();
    stops(server, || mongod.pause(0));
}

#[test]
fn a_stop_keeps_its_deadline_while_mongod_is_gone() {
    let mongod = Mongod::replica_set(1);
    let server = Setup::on(&with_database(&mongod.uri(), "stuck")).start();
    stops(server, || mongod.kill(0));
}

#[test]
fn a_stop_keeps_its_deadline_on_a_disk_that_hangs() {
    let server = Setup::new(Engine::Embedded).on_hanging_disk().start();
    let folder = server.folder().to_owned();
    stops(server, || {
        std::fs::write(folder.join("disk-hangs"), "").expect("the server's folder is writable");
    });
}

#[test]
fn a_stop_says_what_was_left_undone_although_nobody_waits_for_it() {
    let mongod = Mongod::replica_set(1);
    let mut server = Setup::on(&with_database(&mongod.uri(), "idle")).start();
    mongod.kill(0);
    let (status, elapsed) = server.terminate();
    let log = server.stderr();
    assert!(elapsed < DEADLINE, "{elapsed:?}\n{log}");
    // Not 1: no part of it failed, and nobody has to start it again.
    assert_eq!(status.code(), Some(3), "{log}");
    assert!(log.contains("the store is not closed: "), "{log}");
}

fn stops(mut server: Server, hang: impl FnOnce()) {
    let [a, b] = server.new_users();
    let argument = json!({"url": server.url(), "token": server.token(&a), "receiver": b});
    let mut client = Script::start("stuck.js", &argument);
    assert!(client.report().expect("an answer")["marked"].is_object());
    hang();
    client.tell(&Value::Null);
    assert_eq!(client.report(), Some(json!({"taken": true})));

    let (status, elapsed) = server.terminate();
    let log = server.stderr();
    assert!(elapsed < DEADLINE, "{elapsed:?}\n{log}");
    assert_eq!(status.code(), Some(3), "{log}");
    let left = log.lines().find(|line| line.contains("the stop is not finished"));
    let left = left.unwrap_or_else(|| panic!("what was left is not said: {log}"));
    assert!(
        left.contains("the store is not closed") && left.contains("requests without"),
        "{left}"
    );

    let mut reports = client.finish();
    assert_eq!(reports.pop(), Some(json!({"done": true})));
    assert_eq!(reports.pop(), Some(json!({"disconnected": "transport close"})));
    let answers: BTreeMap<&str, &Value> = reports
        .iter()
        .map(|answer| (answer["event"].as_str().expect("an event"), &answer["code"]))
        .collect();
    let unknown = json!("store_unavailable");
    let expected = ["mark_delivered", "send_message", "update_settings"].map(|event| (event, &unknown));
    assert_eq!(answers, BTreeMap::from(expected), "each has one answer");
    assert_eq!(reports.len(), 3);
}

#[test]
fn writes_over_http_that_are_under_way_are_finished() {
    let mut server = Setup::new(Engine::Embedded).on_hanging_disk().start();
    server.hang_disk(true);
    let (body, token) = (r#"{"username":"late"}"#, server.admin_token());
    let mut connection = TcpStream::connect(("127.0.0.1", server.port())).expect("a connection");
    write!(
        connection,
        "POST /users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("a write");
    // Asked later, and answered after seconds.
    eventually("the disk hangs", TIMEOUT, || (!ready(&server)).then_some(()));
    server.signal("TERM");
    eventually("it stops", TIMEOUT, || {
        TcpStream::connect(("127.0.0.1", server.port())).is_err().then_some(())
    });
    server.hang_disk(false);
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let (status, _) = server.ended();
    assert!(status.success(), "{status}\n{}", server.stderr());
    server.restart();
    let found = server.get("/users?username=late", &token);
    assert_eq!(found.json()["users"][0]["username"], "late", "{}", found.body);
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    let mut server = Setup::new(Engine::Embedded).on_hanging_disk().start();
    server.hang_disk(true);
    server.signal("TERM");
    eventually("it stops", TIMEOUT, || {
        server.stderr().contains("stopping").then_some(())
    });
    let (status, _) = server.stop("INT");
    // Not 3, which the stop would end with by itself.
    assert_eq!(status.code(), Some(130), "{}", server.stderr());
}
