//! Clients that are known and do not read: what waits for them is bounded in bytes and in time, and they are ended
//! themselves.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::process::eventually;
use testkit::raw::Raw;
use testkit::{Engine, Server};

/// A text of which JSON writes each character with six.
pub(crate) fn large() -> String {
    "\u{1}".repeat(10_000)
}

/// Sends messages one after the other, and returns how many were taken before one was refused because too much waits for
/// the receiver.
pub(crate) fn send(client: &mut Raw, receiver: &str, text: &str, count: usize) -> usize {
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
    let session = polling.authenticate_polling(&server.token(&victim));
    eventually("the user has come", Duration::from_secs(60), || {
        is_online(&server, &victim).then_some(())
    });

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
    let session = polling.authenticate_polling(&server.token(&victim));
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
fn pages_that_are_held_for_stalled_readers_are_bounded() {
    let server = Server::start(Engine::Embedded);
    let [sender, victim] = server.new_users();
    let catch_up = |mut client: Raw, since: &str| {
        client.upgrade();
        let auth = json!({"token": server.token(&victim), "since": since});
        client.say(&format!("40{auth}")).expect("it is open");
        client
    };
    let done = |client: &mut Raw| {
        let mut messages = 0;
        loop {
            let text = client.text().expect("it is not ended");
            messages += usize::from(text.starts_with("42[\"receive_message"));
            if let Some(done) = text.strip_prefix("42[\"sync_done\",") {
                let done: Value = serde_json::from_str(done.trim_end_matches(']')).expect("JSON");
                return (messages, done["next"].as_str().expect("a cursor").to_owned());
            }
        }
    };
    let (_, cursor) = done(&mut catch_up(Raw::connect(&server), ""));
    let mut client = Raw::connect(&server);
    client.authenticate(&server.token(&sender));
    // More than one page.
    assert_eq!(send(&mut client, &victim, &"x".repeat(10_000), 80), 80);
    let before = server.resident_bytes();
    // What is sent of the pages is little, and waits; together the pages are more than may wait for a user.
    let stalled: Vec<Raw> = (0..24).map(|_| catch_up(Raw::narrow(&server), &cursor)).collect();
    eventually("those that hold too much are ended", Duration::from_secs(60), || {
        let grown = server.resident_bytes().saturating_sub(before);
        assert!(grown < 60 << 20, "{grown} bytes");
        server.stderr().contains("reason=\"unread\"").then_some(())
    });
    drop(stalled);
    eventually("there is room again", Duration::from_secs(60), || {
        let mut reads = catch_up(Raw::connect(&server), &cursor);
        let first = reads.text()?;
        first.starts_with("40").then(|| assert_eq!(done(&mut reads).0, 80))
    });
}

#[test]
fn an_answer_on_its_way_is_not_lost_by_what_was_sent_after_its_request() {
    let server = Server::start(Engine::Embedded);
    let [a, b] = server.new_users();
    let mut client = Raw::connect(&server);
    client.authenticate(&server.token(&a));
    assert_eq!(send(&mut client, &b, &"x".repeat(10_000), 20), 20);
    let path = format!("/chat/history/{a}/{b}?limit=20");
    let whole = server.get(&path, &server.token(&a)).body;
    assert!(whole.len() > 200_000);
    for _ in 0..3 {
        // It reads little at a time, so the server closes long before all is sent.
        let mut reader = Raw::narrow(&server);
        let bearer = format!("Authorization: Bearer {}\r\n", server.token(&a));
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{bearer}\r\n");
        reader
            .send(request + &"GET / HTTP/1.1\r\n".repeat(4_000))
            .expect("it is open");
        let answer = reader.answer().expect("the whole answer");
        assert_eq!((answer.status, answer.body.len()), (200, whole.len()));
    }
}

#[test]
fn polling_bodies_may_be_as_large_as_old_clients_send_them() {
    let server = Server::start(Engine::Embedded);
    let [user] = server.new_users();
    let mut polling = Raw::connect(&server);
    let session = polling.authenticate_polling(&server.token(&user));
    let packet = format!("42{}", json!(["nothing", "x".repeat(60_000)]));
    let body = vec![packet.as_str(); 16].join("\u{1e}");
    assert!((950_000..1_000_000).contains(&body.len()));
    polling.post(&session, &body).expect("it is open");
    let answer = polling.answer().expect("an answer");
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok"));
    let body = vec![packet.as_str(); 18].join("\u{1e}");
    polling.post(&session, &body).expect("it is open");
    assert_eq!(polling.answer().expect("an answer").status, 413);
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
