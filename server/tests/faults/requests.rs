//! Work of one request that panics: that request is answered, and nothing else notices. Packets that ask for what was
//! done already are few.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::node::Script;
use testkit::process::eventually;
use testkit::raw::Raw;
use testkit::{Engine, Server, Setup};

use crate::ready;

fn start(failpoints: &str) -> Server {
    Setup::new(Engine::Embedded).failpoints(failpoints).start()
}

#[test]
fn a_request_over_a_socket_that_panics_is_answered() {
    for event in ["sync", "conversations"] {
        // The second one panics.
        let mut server = start(&format!("request::{event}=1*off->1*panic"));
        let [user] = server.new_users();
        let argument = json!({"url": server.url(), "token": server.token(&user), "event": event});
        let mut client = Script::start("panic.js", &argument);
        let before = client.report().expect("an answer");
        assert_eq!(before["before"]["ok"], true, "{before}");
        client.tell(&Value::Null);
        let answer = client.report().expect("an answer")["answer"].clone();
        assert_eq!(answer["error"]["code"], "internal", "{answer}");
        let after = client.report().expect("an answer")["after"].clone();
        assert_ne!(after["error"]["code"], "internal", "the connection goes on: {after}");
        client.finish();
        let log = server.stderr();
        assert!(log.contains("a request panicked") && log.contains(event), "{log}");
        assert!(ready(&server), "nothing else notices");
        assert!(server.terminate().0.success());
    }
}

#[test]
fn a_request_over_http_that_panics_is_answered() {
    let mut server = start("chat::find_user=panic");
    let [user] = server.new_users();
    let answer = server.get("/users/me", &server.token(&user));
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (500, "internal"),
        "{}",
        answer.body
    );
    assert!(ready(&server), "nothing else notices");
    assert!(server.terminate().0.success());
}

#[test]
fn a_change_of_settings_that_panics_is_answered() {
    let mut server = start("request::settings=panic");
    let [user] = server.new_users();
    let body = json!({"invisible": true}).to_string().into_bytes();
    let mut request = server.request("PATCH", "/users/me/settings", &server.token(&user), body);
    request
        .headers_mut()
        .insert("content-type", "application/json".parse().expect("a header value"));
    let answer = testkit::http::send(request);
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (500, "internal"),
        "{}",
        answer.body
    );
    assert!(server.terminate().0.success());
}

#[test]
fn a_websocket_that_asks_again_and_again_to_connect_is_ended() {
    let server = Server::start(Engine::Embedded);
    let [user] = server.new_users();
    let mut client = Raw::connect(&server);
    client.authenticate(&server.token(&user));
    // Some clients say it twice.
    client.say("40{}").expect("it is open");
    client.say("421[\"typing\",{}]").expect("it is open");
    let answer = client.text().expect("an answer");
    assert!(answer.starts_with("431["), "{answer}");
    for _ in 0..100 {
        // It can be ended meanwhile.
        let _ = client.say("40{}");
    }
    assert!(client.is_ended());
    eventually("it is said why", Duration::from_secs(60), || {
        server.stderr().contains("reason=\"connects\"").then_some(())
    });
}

#[test]
fn a_polling_session_that_asks_again_and_again_to_connect_is_ended() {
    let server = Server::start(Engine::Embedded);
    let [user] = server.new_users();
    let mut client = Raw::connect(&server);
    let session = client.authenticate_polling(&server.token(&user));
    client.post(&session, &["40"; 100].join("\u{1e}")).expect("it is open");
    let refused = client.answer().expect("an answer");
    assert_ne!(refused.status, 200, "{}", refused.body);
    eventually("the session is gone", Duration::from_secs(60), || {
        client.get(&session, "").expect("it is open");
        (client.answer().expect("an answer").status == 400).then_some(())
    });
}

/// An event that announces an attachment.
const INCOMPLETE: &str = r#"451-["typing",{"text":"{}","_placeholder":true,"num":0}]"#;

#[test]
fn an_event_whose_attachments_never_come_ends_in_time() {
    let server = Server::start(Engine::Embedded);
    let [user] = server.new_users();
    let mut client = Raw::connect(&server);
    client.authenticate(&server.token(&user));
    client.say(INCOMPLETE).expect("it is open");
    eventually("it is ended", Duration::from_secs(120), || {
        // What answers the pings.
        client.say("3").is_err().then_some(())
    });
    eventually("it is said why", Duration::from_secs(60), || {
        server.stderr().contains("reason=\"intake\"").then_some(())
    });
}

#[test]
fn a_polled_event_whose_attachments_never_come_ends_in_time() {
    let server = Server::start(Engine::Embedded);
    let [user] = server.new_users();
    let session = Raw::connect(&server).authenticate_polling(&server.token(&user));
    let post = |packet: &str| {
        // The server closes connections that are idle for as long as a poll may take.
        let mut client = Raw::connect(&server);
        client.post(&session, packet).expect("it is open");
        client.answer().expect("an answer").status
    };
    // It answers the pings, of which one has come.
    assert_eq!((post("3"), post(INCOMPLETE)), (200, 200));
    eventually("it is ended", Duration::from_secs(120), || {
        let mut polling = Raw::connect(&server);
        polling.get(&session, "").expect("it is open");
        polling.answer().expect("an answer");
        (post("3") == 400).then_some(())
    });
    let log = server.stderr();
    assert!(log.contains("reason=\"intake\""), "{log}");
}

#[test]
fn polled_packets_that_are_not_allowed_end_their_session() {
    let server = Server::start(Engine::Embedded);
    let [user] = server.new_users();
    // The library refuses each of these, drops the rest of the body, and would keep the event.
    for packet in ["6", "5", "2probe", "3probe"] {
        let mut client = Raw::connect(&server);
        let session = client.authenticate_polling(&server.token(&user));
        let body = [INCOMPLETE, packet, "bAAAA"].join("\u{1e}");
        client.post(&session, &body).expect("it is open");
        assert_eq!(client.answer().expect("an answer").status, 400, "{packet}");
        let mut client = Raw::connect(&server);
        client.post(&session, "3").expect("it is open");
        assert_eq!(client.answer().expect("an answer").status, 400, "{packet}");
    }
    logs(&server, "reason=\"protocol\"");
}

#[test]
fn a_session_posts_one_body_at_a_time() {
    let server = Server::start(Engine::Embedded);
    let [user] = server.new_users();
    let session = Raw::connect(&server).authenticate_polling(&server.token(&user));
    let mut first = Raw::connect(&server);
    let head = "HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n3\u{1e}\r\n";
    first.send(format!("POST {session} {head}")).expect("it is open");
    // The first may come a moment later.
    eventually("it is refused", Duration::from_secs(60), || {
        let mut second = Raw::connect(&server);
        second.post(&session, "3").expect("it is open");
        (second.answer().expect("an answer").status == 400).then_some(())
    });
    logs(&server, "reason=\"protocol\"");
}

#[test]
fn bodies_of_users_behind_one_address_are_no_burden_to_each_other() {
    let server = Server::start(Engine::Embedded);
    let users: [String; 20] = server.new_users();
    let body = "x".repeat(900_000);
    let mut posts: Vec<Raw> = users
        .iter()
        .map(|user| {
            let session = Raw::connect(&server).authenticate_polling(&server.token(user));
            let mut client = Raw::connect(&server);
            let head = format!(
                "HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
                body.len() + 6
            );
            client
                .send(format!("POST {session} {head}42[\"{body}"))
                .expect("it is open");
            client
        })
        .collect();
    for post in &mut posts {
        post.send("\"]").expect("it is open");
        assert_eq!(post.answer().expect("it is not cut").status, 200);
    }
}

#[test]
fn polled_events_that_are_never_complete_are_bounded_in_bytes() {
    let server = Server::start(Engine::Embedded);
    let [user, other] = server.new_users();
    let incomplete = INCOMPLETE.replace("{}", &"x".repeat(900_000));
    let post = |user: &str| {
        let mut client = Raw::connect(&server);
        let session = client.authenticate_polling(&server.token(user));
        client.post(&session, &incomplete).expect("it is open");
        let taken = client.answer().expect("an answer").status == 200;
        (client, taken)
    };
    let posted: Vec<_> = (0..30).map(|_| post(&user)).collect();
    let taken = posted.iter().filter(|(_, taken)| *taken).count();
    assert!((5..20).contains(&taken), "{taken}");
    assert!(post(&other).1, "somebody else");
}

#[test]
fn a_body_that_is_much_too_large_is_answered() {
    let server = Server::start(Engine::Embedded);
    let admin = server.admin_token();
    let length = 6 << 20;
    for _ in 0..3 {
        let mut client = Raw::connect(&server);
        client
            .send(format!(
                "POST /users HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {admin}\r\n\
                 Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
            ))
            .expect("it is open");
        client.send(vec![b'x'; length]).expect("all of it is read");
        assert_eq!(client.answer().expect("an answer").status, 413);
    }
}

#[test]
fn messages_that_are_never_complete_leave_room_for_others() {
    let server = Server::start(Engine::Embedded);
    let users: [String; 14] = server.new_users();
    let [sender, receiver] = server.new_users();
    let mut clients = Vec::new();
    for user in &users {
        let token = server.token(user);
        for _ in 0..30 {
            let mut client = Raw::connect(&server);
            client.authenticate(&token);
            // Two thirds of what one may be long.
            let mut frame = vec![0x01, 0x80 | 127];
            frame.extend(100_000_u64.to_be_bytes());
            frame.extend([0; 4]);
            frame.extend([b'4'; 90_000]);
            client.send(frame).expect("it is open");
            clients.push(client);
        }
    }
    eventually("what goes beyond is ended", Duration::from_secs(60), || {
        server.stderr().contains("reason=\"intake\"").then_some(())
    });
    let mut client = Raw::connect(&server);
    client.authenticate(&server.token(&sender));
    let message = json!({"receiverId": receiver, "message": "\u{1}".repeat(10_000)});
    client
        .say(&format!("421{}", json!(["send_message", message])))
        .expect("it is open");
    let answer = client.text().expect("an answer");
    assert!(answer.starts_with("431[{\"ok\":true"), "{answer:.200}");
    drop(clients);
}

/// Waits for a line in the log, which is written in its own time.
#[track_caller]
fn logs(server: &Server, text: &str) {
    eventually("the log says it", Duration::from_secs(60), || {
        server.stderr().contains(text).then_some(())
    });
}
