//! Clients that are known and do not read: what waits for them is bounded in bytes and in time, and they are ended
//! themselves.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::process::eventually;
use testkit::raw::Raw;
use testkit::{Engine, Server};

/// A text of which JSON writes each character with six.
fn large() -> String {
    "\u{1}".repeat(10_000)
}

/// Sends messages one after the other, and returns how many were taken before one was refused because too much waits for
/// the receiver.
fn send(client: &mut Raw, receiver: &str, text: &str, count: usize) -> usize {
    for number in 0..count {
        let message = json!(["send_message", {"receiverId": receiver, "message": text}]);
        client.say(&format!("42{number}{message}")).expect("it is open");
        let ack = format!("43{number}[");
        loop {
            let heard = client.text().expect("the sender is not ended");
            if let Some(answer) = heard.strip_prefix(&ack) {
                if answer.contains("overloaded") {
                    return number;
                }
                assert!(answer.starts_with("{\"ok\":true"), "{answer:.200}");
                break;
            }
        }
    }
    count
}

/// Authenticates a session that polls.
fn connect(polling: &mut Raw, session: &str, token: &str) {
    polling
        .post(session, &format!("40{{\"token\":\"{token}\"}}"))
        .expect("it is open");
    assert_eq!(polling.answer().expect("an answer").status, 200);
}

fn is_online(server: &Server, user: &str) -> bool {
    let answer = server.get(&format!("/users/{user}"), &server.admin_token()).json();
    answer["isOnline"] == Value::Bool(true)
}

#[test]
fn stalled_connections_of_a_user_are_bounded_in_bytes() {
    let server = Server::start(Engine::Embedded);
    let [sender, victim] = server.new_users();
    let files = server.open_files();
    let mut stalled: Vec<Raw> = (0..16).map(|_| Raw::narrow(&server)).collect();
    for client in &mut stalled {
        client.authenticate(&server.token(&victim));
    }
    let mut client = Raw::connect(&server);
    client.authenticate(&server.token(&sender));
    let before = server.resident_bytes();
    assert!(send(&mut client, &victim, &large(), 400) > 0);
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 100 << 20, "{grown} bytes");
    drop(client);
    eventually("all are ended", Duration::from_secs(120), || {
        (server.open_files() <= files).then_some(())
    });
    eventually("the user has left", Duration::from_secs(120), || {
        (!is_online(&server, &victim)).then_some(())
    });
    let lines = server
        .stderr()
        .lines()
        .filter(|line| line.contains("was ended"))
        .count();
    assert!(
        lines <= stalled.len(),
        "{lines} lines for {} connections",
        stalled.len()
    );
}

#[test]
fn a_session_that_does_not_poll_is_ended_itself() {
    let server = Server::start(Engine::Embedded);
    let [sender, victim] = server.new_users();
    let mut polling = Raw::connect(&server);
    let session = polling.begin_polling();
    connect(&mut polling, &session, &server.token(&victim));
    eventually("it is connected", Duration::from_secs(60), || {
        polling.get(&session, "").expect("it is open");
        polling.answer().expect("an answer").body.contains("40{").then_some(())
    });
    assert!(is_online(&server, &victim));

    let mut client = Raw::connect(&server);
    client.authenticate(&server.token(&sender));
    assert!(send(&mut client, &victim, &large(), 40) > 0);
    eventually("the user has left", Duration::from_secs(120), || {
        // The connection itself goes on: it may be a proxy's, and carry other people's requests.
        polling.get("/healthz", "").expect("it is open");
        assert_eq!(polling.answer().expect("an answer").status, 200);
        (!is_online(&server, &victim)).then_some(())
    });
    polling.get(&session, "").expect("it is open");
    assert_eq!(polling.answer().expect("an answer").status, 400);
}

#[test]
fn a_session_that_only_sends_is_ended_in_time() {
    let server = Server::start(Engine::Embedded);
    let [victim] = server.new_users();
    let mut polling = Raw::connect(&server);
    let session = polling.begin_polling();
    connect(&mut polling, &session, &server.token(&victim));
    eventually(
        "a session that is never asked for ends",
        Duration::from_secs(120),
        || {
            polling.post(&session, "3").expect("it is open");
            (polling.answer().expect("an answer").status == 400).then_some(())
        },
    );
    eventually("the user has left", Duration::from_secs(120), || {
        (!is_online(&server, &victim)).then_some(())
    });
}

#[test]
fn a_silent_websocket_is_ended_though_its_writer_is_stuck() {
    let server = Server::start(Engine::Embedded);
    let [sender, victim] = server.new_users();
    let mut stalled = Raw::narrow(&server);
    stalled.authenticate(&server.token(&victim));
    let mut client = Raw::connect(&server);
    client.authenticate(&server.token(&sender));
    // Enough for the writer to be stuck, not enough to be ended for it.
    assert!(send(&mut client, &victim, &"x".repeat(10_000), 60) > 0);
    drop(client);
    eventually("the user has left", Duration::from_secs(120), || {
        (!is_online(&server, &victim)).then_some(())
    });
    drop(stalled);
}

#[test]
fn an_answer_that_is_not_read_ends_its_connection() {
    let server = Server::start(Engine::Embedded);
    let [a, b] = server.new_users();
    let mut client = Raw::connect(&server);
    client.authenticate(&server.token(&a));
    assert_eq!(send(&mut client, &b, &large(), 250), 250);
    let files = server.open_files();
    let mut readers: Vec<Raw> = (0..40).map(|_| Raw::narrow(&server)).collect();
    let before = server.resident_bytes();
    for reader in &mut readers {
        let bearer = format!("Authorization: Bearer {}\r\n", server.token(&a));
        reader
            .get(&format!("/chat/history/{a}/{b}"), &bearer)
            .expect("it is open");
    }
    eventually("all are ended", Duration::from_secs(120), || {
        let grown = server.resident_bytes().saturating_sub(before);
        assert!(grown < 200 << 20, "{grown} bytes");
        (server.open_files() <= files).then_some(())
    });
    drop(readers);
}

#[test]
fn answers_over_http_that_wait_are_charged_to_whoever_asked() {
    let server = Server::start(Engine::Embedded);
    let [a, b] = server.new_users();
    let mut client = Raw::connect(&server);
    client.authenticate(&server.token(&a));
    assert_eq!(send(&mut client, &b, &large(), 4), 4);
    let path = format!("/chat/history/{a}/{b}?limit=4");
    let bearer = |user: &str| format!("Authorization: Bearer {}\r\n", server.token(user));
    let mut readers: Vec<Raw> = (0..150).map(|_| Raw::narrow(&server)).collect();
    for reader in &mut readers {
        reader.get(&path, &bearer(&a)).expect("it is open");
    }
    let refused = eventually("what goes beyond is refused", Duration::from_secs(60), || {
        let mut other = Raw::connect(&server);
        other.get(&path, &bearer(&a)).expect("it is open");
        other.answer().filter(|answer| answer.status != 200)
    });
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert!(refused.body.contains("overloaded"), "{}", refused.body);
    let mut other = Raw::connect(&server);
    other.get(&path, &bearer(&b)).expect("it is open");
    assert_eq!(other.answer().expect("an answer").status, 200, "somebody else");
    drop(readers);
    eventually("what waited is given back", Duration::from_secs(60), || {
        other.get(&path, &bearer(&a)).expect("it is open");
        (other.answer().expect("an answer").status == 200).then_some(())
    });
}
