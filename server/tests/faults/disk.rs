//! A full disk under the embedded store: senders are told, nothing is acknowledged that isn't stored, and the server
//! goes on by itself when there is room again.
//!
//! The disk is a limit on the size of the server's files, which needs no rights: to the store a file that can't grow
//! is the same failure.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::node::Script;
use testkit::process::eventually;
use testkit::{Engine, Server, Setup};

use crate::ready;
use crate::storm::Storm;

const TIMEOUT: Duration = Duration::from_secs(60);

/// Until it is said that the disk is full.
const SAID: Duration = Duration::from_secs(20);

/// What is left on the disk when it begins to be full, in bytes.
const ROOM: u64 = 512 * 1024;

#[test]
fn a_full_disk_is_told_and_outlived() {
    is_told_and_outlived(Server::start(Engine::Embedded));
}

/// The log says that nothing is stored for as long as that is so, and again when the disk is filled once more.
#[test]
fn the_log_says_how_long_a_disk_is_full() {
    const FULL: &str = "messages are not stored";
    const ROOM_AGAIN: &str = "messages are stored again";
    let server = Server::start(Engine::Embedded);
    let mut storm = Storm::start::<8>(&server, &server.url(), json!({"window": 10, "bytes": 1_000}));
    storm.more(500);
    let says = |last: &str| {
        let log = server.stderr();
        let said = log
            .lines()
            .rfind(|line| line.contains(FULL) || line.contains(ROOM_AGAIN));
        said.is_some_and(|line| line.contains(last)).then_some(())
    };
    for time in 1..=2 {
        fill_up(&server);
        // Sooner than a minute after the last such line, which may be one of the same fault.
        eventually("the log says that nothing is stored", SAID, || says(FULL));
        server.limit_files(None);
        storm.more(500);
        eventually("the log says that it is over", TIMEOUT, || says(ROOM_AGAIN));
        assert!(server.stderr().matches(FULL).count() >= time, "{}", server.stderr());
    }
    storm.finish(&server);
}

#[test]
fn a_full_disk_that_holds_the_log_as_well_is_told_and_outlived() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("log");
    // Larger than any limit below, and nothing but a hole: no line fits while the disk is full.
    let log = File::create(&path).expect("a file");
    log.set_len(1 << 40).expect("the disk has holes");
    let server = Setup::new(Engine::Embedded).redirected(format!("2>>'{}'", path.display()));
    is_told_and_outlived(server.start());
    let mut tail = String::new();
    let mut log = File::open(&path).expect("the log");
    log.seek(SeekFrom::Start(1 << 40)).expect("it is that long");
    log.read_to_string(&mut tail).expect("a text");
    assert!(tail.contains("log lines could not be written"), "{tail}");
}

fn is_told_and_outlived(mut server: Server) {
    let mut storm = Storm::start::<8>(&server, &server.url(), json!({"window": 10, "bytes": 1_000}));
    let [a, b] = server.new_users();
    let argument = json!({
        "url": server.url(),
        "token": server.token(&a),
        "receiver": b,
        "clientMessageId": "onto the full disk",
    });
    let mut client = Script::start("outage.js", &argument);
    assert_eq!(client.report(), Some(json!({"connected": true})));

    storm.more(500);
    fill_up(&server);
    client.tell(&Value::Null);
    let answer = client.report().expect("an answer")["answer"].clone();
    assert_eq!(
        (&answer["ok"], &answer["error"]["code"]),
        (&json!(false), &json!("store_unavailable")),
        "{answer}"
    );
    assert!(answer["error"]["retryAfterMs"].as_u64() > Some(0), "{answer}");
    // What is there can still be read.
    assert_eq!(server.history(&a, &b), Vec::<Value>::new());

    server.limit_files(None);
    eventually("the server is ready again", TIMEOUT, || ready(&server).then_some(()));
    client.tell(&Value::Null);
    let answer = client.report().expect("an answer")["answer"].clone();
    assert_eq!(answer["ok"], true, "{answer}");
    client.finish();
    assert_eq!(server.history(&a, &b), [answer["message"].clone()]);
    storm.more(500);

    // Once more, and what it holds then has to survive a crash.
    fill_up(&server);
    server.kill();
    server.restart();
    storm.more(500);
    let tally = storm.finish(&server);
    assert!(tally.refused.contains_key("store_unavailable"), "{tally:?}");
    assert!(
        tally.refused.keys().all(|code| code == "store_unavailable"),
        "{tally:?}"
    );
}

/// Leaves little room, and returns when the load has used it up.
fn fill_up(server: &Server) {
    let files = fs::read_dir(server.folder().join("data")).expect("its data");
    let sizes = files.map(|file| {
        file.and_then(|file| file.metadata())
            .map_or(0, |metadata| metadata.len())
    });
    server.limit_files(Some(sizes.max().unwrap_or(0) + ROOM));
    eventually("the disk is nearly full, and the server says so", TIMEOUT, || {
        (!ready(server)).then_some(())
    });
    // The load goes on until nothing fits any more, not even somebody's name.
    let mut names = 0..;
    eventually("the disk is full", TIMEOUT, || {
        let name = format!("one of too many, {:?}", names.next());
        let answer = server.post("/users", &server.admin_token(), &json!({"username": name}));
        (answer.status == 503).then_some(())
    });
    assert!(
        !ready(server),
        "what little was written meanwhile does not make it ready"
    );
}
