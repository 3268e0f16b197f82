//! The log tells what happened, never what people say to each other or what lets them in. Nobody waits for it, and
//! nothing ends because of it.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Engine, Server, Setup, node};

use crate::ready;

/// What a pipe holds on Linux, in bytes.
const PIPE_BYTES: usize = 64 * 1024;

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

/// A named pipe, opened for both ends so that whoever writes to it need not wait for a reader.
fn named_pipe(path: &Path) -> File {
    let made = Command::new("mkfifo")
        .arg(path)
        .status()
        .expect("mkfifo can be started");
    assert!(made.success());
    File::options()
        .read(true)
        .write(true)
        .open(path)
        .expect("it can be opened")
}

/// A server that has logged at least a line, and said one, when it has started, to where the shell sends them.
fn redirected(redirects: impl Into<String>) -> Server {
    let server = Setup::new(Engine::Embedded)
        .env("LEGACY_OPEN_HISTORY", true)
        .env("LOG_LEVEL", "debug");
    server.redirected(redirects).start()
}

fn lost_lines(server: &Server) -> u64 {
    let answer = server.get("/readyz", "");
    let lost = answer.json()["log"]["lostLines"].as_u64();
    lost.unwrap_or_else(|| panic!("no number: {}", answer.body))
}

/// It is ready, takes a message and gives it back.
fn assert_works(server: &Server) {
    assert!(ready(server));
    let [a, b] = server.new_users();
    let argument = json!({"url": server.url(), "token": server.token(&a), "receiver": b, "texts": ["hello"]});
    assert_eq!(node::run("send.js", &argument).len(), 2, "an answer and the end");
    assert_eq!(server.history(&a, &b).len(), 1);
}

fn assert_stops_well(mut server: Server, what: &str) {
    let (status, elapsed) = server.terminate();
    assert!(
        status.success() && elapsed < Duration::from_secs(10),
        "{what}: {status} after {elapsed:?}"
    );
}

#[test]
fn is_lost_and_counted_where_nothing_can_be_written() {
    for (redirects, counted) in [
        ("2>/dev/full", true),
        (">/dev/full", false),
        (">/dev/full 2>&1", true),
        (">&- 2>&-", false),
    ] {
        let server = redirected(redirects);
        assert_works(&server);
        assert_eq!(lost_lines(&server) > 0, counted, "{redirects}");
        assert_stops_well(server, redirects);
    }
}

#[test]
fn is_lost_and_counted_where_its_reader_is_gone() {
    let folder = tempfile::tempdir().expect("a folder");
    for stream in [1, 2] {
        let path = folder.path().join(stream.to_string());
        let mut reader = BufReader::new(named_pipe(&path));
        let server = redirected(format!("{stream}>'{}'", path.display()));
        // As `head -1` does.
        let mut line = String::new();
        reader.read_line(&mut line).expect("a line");
        drop(reader);
        assert_works(&server);
        assert_eq!(lost_lines(&server) > 0, stream == 2, "{stream}");
        assert_stops_well(server, &format!("{stream}>"));
    }
}

#[test]
fn waits_for_a_reader_that_stalls_and_nobody_else_does() {
    let folder = tempfile::tempdir().expect("a folder");
    for stream in [1, 2] {
        let path = folder.path().join(stream.to_string());
        let mut pipe = named_pipe(&path);
        // Full, so that the first line has to wait.
        pipe.write_all(&[b'\n'; PIPE_BYTES]).expect("a pipe holds that much");
        let server = redirected(format!("{stream}>'{}'", path.display()));
        assert_works(&server);
        let mut reader = BufReader::new(pipe);
        let mut line = "\n".to_owned();
        while line == "\n" {
            line.clear();
            reader.read_line(&mut line).expect("a line");
        }
        let expected = ["Embedded store opened", "LEGACY_OPEN_HISTORY"][stream - 1];
        assert!(line.contains(expected), "the first one came out: {line}");
        assert_eq!(lost_lines(&server), 0);
        assert_stops_well(server, &format!("{stream}>, read again"));
    }
}

#[test]
fn does_not_hold_up_the_stop_where_its_reader_stalls() {
    let folder = tempfile::tempdir().expect("a folder");
    for stream in [1, 2] {
        let path = folder.path().join(stream.to_string());
        let mut pipe = named_pipe(&path);
        pipe.write_all(&[b'\n'; PIPE_BYTES]).expect("a pipe holds that much");
        let server = redirected(format!("{stream}>'{}'", path.display()));
        assert_stops_well(server, &format!("{stream}>"));
    }
}
