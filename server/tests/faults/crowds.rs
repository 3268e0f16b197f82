//! Crowds that say nothing, or a byte a second: sockets that never authenticate, frames, heads and bodies that take for ever. Each of
//! them ends, others are served meanwhile, and all is given back.

use std::io;
use std::thread::sleep;
use std::time::Duration;

use serde_json::json;
use testkit::process::eventually;
use testkit::raw::Raw;
use testkit::{Engine, Server, Setup};

use crate::rates::{answer, ask, code, connected};

/// What a socket that never authenticates may cost, in bytes, on the average, in a build that is not optimised.
const BYTES_PER_SOCKET: u64 = 40 << 10;

/// So many of each kind; all together leave room for the files of other tests that run at the same time.
const SOCKETS: usize = 2_000;

#[test]
fn that_never_authenticate_end_and_leave_room_for_others() {
    testkit::process::allow_files(20_000);
    let server = Setup::new(Engine::Embedded).env("AUTHENTICATION_TIMEOUT", 20).start();
    let [ada, bob] = server.new_users();
    let mut client = connected(&server, &ada);
    let files = server.open_files();
    let before = server.resident_bytes();
    let mut crowd: Vec<Raw> = (0..SOCKETS).map(|_| Raw::connect(&server)).collect();
    crowd.extend((0..SOCKETS).map(|_| {
        let mut client = Raw::connect(&server);
        client
            .send("GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n")
            .expect("it is open");
        client
    }));
    crowd.extend((0..SOCKETS).map(|_| {
        let mut client = Raw::connect(&server);
        client.upgrade();
        client
    }));
    let grown = server.resident_bytes().saturating_sub(before);
    let bound = BYTES_PER_SOCKET * crowd.len() as u64;
    assert!(grown < bound, "{grown} bytes for {} sockets", crowd.len());
    for number in 0..20 {
        ask(
            &mut client,
            number,
            "send_message",
            &json!({"receiverId": bob, "message": "x"}),
        );
        assert_eq!(code(&answer(&mut client).1), "ok", "somebody who is known");
    }
    let mut other = connected(&server, &bob);
    ask(&mut other, 1, "conversations", &json!({}));
    assert_eq!(code(&answer(&mut other).1), "ok", "somebody who comes");
    assert_eq!(server.get("/users/me", &server.token(&bob)).status, 200);
    drop(other);
    // By the server: nobody here closes.
    assert!(crowd.iter_mut().all(Raw::is_ended));
    eventually("all is given back", Duration::from_secs(60), || {
        (server.open_files() <= files).then_some(())
    });
    ask(&mut client, 1, "conversations", &json!({}));
    assert_eq!(code(&answer(&mut client).1), "ok");
    let kept = server.resident_bytes().saturating_sub(before);
    assert!(kept < bound / 2, "{kept} bytes are kept");
    assert!(!server.stderr().contains("panic"), "{}", server.stderr());
}

#[test]
fn that_send_a_byte_a_second_end() {
    let server = Server::start(Engine::Embedded);
    let [slow, friend] = server.new_users();
    let files = server.open_files();
    let mut other = connected(&server, &friend);
    // Who answers the first ping has until long after the next one, which can't be answered in the middle of a message.
    let steady = || {
        let mut client = connected(&server, &slow);
        sleep(Duration::from_secs(2));
        ask(&mut client, 1, "conversations", &json!({}));
        assert_eq!(code(&answer(&mut client).1), "ok");
        client
    };
    let (mut known, mut parts) = (steady(), steady());
    // A frame of a text of 10,000 bytes, of which a few come.
    let frame = [&[0x81, 0x80 | 126, 0x27, 0x10, 0, 0, 0, 0][..], b"42[\"sync\""].concat();
    known.send(&frame).expect("it is open");
    let mut stranger = Raw::connect(&server);
    stranger.upgrade();
    stranger.send(&frame).expect("it is open");
    // In parts, each of them a whole frame, with a pong of the WebSocket between.
    parts.send([0x01, 0x81, 0, 0, 0, 0, b'4']).expect("it is open");
    let mut head = Raw::connect(&server);
    head.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ")
        .expect("it is open");
    let mut body = Raw::connect(&server);
    let admin = server.admin_token();
    body.send(format!(
        "POST /users HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {admin}\r\n\
         Content-Type: application/json\r\nContent-Length: 10000\r\n\r\n{{"
    ))
    .expect("it is open");
    type Send = fn(&mut Raw) -> io::Result<()>;
    let byte: Send = |client| client.send("x");
    let part: Send = |client| client.send([0x8a, 0x80, 0, 0, 0, 0, 0x00, 0x81, 0, 0, 0, 0, b'x']);
    let mut open: Vec<(&str, Raw, Send)> = vec![
        ("a frame of a user", known, byte),
        ("a frame of a stranger", stranger, byte),
        ("a message in frames", parts, part),
        ("a head", head, byte),
        ("a body", body, byte),
    ];
    eventually("all are ended", Duration::from_secs(120), || {
        sleep(Duration::from_secs(1));
        open.retain_mut(|(_, client, send)| send(client).is_ok());
        ask(
            &mut other,
            1,
            "send_message",
            &json!({"receiverId": slow, "message": "x"}),
        );
        assert_eq!(code(&answer(&mut other).1), "ok", "a friend is served");
        open.is_empty().then_some(())
    });
    drop(other);
    eventually("all is given back", Duration::from_secs(60), || {
        (server.open_files() <= files).then_some(())
    });
    let log = server.stderr();
    let ended = log.lines().filter(|line| line.contains("reason=\"intake\"")).count();
    assert!(ended >= 2, "those who are known are ended for it: {log}");
    assert!(!log.contains("panic"), "{log}");
}
