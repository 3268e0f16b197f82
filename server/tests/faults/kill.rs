//! `kill -9` of the server while clients send: what was acknowledged is there, nothing is there twice.

use std::time::Duration;

use serde_json::json;
use testkit::node::Script;
use testkit::process::eventually;
use testkit::{Engine, Server};

use crate::storm::Storm;

const KILLS: u64 = 8;

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
    let mut storm = Storm::start::<4>(&server, &server.url(), json!({}));
    // Each kill comes while acknowledgements are coming in, sooner or later after the start.
    for kill in 0..KILLS {
        storm.more(50 + 250 * (kill % 3));
        server.kill();
        server.restart();
    }
    storm.more(500);
    let tally = storm.finish(&server);
    assert!(
        tally.resent > 0,
        "no kill came while messages were unanswered: nothing was tried"
    );
    assert!(tally.refused.is_empty(), "{:?}", tally.refused);
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
