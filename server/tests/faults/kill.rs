//! `kill -9` of the server while clients send: what was acknowledged is there, nothing is there twice.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::node::Script;
use testkit::process::eventually;
use testkit::{Engine, Server};

use crate::listed;

const CLIENTS: usize = 4;
const EACH: usize = 1_500;
const KILLS: usize = 4;

#[test]
fn loses_and_doubles_nothing_embedded() {
    loses_and_doubles_nothing(Engine::Embedded);
}

#[test]
fn loses_and_doubles_nothing_mongo() {
    loses_and_doubles_nothing(Engine::Mongo);
}

#[test]
fn leaves_nobody_online_embedded() {
    leaves_nobody_online(Engine::Embedded);
}

#[test]
fn leaves_nobody_online_mongo() {
    leaves_nobody_online(Engine::Mongo);
}

fn loses_and_doubles_nothing(engine: Engine) {
    let mut server = Server::start(engine);
    let senders: [String; CLIENTS] = server.new_users();
    let [receiver] = server.new_users();
    let clients: Vec<Value> = senders
        .iter()
        .map(|sender| json!({"token": server.token(sender), "receiver": receiver}))
        .collect();
    let mut storm = Script::start(
        "storm.js",
        &json!({"url": server.url(), "clients": clients, "each": EACH}),
    );

    // Each kill comes while acknowledgements are coming in, spread over the run.
    for kill in 1..=KILLS {
        let due = (CLIENTS * EACH * kill / (KILLS + 1)) as u64;
        loop {
            let report = storm.report().expect("the storm goes on");
            if report["acknowledged"].as_u64() >= Some(due) {
                break;
            }
        }
        server.kill();
        server.restart();
    }
    let reports = storm.finish();
    let sent: Vec<&Value> = reports.iter().filter(|report| report["client"].is_u64()).collect();
    assert_eq!(sent.len(), CLIENTS);
    let resent: u64 = sent.iter().filter_map(|report| report["resent"].as_u64()).sum();
    assert!(
        resent > 0,
        "no kill came while messages were unanswered: nothing was tried"
    );
    for (sender, report) in senders.iter().zip(sent) {
        let mut acknowledged: Vec<(String, String)> =
            serde_json::from_value(report["sent"].clone()).expect("pairs of text and id");
        assert_eq!(acknowledged.len(), EACH);
        acknowledged.sort_by_key(|(text, _)| text.trim_start_matches("message ").parse::<usize>().expect("a number"));
        // Equal lists say it all: nothing is missing, nothing came twice, and the order is that of sending.
        assert_eq!(listed(&server.history(sender, &receiver)), acknowledged);
    }
}

fn leaves_nobody_online(engine: Engine) {
    let mut server = Server::start(engine);
    let [a, b, c] = server.new_users();
    let online = |server: &Server, user: &str| {
        server.get(&format!("/users/{user}"), &server.admin_token()).json()["isOnline"] == true
    };
    let tokens = [server.token(&a), server.token(&a), server.token(&b)];
    let mut stay = Script::start("stay.js", &json!({"url": server.url(), "tokens": tokens}));
    assert_eq!(stay.report(), Some(json!({"connected": 3})));
    let patience = Duration::from_secs(60);
    for user in [&a, &b] {
        eventually("the connected are online", patience, || {
            online(&server, user).then_some(())
        });
    }
    assert!(!online(&server, &c));

    server.kill();
    server.restart();
    for user in [&a, &b] {
        eventually("who was online before the kill is not", patience, || {
            (!online(&server, user)).then_some(())
        });
    }
}
