//! Clients that never say who they are: they cost little, hold no place for long, and nobody else suffers.

use std::time::Duration;

use serde_json::json;
use testkit::process::eventually;
use testkit::raw::Raw;
use testkit::{Engine, Server, Setup};

/// More than any of these clients may cost, in bytes, and less than each would have.
const GROWTH: u64 = 24 << 20;

/// How much more memory a server has in use after `work`.
fn growth(server: &Server, work: impl FnOnce()) -> u64 {
    let before = server.resident_bytes();
    work();
    server.resident_bytes().saturating_sub(before)
}

#[test]
fn a_session_that_does_not_exist_costs_nothing() {
    let server = Server::start(Engine::Embedded);
    let mut client = Raw::connect(&server);
    let grown = growth(&server, || {
        for number in 0..2_000 {
            let id = format!("{number:010}{}", "A".repeat(28_000));
            let path = format!("/socket.io/?EIO=4&transport=websocket&sid={id}");
            client.get(&path, "Upgrade: x\r\n").expect("it is open");
            assert_eq!(client.answer().expect("an answer").status, 400);
        }
    });
    assert!(grown < GROWTH, "{grown} bytes");
}

#[test]
fn sessions_of_one_connection_are_bounded_and_end() {
    let server = Server::start(Engine::Embedded);
    let mut client = Raw::connect(&server);
    let ask = |client: &mut Raw| {
        client
            .get("/socket.io/?EIO=4&transport=polling", "")
            .expect("it is open");
        client.answer().expect("an answer")
    };
    let grown = growth(&server, || {
        let answers: Vec<_> = (0..10_000).map(|_| ask(&mut client)).collect();
        let begun = answers.iter().filter(|answer| answer.status == 200).count();
        // Some end while the others are asked for, should that take long.
        assert!((1..=1_000).contains(&begun), "{begun} sessions");
        let refused = answers
            .iter()
            .find(|answer| answer.status != 200)
            .expect("one is refused");
        assert_eq!(refused.status, 503);
        assert!(refused.body.contains("overloaded"), "{}", refused.body);
    });
    assert!(grown < GROWTH, "{grown} bytes");
    let other = Raw::connect(&server).begin_polling();
    assert!(other.contains("sid="), "another connection has sessions of its own");
    eventually("there is room again", Duration::from_secs(60), || {
        (ask(&mut client).status == 200).then_some(())
    });
}

#[test]
fn websockets_that_leave_at_once_leave_nothing() {
    let server = Server::start(Engine::Embedded);
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let leave = |count: usize| {
        for _ in 0..count {
            let mut client = Raw::connect(&server);
            client
                .get("/socket.io/?EIO=4&transport=websocket", upgrade)
                .expect("it is open");
            client.close();
        }
    };
    // What the first ones cost is there for all later ones.
    leave(1_000);
    let grown = growth(&server, || leave(4_000));
    assert!(grown < GROWTH, "{grown} bytes");
}

#[test]
fn another_namespace_ends_the_connection_and_is_not_repeated() {
    let server = Server::start(Engine::Embedded);
    let mut client = Raw::connect(&server);
    client.upgrade();
    client.say(&format!("40/{},", "a".repeat(100_000))).expect("it is open");
    let mut heard = 0;
    while let Some(text) = client.text() {
        heard += text.len();
    }
    assert!(heard < 1_000, "{heard} bytes");

    let mut polling = Raw::connect(&server);
    let session = polling.begin_polling();
    polling.post(&session, "40/other,").expect("it is open");
    assert_eq!(polling.answer().expect("an answer").status, 200);
    // A short name is answered as the stock server does, within the bound of what may be asked.
    let mut polled = || {
        polling.get(&session, "").expect("it is open");
        polling.answer().expect("an answer").body
    };
    // A ping may come before.
    let refused = Some(polled()).filter(|body| body.contains("44")).unwrap_or_else(polled);
    assert!(
        refused.contains("44/other,{\"message\":\"Invalid namespace\",\"data\":{\"code\":\"invalid_namespace\","),
        "{refused}"
    );
    polling
        .post(&session, &format!("40/{},", "a".repeat(200)))
        .expect("it is open");
    polling.answer();
    eventually("the session is gone", Duration::from_secs(60), || {
        let mut again = Raw::connect(&server);
        again.post(&session, "40").expect("it is open");
        (again.answer().expect("an answer").status == 400).then_some(())
    });
    // The connection may carry other people's requests, too.
    polling.get("/healthz", "").expect("it is open");
    assert_eq!(polling.answer().expect("an answer").status, 200);
}

#[test]
fn a_session_becomes_one_websocket() {
    let server = Server::start(Engine::Embedded);
    let session = Raw::connect(&server).begin_polling();
    let path = session.replace("transport=polling", "transport=websocket");
    let headers = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let mut first = Raw::connect(&server);
    first.get(&path, "").expect("it is open");
    assert_eq!(first.answer().expect("an answer").status, 400, "no upgrade");
    first.get(&path, headers).expect("it is open");
    assert_eq!(first.answer().expect("an answer").status, 101);
    first.say("2probe").expect("it is open");
    assert_eq!(first.text().as_deref(), Some("3probe"));
    first.say("5").expect("it is open");
    let mut second = Raw::connect(&server);
    second.get(&path, headers).expect("it is open");
    assert_eq!(second.answer().expect("an answer").status, 400);
    first.say(&format!("40/{},", "a".repeat(200))).expect("it is open");
    assert!(first.is_ended(), "it is still found");
}

#[test]
fn bodies_that_never_come_hold_no_place_and_probes_have_their_own() {
    let server = Setup::new(Engine::Embedded).env("MAX_CONNECTIONS", 3).start();
    let mut first = Raw::connect(&server);
    let session = first.begin_polling();
    let begin = |client: &mut Raw, path: &str| {
        client
            .send(format!(
                "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"
            ))
            .expect("it is open");
    };
    let mut held: Vec<Raw> = (0..2).map(|_| Raw::connect(&server)).collect();
    held.push(first);
    for client in &mut held {
        begin(client, &session);
    }
    let mut probe = Raw::connect(&server);
    probe.get("/healthz", "").expect("it is open");
    assert_eq!(probe.answer().expect("an answer").status, 200, "all places are taken");
    let mut other = Raw::connect(&server);
    other.get("/users/me", "").expect("it is open");
    let refused = other.answer().expect("an answer");
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert!(refused.body.contains("MAX_CONNECTIONS"), "{}", refused.body);
    for client in &mut held {
        assert!(client.is_ended());
    }
    eventually("the places are free again", Duration::from_secs(60), || {
        let mut client = Raw::connect(&server);
        client.get("/users/me", "").expect("it is open");
        (client.answer()?.status == 401).then_some(())
    });
}

#[test]
fn websockets_that_leave_are_bounded() {
    let server = Server::start(Engine::Embedded);
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let begin = || {
        let mut client = Raw::connect(&server);
        client
            .get("/socket.io/?EIO=4&transport=websocket", upgrade)
            .expect("it is open");
        let answer = client.answer().expect("an answer");
        client.close();
        answer
    };
    // Each of them is remembered for ten seconds, so on a slow machine it takes more of them.
    let refused = (0..20_000).map(|_| begin()).find(|answer| answer.status != 101);
    let refused = refused.expect("one of them is one too many");
    assert_eq!(refused.status, 503);
    assert!(refused.body.contains("overloaded"), "{}", refused.body);
    eventually("there is room again", Duration::from_secs(60), || {
        (begin().status == 101).then_some(())
    });
}

#[test]
fn little_is_read_of_a_session_before_it_authenticates() {
    let server = Server::start(Engine::Embedded);
    let [user] = server.new_users();
    let connect = |length: usize| {
        let (token, more) = (server.token(&user), "x".repeat(length));
        format!("40{}", json!({"token": token, "more": more}))
    };
    // With room for a long token.
    let mut client = Raw::connect(&server);
    client.upgrade();
    client.say(&connect(10_000)).expect("it is open");
    assert!(client.text().expect("an answer").starts_with("40{"));
    // At once, or bit by bit.
    let mut client = Raw::connect(&server);
    client.upgrade();
    client.say(&connect(20_000)).expect("it is open");
    assert_eq!(client.text(), None);
    let mut client = Raw::connect(&server);
    client.upgrade();
    // It may be ended before all was said.
    let _ = (0..5_000).try_for_each(|_| client.say("42[]"));
    while client.text().is_some() {}

    let mut polling = Raw::connect(&server);
    let session = polling.begin_polling();
    polling.post(&session, &connect(20_000)).expect("it is open");
    polling.answer();
    let mut again = Raw::connect(&server);
    again.post(&session, &connect(10)).expect("it is open");
    assert_eq!(again.answer().expect("an answer").status, 400, "the session has ended");
    // Whoever is known may send more.
    let mut client = Raw::connect(&server);
    client.authenticate(&server.token(&user));
    client
        .say(&format!("421{}", json!(["typing", "x".repeat(30_000)])))
        .expect("it is open");
    assert!(client.text().expect("an answer").starts_with("431["));
}

/// A request that is answered, and the beginning of one whose head never ends.
fn with_endless_head(head: &str) -> String {
    let endless = "a".repeat(28_000);
    format!("{head}GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-A: {endless}")
}

#[test]
fn heads_that_never_end_leave_room_for_requests_of_others() {
    for first in ["", "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"] {
        let server = Server::start(Engine::Embedded);
        let attack = with_endless_head(first);
        let mut clients: Vec<Raw> = (0..700).map(|_| Raw::connect(&server)).collect();
        clients.extend((0..200).map(|_| Raw::connect(&server)));
        for client in &mut clients {
            client.send(&attack).expect("it is open");
        }
        if !first.is_empty() {
            for client in &mut clients {
                // Some are ended before they have read it.
                client.answer();
            }
        }
        eventually("what goes beyond is ended", Duration::from_secs(60), || {
            server.stderr().contains("reason=\"intake\"").then_some(())
        });
        let mut other = Raw::connect(&server);
        let large = format!("X-B: {}\r\n", "b".repeat(6_000));
        other.get("/healthz", &large).expect("it is open");
        assert_eq!(other.answer().expect("an answer").status, 200);
        let names: Vec<String> = (0..900).map(|number| format!("somebody-{number:012}")).collect();
        let body = serde_json::json!({ "usernames": names }).to_string();
        assert!(body.len() > 20_000);
        let admin = server.admin_token();
        let length = body.len();
        other
            .send(format!(
                "POST /users HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {admin}\r\n\
                 Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
            ))
            .expect("it is open");
        assert_eq!(other.answer().expect("an answer").status, 200);
        drop(clients);
    }
}

#[test]
fn frames_before_the_answer_to_an_upgrade_are_refused() {
    let server = Server::start(Engine::Embedded);
    let mut client = Raw::connect(&server);
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let path = "/socket.io/?EIO=4&transport=websocket";
    client
        .send(format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\n{upgrade}\r\n\u{1}\0\r\n\r\n"
        ))
        .expect("it is open");
    assert_eq!(client.answer().expect("an answer").status, 400);
}
