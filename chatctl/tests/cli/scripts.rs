//! `chatctl chat` without a terminal: lines in, JSON lines out.

use std::collections::HashSet;

use serde_json::Value;
use testkit::{Engine, Server, Setup};

use crate::program::{Script, chatctl};
use crate::{server, users};

fn text(event: &Value) -> &str {
    event["message"]["message"].as_str().unwrap_or_default()
}

#[test]
fn two_scripts_talk() {
    let [(ada, ada_id), (bob, bob_id)] = users(server());
    let mut at_ada = Script::start(server(), &ada, &bob, &["--stay"]);
    let connected = at_ada.event();
    assert_eq!(connected["event"], "connected");
    assert_eq!(
        (&connected["userId"], &connected["with"]),
        (&Value::from(ada_id.as_str()), &Value::from(bob_id))
    );
    let mut at_bob = Script::connected(server(), &bob, &ada, &["--stay"]);

    at_ada.line("hello");
    let ack = at_ada.event();
    assert_eq!(
        (&ack["event"], &ack["duplicate"]),
        (&Value::from("ack"), &Value::from(false))
    );
    assert_eq!(ack["clientMessageId"].as_str().map(str::len), Some(36));
    let received = at_bob.event();
    assert_eq!(received["event"], "receive_message");
    assert_eq!(received["message"], ack["message"]);
    assert_eq!(received.get("missed"), None);

    at_bob.line("");
    at_bob.line("wörld  ");
    assert_eq!(at_bob.event()["event"], "ack");
    assert_eq!(text(&at_ada.event()), "wörld  ");
}

#[test]
fn the_senders_other_client_hears_too() {
    let [(ada, _), (bob, _)] = users(server());
    let mut sender = Script::connected(server(), &ada, &bob, &["--stay"]);
    let mut other = Script::connected(server(), &ada, &bob, &["--stay"]);
    sender.line("from one client");
    let sent = other.event();
    assert_eq!(
        (&sent["event"], text(&sent)),
        (&Value::from("message_sent"), "from one client")
    );
    assert_eq!(sender.event()["event"], "ack");
}

#[test]
fn a_message_to_oneself_is_acknowledged_and_received_once() {
    let [(ada, _)] = users(server());
    let mut other = Script::connected(server(), &ada, &ada, &["--stay"]);
    let mut script = Script::connected(server(), &ada, &ada, &["--wait", "0.5"]);
    script.line("note");
    script.close();
    let received = other.event();
    assert_eq!(
        (&received["event"], text(&received)),
        (&Value::from("receive_message"), "note")
    );
    let (code, events, _) = script.end();
    assert_eq!((code, events.len()), (0, 1), "{events:?}");
    assert_eq!(events[0]["event"], "ack");
}

#[test]
fn the_end_of_the_input_waits_for_the_acknowledgements() {
    let [(ada, ada_id), (bob, bob_id)] = users(server());
    let mut script = Script::start(server(), &ada, &bob, &[]);
    (1..=300).for_each(|number| script.line(&format!("line {number}")));
    script.close();
    let (code, events, stderr) = script.end();
    assert_eq!((code, stderr.as_str()), (0, ""));
    let acks: Vec<&str> = events
        .iter()
        .filter(|event| event["event"] == "ack")
        .map(text)
        .collect();
    let expected: Vec<String> = (1..=300).map(|number| format!("line {number}")).collect();
    assert_eq!(acks, expected);
    let stored = server().history(&ada_id, &bob_id);
    let stored: Vec<&str> = stored
        .iter()
        .map(|message| message["message"].as_str().unwrap())
        .collect();
    assert_eq!(stored, expected);
    let ids: HashSet<&str> = events
        .iter()
        .filter_map(|event| event["clientMessageId"].as_str())
        .collect();
    assert_eq!(ids.len(), 300);
}

#[test]
fn nothing_to_say_is_fine() {
    let [(ada, _), (bob, _)] = users(server());
    assert_eq!(chatctl(server(), &["chat", "--as", &ada, "--with", &bob]).code, 0);
}

#[test]
fn listens_on_after_the_input_has_ended() {
    let [(ada, _), (bob, _)] = users(server());
    let mut listener = Script::connected(server(), &ada, &bob, &["--wait", "20"]);
    listener.line("anybody there?");
    listener.close();
    assert_eq!(listener.event()["event"], "ack");
    let mut answer = Script::connected(server(), &bob, &ada, &[]);
    answer.line("yes");
    answer.close();
    assert_eq!(text(&listener.event_named("receive_message")), "yes");
}

#[test]
fn what_was_there_before_is_not_an_event() {
    let [(ada, _), (bob, _)] = users(server());
    let mut before = Script::connected(server(), &bob, &ada, &[]);
    before.line("old");
    before.close();
    assert_eq!(before.end().0, 0);
    let mut script = Script::connected(server(), &ada, &bob, &["--stay"]);
    let mut after = Script::connected(server(), &bob, &ada, &[]);
    after.line("new");
    after.close();
    assert_eq!(text(&script.event()), "new");
}

#[test]
fn a_refused_line_is_an_error_and_the_next_ones_are_sent() {
    let server = Setup::new(Engine::Embedded).env("MAX_MESSAGE_BYTES", 10).start();
    let [(ada, _), (bob, _)] = users(&server);
    let mut script = Script::connected(&server, &ada, &bob, &[]);
    script.line("this is too long");
    script.line(&"x".repeat(200_000));
    script.line("short");
    script.close();
    let (code, events, stderr) = script.end();
    assert_eq!(code, 1);
    assert!(stderr.contains("2 messages were refused"), "{stderr}");
    let codes: Vec<&Value> = events.iter().map(|event| &event["error"]["code"]).collect();
    assert_eq!(
        codes,
        [
            &Value::from("message_too_long"),
            &Value::from("payload_too_large"),
            &Value::Null
        ]
    );
    assert_eq!(text(&events[2]), "short");
}

#[test]
fn an_unacknowledged_line_is_a_failure() {
    let mut server = Server::start(Engine::Embedded);
    let [(ada, _), (bob, _)] = users(&server);
    let mut script = Script::connected(&server, &ada, &bob, &[]);
    server.kill();
    script.line("into the void");
    script.close();
    let (code, events, stderr) = script.end();
    assert_eq!(code, 1, "{events:?}");
    assert!(stderr.contains("1 message was not acknowledged"), "{stderr}");
    assert!(
        events
            .iter()
            .any(|event| event["event"] == "disconnected" && event["retryInMs"].is_u64())
    );
}

#[test]
fn a_refused_token_ends_it() {
    let mut server = Server::start(Engine::Embedded);
    let [(ada, _), (bob, _)] = users(&server);
    let command = {
        let mut command = crate::program::command(&server, &["chat", "--as", &ada, "--with", &bob, "--stay"]);
        command.env("JWT_SECRET", "not the server's secret, but as long as one");
        command
    };
    let complaint = crate::program::ended(command).complaint(1);
    assert!(complaint.contains("refused the token"), "{complaint}");
    server.kill();
}
