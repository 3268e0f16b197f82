//! A part of the server that panics: the rest stops in order, whoever asked is answered, nothing acknowledged is lost,
//! and the process ends with a status that has it started again.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::certificate::Authority;
use testkit::node::Script;
use testkit::process::eventually;
use testkit::{Engine, Server, Setup};

use crate::listed;
use crate::storm::Storm;

/// The parts that every server has.
const COMMON: [&str; 14] = [
    "access-changes",
    "connections",
    "conversation-updates",
    "heartbeat",
    "listener",
    "message-delivery",
    "message-store",
    "presence",
    "presence-watch",
    "reads",
    "receipts",
    "remote-changes",
    "timers",
    "typing",
];

/// Those of the embedded store: its threads, and their failpoints.
const EMBEDDED: [(&str, &str); 3] = [
    ("store-writer", "sqlite::writer"),
    ("projector", "sqlite::projector"),
    ("checkpoint", "sqlite::checkpoint"),
];

/// Those of the store in MongoDB.
const MONGO: [&str; 6] = [
    "change-poller",
    "inbox-builder",
    "inbox-projector",
    "integrity",
    "summary-lookup",
    "user-lookup",
];

/// Messages of this length fill the write-ahead log until it is copied.
const LONG_TEXT: usize = 16_000;

/// How long a stop may take in all.
const DEADLINE: Duration = Duration::from_secs(10);

#[test]
fn the_lists_of_parts_are_complete() {
    let threads = EMBEDDED.map(|(part, _)| part);
    for (engine, own) in [(Engine::Embedded, &threads[..]), (Engine::Mongo, &MONGO[..])] {
        let server = Setup::new(engine)
            .env("LOG_LEVEL", "info,server::supervisor=debug")
            .start();
        let listed: BTreeSet<String> = COMMON.iter().chain(own).map(|name| (*name).to_owned()).collect();
        eventually("all parts have started", Duration::from_secs(60), || {
            (started(&server).len() >= listed.len()).then_some(())
        });
        assert_eq!(started(&server), listed);
    }
}

/// The names of the parts that a server has started, as it logs them.
fn started(server: &Server) -> BTreeSet<String> {
    let log = server.stderr();
    let lines = log.lines().filter(|line| line.contains("server::supervisor: started"));
    let names = lines.filter_map(|line| line.split("task=\"").nth(1)?.split('"').next());
    names.map(str::to_owned).collect()
}

#[test]
fn a_part_that_panics_ends_the_server_embedded() {
    for (part, failpoint) in EMBEDDED {
        ends_the_server(Engine::Embedded, part, failpoint);
    }
    for part in COMMON {
        ends_the_server(Engine::Embedded, part, &format!("task::{part}"));
    }
}

#[test]
fn a_part_that_panics_ends_the_server_mongo() {
    for part in MONGO.into_iter().chain(["message-store", "receipts"]) {
        ends_the_server(Engine::Mongo, part, &format!("task::{part}"));
    }
}

fn ends_the_server(engine: Engine, part: &str, failpoint: &str) {
    println!("{part} on {engine:?}");
    let mut server = Setup::new(engine).failpoints(&format!("{failpoint}=panic")).start();
    let trigger = server.folder().join("fail-now");
    let bytes = if part == "checkpoint" { LONG_TEXT } else { 0 };
    let more = json!({"window": 20, "bytes": bytes, "tolerated": ["internal"]});
    let mut storm = Storm::start::<4>(&server, &server.url(), more);
    storm.more(50);
    let [a, b] = server.new_users();
    let argument = json!({"url": server.url(), "token": server.token(&a), "receiver": b, "count": 1_000});
    let mut client = Script::start("drain.js", &argument);
    let first = client.report().expect("an answer");

    fs::write(&trigger, "").expect("the server's folder is writable");
    let (status, _) = server.ended();
    let log = server.stderr();
    // Without it nothing can be written to the database, and what was taken has no certain answer.
    let expected = if part == "integrity" { vec![1, 3] } else { vec![1] };
    assert!(
        expected.iter().any(|code| status.code() == Some(*code)),
        "{part}: {status}\n{log}"
    );
    let told = log.lines().find(|line| line.contains("a part of the server panicked"));
    let told = told.unwrap_or_else(|| panic!("{part} is not named: {log}"));
    assert!(told.contains(&format!("task=\"{part}\"")), "{told}");
    if status.code() == Some(1) {
        assert!(log.contains(&format!("a part of the server failed: {part}")), "{log}");
    }
    assert!(
        TcpStream::connect(("127.0.0.1", server.port())).is_err(),
        "nobody listens"
    );

    let mut answers = client.finish();
    assert_eq!(answers.pop(), Some(json!({"done": true})));
    assert!(answers.pop().expect("the connection ended")["disconnected"].is_string());
    answers.insert(0, first);
    all_that_was_read_is_answered(part, &answers);

    fs::remove_file(&trigger).expect("it is there");
    server.restart();
    storm.more(50);
    storm.finish(&server);
    let stored: BTreeSet<String> = listed(&server.history(&a, &b))
        .into_iter()
        .map(|(text, _)| text)
        .collect();
    for answer in answers.iter().filter(|answer| answer["ok"] == true) {
        assert!(stored.contains(text(answer)), "{part}: {answer} is lost");
    }
}

/// Requests are read in the order of sending. So if one has its answer, all before it must have theirs.
fn all_that_was_read_is_answered(part: &str, answers: &[Value]) {
    let number = |answer| text(answer).trim_start_matches("message ").parse().expect("a number");
    let mut numbers: Vec<usize> = answers.iter().map(number).collect();
    numbers.sort_unstable();
    assert_eq!(
        numbers,
        (0..answers.len()).collect::<Vec<_>>(),
        "{part}: a request has no answer"
    );
    let refused = answers.iter().filter(|answer| answer["ok"] == false);
    let codes: BTreeSet<&str> = refused.map(|answer| answer["code"].as_str().expect("a code")).collect();
    let honest = ["internal", "overloaded", "shutting_down", "store_unavailable"];
    assert!(codes.iter().all(|code| honest.contains(code)), "{part}: {codes:?}");
}

fn text(answer: &Value) -> &str {
    answer["text"].as_str().expect("a text")
}

#[test]
fn the_stop_after_a_panic_keeps_the_deadline() {
    let mut server = Setup::new(Engine::Embedded)
        .failpoints("task::typing=panic")
        .on_hanging_disk()
        .start();
    server.hang_disk(true);
    fs::write(server.folder().join("fail-now"), "").expect("the server's folder is writable");
    let (status, elapsed) = server.ended();
    assert_eq!(status.code(), Some(3), "{}", server.stderr());
    assert!(elapsed < DEADLINE, "{elapsed:?}");
}

/// The part that only servers with TLS have.
#[test]
fn the_keeper_of_the_certificate_ends_the_server_when_it_panics() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().expect("a folder");
    let (certificate, key) = authority.issue(1).write(folder.path());
    let mut server = Setup::new(Engine::Embedded)
        .env("TLS_CERT", certificate.display())
        .env("TLS_KEY", key.display())
        .failpoints("task::certificates=panic")
        .start();
    fs::write(server.folder().join("fail-now"), "").expect("the server's folder is writable");
    let (status, _) = server.ended();
    let log = server.stderr();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("a part of the server failed: certificates"), "{log}");
}
