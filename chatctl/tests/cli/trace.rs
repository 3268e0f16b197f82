//! `chatctl trace`: what became of a message, whichever server did it, and why it did not come further.

use serde_json::Value;
use testkit::{Engine, Server, Setup};

use crate::program::{Script, chatctl, command, ended};
use crate::{server, users};

/// The text of all messages here, which no answer may hold.
const TEXT: &str = "a text that nobody else may see";

/// Sends a message, and returns its id and its `clientMessageId`.
fn send(server: &Server, from: &str, to: &str) -> (String, String) {
    let mut chat = Script::run(server, &["chat", "--as", from, "--with", to, "--json"]);
    chat.event_named("connected");
    chat.line(TEXT);
    let ack = chat.event_named("ack");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    (text(&ack["message"]["_id"]), text(&ack["clientMessageId"]))
}

fn trace(server: &Server, name: &str) -> Value {
    let ended = chatctl(server, &["trace", name, "--json"]);
    assert!(!ended.stdout.contains(TEXT), "{ended:?}");
    ended.json()
}

/// What was done, in order, by all nodes.
fn steps(report: &Value) -> Vec<&str> {
    let nodes = report["nodes"].as_array().expect("nodes").iter();
    let steps = nodes.flat_map(|node| node["steps"].as_array().expect("steps"));
    steps.map(|step| step["what"].as_str().expect("a text")).collect()
}

#[test]
fn a_message_is_followed_to_the_devices_and_back() {
    let [(ada, _), (bob, bob_id)] = users(server());
    let (id, client_id) = send(server(), &ada, &bob);
    let report = trace(server(), &id);
    assert_eq!(steps(&report), ["received", "committed", "nobody_here"], "{report}");
    assert!(report["why"].as_str().unwrap().contains("no connection"), "{report}");
    assert_eq!(trace(server(), &client_id)["nodes"][0]["messageId"], id.as_str());

    let mut watch = Script::run(server(), &["watch", "--as", &bob, "--json"]);
    watch.event_named("connected");
    let (id, _) = send(server(), &ada, &bob);
    watch.event_named(&format!("receive_message_{bob_id}"));
    let report = trace(server(), &id);
    assert!(steps(&report).contains(&"sent"), "{report}");
    let sent = report["nodes"][0]["steps"]
        .as_array()
        .unwrap()
        .iter()
        .find(|step| step["what"] == "sent");
    let listed = chatctl(server(), &["admin", "connections", &bob, "--json"]).json();
    assert_eq!(
        sent.unwrap()["connection"],
        listed[0]["connections"][0]["id"],
        "{report}"
    );

    let text = chatctl(server(), &["trace", &id]).output();
    assert!(
        text.contains("committed, and acknowledged") && !text.contains(TEXT),
        "{text}"
    );
}

#[test]
fn what_nobody_knows_is_said() {
    let ended = chatctl(server(), &["trace", "0190a5e2-7c1b-7a30-9d25-3f1c5e0d8a11", "--json"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stdout.contains("never came"), "{ended:?}");
}

#[test]
fn several_servers_tell_what_each_did_and_the_store_what_is_older() {
    let mut one = Server::start(Engine::Mongo);
    let two = Setup::on(one.mongo_uri().expect("it has one")).start();
    let [(ada, _), (bob, bob_id)] = users(&one);
    let mut watch = Script::run(&two, &["watch", "--as", &bob, "--json"]);
    watch.event_named("connected");
    let (id, _) = send(&one, &ada, &bob);
    watch.event_named(&format!("receive_message_{bob_id}"));
    let both = || {
        let mut command = command(&one, &["trace", &id, "--json"]);
        command.env("CHAT_URL", format!("{},{}", one.url(), two.url()));
        command.env("CHAT_ADMIN_URL", format!("{},{}", one.admin_url(), two.admin_url()));
        let ended = ended(command);
        serde_json::from_str::<Value>(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"))
    };
    let report = both();
    assert_eq!(report["nodes"][1]["steps"][0]["what"], "sent", "{report}");
    one.restart();
    let after = trace(&one, &id);
    assert!(
        steps(&after).is_empty() && after["nodes"][0]["stored"]["createdAt"].is_string(),
        "{after}"
    );
}
