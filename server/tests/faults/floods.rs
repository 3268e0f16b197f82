//! Floods of what is right in itself and asks for nothing: pings, pongs, acknowledgements, good tokens, brackets in brackets. They cost
//! little, others are served meanwhile, and all is given back.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::process::eventually;
use testkit::raw::Raw;
use testkit::token::{seconds, sign};
use testkit::{Engine, Server, Setup};

use crate::rates::{answer, ask, code, connected};

/// More than any of these may cost, in bytes.
const GROWTH: u64 = 24 << 20;

/// A frame of a WebSocket whose mask of zeros leaves what it holds as it is.
fn frame(first: u8, payload: &str) -> Vec<u8> {
    let length = u8::try_from(payload.len()).ok().filter(|length| *length < 126);
    let mut frame = vec![first, 0x80 | length.expect("a short payload")];
    frame.extend([0; 4]);
    frame.extend(payload.as_bytes());
    frame
}

/// The server has as many files open as before, and nobody is connected who was.
fn all_is_given_back(server: &Server, files: usize, users: &[&str]) {
    let is_gone = |user: &&str| {
        let path = format!("/admin/users/{user}/connections");
        let answer = server.get(&path, &server.admin_token()).json();
        answer["connections"] == json!([])
    };
    eventually("all is given back", Duration::from_secs(120), || {
        (server.open_files() <= files && users.iter().all(is_gone)).then_some(())
    });
    let log = server.stderr();
    assert!(!log.contains("panic"), "{log}");
}

#[test]
fn of_pings_pongs_and_acknowledgements_cost_little() {
    let server = Server::start(Engine::Embedded);
    let [flooder, friend, absent] = server.new_users();
    let files = server.open_files();
    let mut other = connected(&server, &friend);
    for (what, first, payload) in [
        ("pings of the WebSocket", 0x89, "x".repeat(125)),
        ("pongs of the WebSocket", 0x8a, String::new()),
        ("pongs of Engine.IO", 0x81, "3".to_owned()),
        ("an acknowledgement", 0x81, "437[]".to_owned()),
        (
            "an acknowledgement of what nobody asked",
            0x81,
            "439007199254740991[{}]".to_owned(),
        ),
    ] {
        let mut client = connected(&server, &flooder);
        let before = server.resident_bytes();
        let flood = frame(first, &payload).repeat(500);
        thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..100 {
                    client.send(&flood).unwrap_or_else(|error| panic!("{what}: {error}"));
                    // With what comes before the answer it reads all answers to its pings.
                    ask(&mut client, number, "conversations", &json!({}));
                    assert_eq!(code(&answer(&mut client).1), "ok", "{what}: nothing is wrong with it");
                }
            });
            for number in 0..20 {
                let message = json!({"receiverId": absent, "message": what});
                ask(&mut other, number, "send_message", &message);
                assert_eq!(code(&answer(&mut other).1), "ok", "{what}: others are served");
            }
        });
        let grown = server.resident_bytes().saturating_sub(before);
        assert!(grown < GROWTH, "{what}: {grown} bytes");
    }
    drop(other);
    all_is_given_back(&server, files, &[&flooder, &friend]);
}

#[test]
fn of_pings_whose_answers_are_not_read_end_the_connection() {
    let server = Server::start(Engine::Embedded);
    let [flooder, friend, absent] = server.new_users();
    let files = server.open_files();
    let mut client = connected(&server, &flooder);
    let before = server.resident_bytes();
    let flood = frame(0x89, &"x".repeat(125)).repeat(1_000);
    // It is read as long as there is room for the answers, and ended then.
    let sent = (0..400).take_while(|_| client.send(&flood).is_ok()).count();
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < GROWTH, "{grown} bytes after {sent} times");
    assert!(sent < 400, "it went on");
    eventually("it is said why", Duration::from_secs(60), || {
        server.stderr().contains("reason=\"unread\"").then_some(())
    });
    let mut other = connected(&server, &friend);
    ask(
        &mut other,
        1,
        "send_message",
        &json!({"receiverId": absent, "message": "x"}),
    );
    assert_eq!(code(&answer(&mut other).1), "ok");
    drop((client, other));
    all_is_given_back(&server, files, &[&flooder, &friend]);
}

#[test]
fn of_packets_by_polling_cost_little() {
    let server = Server::start(Engine::Embedded);
    let [flooder, friend] = server.new_users();
    let files = server.open_files();
    let mut client = Raw::connect(&server);
    let session = client.authenticate_polling(&server.token(&flooder));
    let mut other = connected(&server, &friend);
    let before = server.resident_bytes();
    for packet in ["3", "437[]"] {
        let body = vec![packet; 100_000].join("\u{1e}");
        for _ in 0..3 {
            client.post(&session, &body).expect("it is open");
            let posted = client.answer().expect("an answer");
            assert_eq!((posted.status, &*posted.body), (200, "ok"), "{packet}");
        }
        ask(
            &mut other,
            1,
            "send_message",
            &json!({"receiverId": flooder, "message": packet}),
        );
        assert_eq!(code(&answer(&mut other).1), "ok");
    }
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < GROWTH, "{grown} bytes");
    client.post(&session, "1").expect("it is open");
    client.answer();
    drop((client, other));
    all_is_given_back(&server, files, &[&flooder, &friend]);
}

#[test]
fn of_good_tokens_are_answered_one_by_one() {
    let server = Setup::new(Engine::Embedded).env("RATE_LIMITS", "on").start();
    let [user, friend] = server.new_users();
    let token = server.token(&user);
    let files = server.open_files();
    let connect = || {
        let mut client = Raw::connect(&server);
        client.upgrade();
        client.say(&format!("40{{\"token\":\"{token}\"}}")).expect("it is open");
        let said = client.text().expect("an answer");
        let code = match said.strip_prefix("44") {
            Some(refusal) => serde_json::from_str::<Value>(refusal).expect("JSON")["data"]["code"].to_string(),
            None => said[..2].to_owned(),
        };
        (code, client)
    };
    // What the first ones cost is there for all later ones.
    (0..100).for_each(|_| drop(connect()));
    let before = server.resident_bytes();
    thread::scope(|scope| {
        for _ in 0..8 {
            // Those that stay take the places of a user; those that leave give them back.
            scope.spawn(|| {
                let mut open = Vec::new();
                for number in 0..100 {
                    let (code, client) = connect();
                    assert!(["40", "\"too_many_connections\""].contains(&&*code), "{code}");
                    if number % 10 == 0 {
                        open.push(client);
                    }
                }
            });
        }
        let mut other = connected(&server, &friend);
        for number in 0..20 {
            ask(&mut other, number, "conversations", &json!({}));
            assert_eq!(code(&answer(&mut other).1), "ok", "somebody else");
        }
    });
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < GROWTH, "{grown} bytes");
    all_is_given_back(&server, files, &[&user, &friend]);

    // Over HTTP, and again and again on one connection.
    let mut client = connected(&server, &user);
    let refresh = json!({"token": token});
    let mut codes: Vec<String> = Vec::new();
    for number in 0..1_500 {
        ask(&mut client, number, "refresh_token", &refresh);
    }
    for _ in 0..1_500 {
        codes.push(code(&answer(&mut client).1).to_owned());
    }
    assert!(
        codes
            .iter()
            .all(|code| ["ok", "rate_limited", "overloaded"].contains(&&**code)),
        "{codes:?}"
    );
    let taken = codes.iter().filter(|code| *code == "ok").count();
    assert!((100..1_400).contains(&taken), "{taken}");
    let statuses: Vec<u16> = (0..600).map(|_| server.get("/users/me", &token).status).collect();
    assert!(
        statuses.iter().all(|status| [200, 429].contains(status)),
        "{statuses:?}"
    );
    assert!(statuses.contains(&429), "{statuses:?}");
    assert_eq!(
        server.get("/users/me", &server.token(&friend)).status,
        200,
        "somebody else"
    );
    drop(client);
    all_is_given_back(&server, files, &[&user, &friend]);
}

#[test]
fn of_brackets_are_answered() {
    const DEPTH: usize = 10_000;
    let server = Server::start(Engine::Embedded);
    let [user, friend] = server.new_users();
    let files = server.open_files();
    let brackets = |open: &str, close: &str| open.repeat(DEPTH) + &close.repeat(DEPTH);
    let (lists, objects) = (
        brackets("[", "]"),
        format!("{}1{}", "{\"a\":".repeat(DEPTH), "}".repeat(DEPTH)),
    );
    let mut client = connected(&server, &user);
    let mut number = 0;
    for deep in [&lists, &objects] {
        for event in [
            "send_message",
            "sync",
            "typing",
            "mark_read",
            "conversations",
            "update_settings",
        ] {
            for payload in [
                deep.clone(),
                format!("{{\"receiverId\":{deep},\"since\":{deep},\"x\":1}}"),
            ] {
                number += 1;
                client
                    .say(&format!("42{number}[\"{event}\",{payload}]"))
                    .expect("it is open");
                let (answered, answer) = answer(&mut client);
                // A field that an event does not know may be anything, where all others may be missing.
                let ignored = ["sync", "conversations"].contains(&event) && !payload.starts_with('[');
                let refused = ["invalid_request", "payload_too_large"].contains(&code(&answer));
                assert!(
                    answered == number && (refused || ignored && answer["ok"] == true),
                    "{event}: {answer}"
                );
            }
        }
        // Without an end; they may end the connection, and nothing else.
        for text in [
            format!("42[{}", "[".repeat(DEPTH)),
            format!("42{deep}"),
            format!("43{deep}"),
            format!("40{deep}"),
            format!("42[{deep}]"),
            format!("42[\"sync\",{}", "[".repeat(DEPTH)),
        ] {
            let mut client = connected(&server, &user);
            client.say(&text).expect("it is open");
            // Whether it is answered or ended, it is not kept waiting.
            let _ = client.say("421[\"conversations\",{}]");
            while client.text().is_some_and(|text| !text.starts_with("431[")) {}
        }
        for path in ["/users", "/users/me/settings"] {
            let method = if path == "/users" { "POST" } else { "PATCH" };
            let token = if path == "/users" {
                server.admin_token()
            } else {
                server.token(&user)
            };
            for body in [deep.clone(), format!("{{\"usernames\":{deep}}}"), "[".repeat(DEPTH)] {
                let mut request = server.request(method, path, &token, body.into_bytes());
                let json = "application/json".parse().expect("a header value");
                request.headers_mut().insert("content-type", json);
                let answer = testkit::http::send(request);
                assert_eq!(answer.status, 400, "{path}: {}", answer.body);
                assert!(
                    ["invalid_json", "invalid_request"].contains(&&*answer.code()),
                    "{}",
                    answer.body
                );
            }
        }
    }
    // What is signed well is not therefore read without a bound.
    let mut deep = json!(1);
    for _ in 0..300 {
        deep = json!([deep]);
    }
    let claims = json!({"userId": user, "exp": seconds() + 600, "deep": deep});
    let token = sign(jsonwebtoken::Algorithm::HS256, server.secret(), &claims);
    ask(&mut client, 1, "refresh_token", &json!({"token": token}));
    assert_eq!(code(&answer(&mut client).1), "token_invalid");

    ask(
        &mut client,
        2,
        "send_message",
        &json!({"receiverId": friend, "message": "x"}),
    );
    assert_eq!(code(&answer(&mut client).1), "ok", "it is still there");
    drop(client);
    all_is_given_back(&server, files, &[&user]);
}
