//! A data directory that is deleted, moved, damaged or taken by a second server, as an operator sees it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Value, json};
use testkit::node::Script;
use testkit::process::{Process, eventually};
use testkit::server::{SECRET, command};
use testkit::{Engine, Server, Setup};

use crate::ready;

const TIMEOUT: Duration = Duration::from_secs(60);

fn data(server: &Server) -> PathBuf {
    server.folder().join("data")
}

/// Sends messages, one after the other; the answers.
fn send(server: &Server, [from, to]: [&str; 2], texts: &[&str]) -> Vec<Value> {
    let send = |text: &&str| {
        let argument = json!({"url": server.url(), "token": server.token(from), "receiver": to, "texts": [text]});
        let answer = Script::start("send.js", &argument).finish().remove(0);
        serde_json::from_str(answer["answer"].as_str().expect("a text")).expect("JSON")
    };
    texts.iter().map(send).collect()
}

fn all_ok(answers: &[Value]) {
    assert!(answers.iter().all(|answer| answer["ok"] == true), "{answers:?}");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for file in fs::read_dir(from).expect("a folder") {
        let file = file.expect("an entry");
        fs::copy(file.path(), to.join(file.file_name())).expect("a copy");
    }
}

/// Starts a server that is to end by itself. Returns whether it ended well, and its standard error.
fn run_to_end(folder: &Path, data: &Path, arguments: &[&str]) -> String {
    let mut command = command(folder);
    command
        .args(arguments)
        .env("DATA_DIR", data)
        .env("PORT", "0")
        .env("JWT_SECRET", SECRET);
    let mut process = Process::spawn(&mut command);
    let status = process.wait(TIMEOUT).expect("it ends by itself");
    assert_eq!(status.code(), Some(1), "{}", process.stderr());
    process.stderr()
}

#[test]
fn a_directory_that_is_moved_away_is_noticed_and_heals() {
    let server = Server::start(Engine::Embedded);
    let [a, b] = server.new_users();
    all_ok(&send(&server, [&a, &b], &["before"]));
    let away = server.folder().join("away");
    fs::rename(data(&server), &away).expect("it can be moved");
    // Nobody has to write or to ask for it to be noticed.
    eventually("it is noticed", TIMEOUT, || {
        server
            .stderr()
            .contains("chat.db was deleted or moved away")
            .then_some(())
    });
    for answer in send(&server, [&a, &b], &["lost", "lost, too"]) {
        assert_eq!(answer["error"]["code"], "store_unavailable", "{answer}");
    }
    assert!(!ready(&server));
    for _ in 0..5 {
        send(&server, [&a, &b], &["not stored"]);
        let history = server.get(&format!("/chat/history/{a}/{b}"), &server.token(&a));
        assert_eq!(
            history.status, 200,
            "what was stored can still be read: {}",
            history.body
        );
        let name = json!({"usernames": [format!("{a}-too")]});
        assert_eq!(server.post("/users", &server.admin_token(), &name).status, 503);
    }
    // Nor is it taken for the original what somebody puts in its place.
    fs::create_dir(data(&server)).expect("a folder");
    assert!(!ready(&server));
    fs::remove_dir(data(&server)).expect("it is empty");
    fs::rename(&away, data(&server)).expect("it can be moved");
    eventually("it is ready again", TIMEOUT, || ready(&server).then_some(()));
    all_ok(&send(&server, [&a, &b], &["after"]));
    let lines = server.stderr();
    let errors = lines
        .lines()
        .filter(|line| line.contains("ERROR") && line.contains("nothing is stored any more"));
    assert_eq!(errors.count(), 1, "{lines}");
    // Nobody says twice that it can't do its work, however often it tries.
    let mut said = BTreeSet::new();
    for line in lines.lines() {
        let Some(at) = line.find(" WARN ").or_else(|| line.find("ERROR ")) else {
            continue;
        };
        let what = line[at..].split(" error=").next().expect("a text");
        assert!(said.insert(what), "{what:?} is said again in {lines}");
    }
    eventually("it is said that messages are stored again", TIMEOUT, || {
        server.stderr().contains("messages are stored again").then_some(())
    });
    let texts = server
        .history(&a, &b)
        .into_iter()
        .map(|message| message["message"].clone());
    assert_eq!(texts.collect::<Vec<_>>(), ["before", "after"]);
}

#[test]
fn a_deleted_directory_is_told_and_nothing_is_acknowledged() {
    let mut server = Server::start(Engine::Embedded);
    let [a, b] = server.new_users();
    fs::remove_dir_all(data(&server)).expect("it can be deleted");
    let answer = send(&server, [&a, &b], &["lost"]).remove(0);
    assert_eq!(answer["error"]["code"], "store_unavailable", "{answer}");
    assert!(!ready(&server));
    let (status, elapsed) = server.terminate();
    assert!(elapsed < Duration::from_secs(10), "{elapsed:?}");
    assert!(!status.success(), "not all could be written");
    assert!(server.stderr().contains("/proc/"), "{}", server.stderr());
}

#[test]
fn a_second_server_is_refused_though_the_lock_file_is_gone() {
    let server = Server::start(Engine::Embedded);
    let folder = tempfile::tempdir().expect("a folder");
    let refused = |data: &Path| {
        let stderr = run_to_end(folder.path(), data, &[]);
        assert!(stderr.contains("in use by another process"), "{stderr}");
        assert!(stderr.contains(&data.display().to_string()), "{stderr}");
    };
    refused(&data(&server));
    fs::remove_file(data(&server).join("lock")).expect("there is one");
    refused(&data(&server));
    // Neither by another way to the same file.
    let away = server.folder().join("away");
    fs::rename(data(&server), &away).expect("it can be moved");
    fs::remove_file(away.join("lock")).expect("the other one made one");
    refused(&away);
    fs::rename(&away, data(&server)).expect("it can be moved");
    eventually("the first one is ready", TIMEOUT, || ready(&server).then_some(()));
}

#[test]
fn a_second_server_that_was_refused_leaves_no_trace() {
    let mut server = Server::start(Engine::Embedded);
    let [a, b] = server.new_users();
    all_ok(&send(&server, [&a, &b], &["one"]));
    let folder = data(&server);
    let known = || fs::read_to_string(folder.join("known.json")).unwrap_or_default();
    eventually("what is known is kept", TIMEOUT, || {
        known().contains(r#""messages":1"#).then_some(())
    });
    fs::remove_file(folder.join("lock")).expect("there is one");
    let elsewhere = tempfile::tempdir().expect("a folder");
    let refused = run_to_end(elsewhere.path(), &folder, &[]);
    assert!(refused.contains("in use by another process"), "{refused}");
    assert!(
        !known().contains("logPages"),
        "a running process was taken for a dead one: {}",
        known()
    );
    server.terminate();
    server.restart();
    assert_eq!(server.history(&a, &b).len(), 1);
}

#[test]
fn a_start_counts_messages_and_nothing_else() {
    let mut server = Server::start(Engine::Embedded);
    let [a, b] = server.new_users();
    for invisible in [true, false] {
        let body = json!({ "invisible": invisible }).to_string().into_bytes();
        let mut request = server.request("PATCH", "/users/me/settings", &server.token(&a), body);
        let json = "application/json".parse().expect("a value");
        request.headers_mut().insert("content-type", json);
        assert_eq!(testkit::http::send(request).status, 200);
        all_ok(&send(&server, [&a, &b], &["one"]));
    }
    server.terminate();
    server.restart();
    let found = server.stderr();
    assert!(found.contains("messages=2 ") && found.contains("changes=4"), "{found}");
}

#[test]
fn a_log_that_was_cut_is_refused_unless_the_loss_is_accepted() {
    let mut server = Setup::new(Engine::Embedded).env("CHECK_STORE", true).start();
    assert!(
        server.stderr().contains("created the embedded database"),
        "{}",
        server.stderr()
    );
    let [a, b] = server.new_users();
    all_ok(&send(&server, [&a, &b], &["one", "two", "three"]));
    let folder = data(&server);
    let known = || fs::read_to_string(folder.join("known.json")).unwrap_or_default();
    eventually("what is known is kept", TIMEOUT, || {
        known().contains(r#""messages":3"#).then_some(())
    });
    server.terminate();
    server.restart();
    let found = server.stderr();
    for word in [
        "found the embedded database",
        "messages=3",
        "schema=",
        "last_message=",
        "chat.db",
        "it is whole",
    ] {
        assert!(found.contains(word), "{word:?} is not in {found}");
    }
    all_ok(&send(&server, [&a, &b], &["four"]));
    eventually("what is known is kept", TIMEOUT, || {
        known().contains(r#""messages":4"#).then_some(())
    });
    server.kill();
    let cut = server.folder().join("cut");
    copy(&data(&server), &cut);
    fs::write(cut.join("chat.db-wal"), "").expect("it can be emptied");
    let stderr = run_to_end(server.folder(), &cut, &[]);
    for word in [
        "Expected: at least 4 changes",
        "Found: only 3 changes",
        "from a backup",
        "--accept-loss",
    ] {
        assert!(stderr.contains(word), "{word:?} is not in {stderr}");
    }
    let mut accepting = command(server.folder());
    accepting
        .arg("--accept-loss")
        .env("DATA_DIR", &cut)
        .env("PORT", "0")
        .env("JWT_SECRET", SECRET);
    let process = Process::spawn(&mut accepting);
    eventually("it starts", TIMEOUT, || {
        process.stdout().contains("Server running").then_some(())
    });
    assert!(
        process.stderr().contains("WARN") && process.stderr().contains("at least 4 changes"),
        "{}",
        process.stderr()
    );
}

#[test]
fn what_is_known_is_told_when_it_cannot_be_kept_and_when_it_can_again() {
    let server = Server::start(Engine::Embedded);
    let [a, b] = server.new_users();
    // In the place of the draft.
    let obstacle = data(&server).join("known.json.new");
    eventually("nobody writes it now", TIMEOUT, || fs::create_dir(&obstacle).ok());
    all_ok(&send(&server, [&a, &b], &["one"]));
    eventually("it is told", TIMEOUT, || {
        server
            .stderr()
            .contains("known: writing known.json failed")
            .then_some(())
    });
    fs::remove_dir(&obstacle).expect("it is empty");
    eventually("its end is told", TIMEOUT, || {
        server.stderr().contains("known.json is written again").then_some(())
    });
}

/// A clock that was a day ahead and was set right: as if the messages of before the restart had been made by it.
#[test]
fn messages_of_a_clock_that_was_ahead_stay_in_front_of_new_ones() {
    let mut server = Server::start(Engine::Embedded);
    let [a, b] = server.new_users();
    all_ok(&send(&server, [&a, &b], &["one", "two"]));
    assert!(!server.stderr().contains("the clock"), "{}", server.stderr());
    server.terminate();
    let database = Connection::open(data(&server).join("chat.db")).expect("a database");
    database
        .execute(
            "UPDATE messages SET created_at = created_at + 86400000, updated_at = updated_at + 86400000",
            [],
        )
        .expect("it can be written");
    drop(database);
    server.restart();
    // The log has a thread of its own, which can come later than the port.
    eventually("a warning of the clock", TIMEOUT, || {
        let log = server.stderr();
        (log.contains("the clock is earlier than the newest message") && log.contains("lag=8")).then_some(())
    });
    all_ok(&send(&server, [&a, &b], &["three"]));
    server.restart();
    all_ok(&send(&server, [&a, &b], &["four"]));
    let texts = server
        .history(&a, &b)
        .into_iter()
        .map(|message| message["message"].clone());
    assert_eq!(texts.collect::<Vec<_>>(), ["one", "two", "three", "four"]);
}
