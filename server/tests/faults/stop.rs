//! SIGTERM: what was taken is finished and answered, nobody stays online, and the server ends well and soon.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use testkit::node::Script;
use testkit::process::{Process, eventually};
use testkit::raw::Raw;
use testkit::server::{SECRET, command};
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
        // The latter of a sender who has too much under way.
        let code = answer["code"].as_str().expect("a code");
        assert!(["shutting_down", "overloaded"].contains(&code), "{answer}");
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
fn a_quit_stops_it_as_well_and_other_signals_do_nothing() {
    let mut server = Server::start(Engine::Embedded);
    for signal in ["HUP", "USR1", "USR2"] {
        server.signal(signal);
        eventually("it says that it ignored the signal", Duration::from_secs(60), || {
            server.stderr().contains(&format!("SIG{signal}")).then_some(())
        });
        assert_eq!(server.get("/readyz", "").status, 200);
    }
    let (status, elapsed) = server.stop("QUIT");
    assert!(
        status.success() && elapsed < Duration::from_secs(10),
        "{status} after {elapsed:?}"
    );
    assert!(server.stdout().contains("Server stopped"));
}

/// It neither waits for the database nor calls it a failure that it isn't there yet.
#[test]
fn is_heard_while_the_server_waits_for_its_database() {
    let folder = tempfile::tempdir().expect("a folder");
    let mute = TcpListener::bind("127.0.0.1:0").expect("a port");
    let uri = format!("mongodb://{}/chat", mute.local_addr().expect("an address"));
    let settings = [("PORT", "0"), ("JWT_SECRET", SECRET), ("MONGO_URI", &uri)];
    let process = Process::spawn(command(folder.path()).envs(settings));
    // It has begun, and will get no answer.
    let (_connection, _) = mute.accept().expect("a connection");
    assert_ends_unstarted(process);
}

/// As on a disk that hangs.
#[test]
fn is_heard_while_the_server_waits_for_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("data")).expect("a folder");
    let secret = folder.path().join("data/jwt_secret");
    assert!(Command::new("mkfifo").arg(&secret).status().expect("mkfifo").success());
    let process = Process::spawn(command(folder.path()).env("PORT", "0"));
    // Opened once the server opens it for reading; then it waits for what is written, which is nothing.
    let _pipe = File::options().write(true).open(&secret).expect("it is opened");
    assert_ends_unstarted(process);
}

fn assert_ends_unstarted(mut process: Process) {
    process.signal("TERM");
    let status = process.wait(Duration::from_secs(60));
    let (stdout, stderr) = (process.stdout(), process.stderr());
    assert!(status.is_some_and(|status| status.success()), "{status:?}: {stderr}");
    assert!(
        stdout.contains("Server stopped") && !stdout.contains("Server running"),
        "{stdout}"
    );
    assert!(!stderr.contains("error"), "{stderr}");
}

#[test]
fn a_client_that_does_not_read_does_not_delay_it() {
    let mut server = Server::start(Engine::Embedded);
    let [user] = server.new_users();
    let token = server.token(&user);
    let mut client = Raw::connect(&server);
    client.authenticate(&token);
    client.say("420[\"sync\",{}]").expect("it is open");
    let answer = client.text().expect("an answer");
    let begun: serde_json::Value = serde_json::from_str(&answer[3..]).expect("an answer");
    for number in 1..=15 {
        let message = json!(["send_message", { "receiverId": user, "message": "x".repeat(16_000) }]);
        client.say(&format!("42{number}{message}")).expect("it is open");
        while !client.text().expect("an answer").starts_with(&format!("43{number}[")) {}
    }
    let mut stalled = Raw::narrow(&server);
    stalled.authenticate(&token);
    let sync = json!(["sync", { "since": begun[0]["next"] }]);
    for number in 0..100 {
        stalled.say(&format!("42{number}{sync}")).expect("it is open");
    }
    std::thread::sleep(Duration::from_secs(2));
    let (status, took) = server.terminate();
    assert!(
        status.success() && took < Duration::from_secs(8),
        "{status} after {took:?}"
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
