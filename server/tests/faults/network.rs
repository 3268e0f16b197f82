//! A network between clients and server that delays, drops and half-opens: what is acknowledged is stored once and heard
//! once, and who has gone without a word is noticed.

use std::time::Duration;

use serde_json::json;
use testkit::node::Script;
use testkit::process::eventually;
use testkit::proxy::{Direction, Link, Proxy};
use testkit::{Engine, Server};

use crate::storm::Storm;

const TIMEOUT: Duration = Duration::from_secs(120);
const CLIENTS: usize = 8;

#[test]
fn loses_and_doubles_nothing_embedded() {
    loses_and_doubles_nothing(Engine::Embedded);
}

#[test]
fn loses_and_doubles_nothing_mongo() {
    loses_and_doubles_nothing(Engine::Mongo);
}

fn loses_and_doubles_nothing(engine: Engine) {
    let server = Server::start(engine);
    let network = Proxy::to(server.port());
    // The stock client's own retries, much sooner than a person would set them.
    let mut storm = Storm::start::<CLIENTS>(&server, &network.url(), json!({"window": 1, "retries": 250}));
    storm.more(200);

    // Slower than the clients wait, now and then: they repeat what is only late.
    network.set(Link::Delay {
        fixed: Duration::from_millis(50),
        jitter: Duration::from_millis(150),
    });
    storm.more(50);
    network.heal();

    for _ in 0..3 {
        storm.more(100);
        network.cut();
    }
    storm.more(100);

    network.set(Link::Reset);
    let before = network.attempts();
    eventually("everyone has tried to come back", TIMEOUT, || {
        (network.attempts() >= before + 2 * CLIENTS as u64).then_some(())
    });
    network.heal();
    storm.more(100);

    // Half-open, until whatever stands in between is started anew.
    for direction in [Direction::ToServer, Direction::ToClient, Direction::Both] {
        let before = network.swallowed();
        network.set(Link::Swallow(direction));
        eventually("messages or their answers vanish", TIMEOUT, || {
            (network.swallowed() >= before + 2_000).then_some(())
        });
        network.heal();
        network.cut();
        storm.more(100);
    }

    let tally = storm.finish(&server);
    assert!(tally.refused.is_empty(), "{:?}", tally.refused);
    assert!(tally.resent > 0, "no answer was lost: nothing was tried");
    let mut heard = tally.heard;
    heard.sort_unstable();
    heard.dedup();
    assert_eq!(
        heard.len(),
        tally.acknowledged,
        "the receiver was connected all the time"
    );
}

/// Takes as long as the heartbeat of Socket.IO: 25 s until the server asks, 20 s for the answer.
#[test]
fn who_has_gone_without_a_word_is_offline() {
    let server = Server::start(Engine::Embedded);
    let users: [String; 3] = server.new_users();
    let [stays] = server.new_users();
    let directions = [Direction::ToServer, Direction::ToClient, Direction::Both];
    let online = |user: &str| server.get(&format!("/users/{user}"), &server.admin_token()).json()["isOnline"] == true;
    let connect = |url: String, user: &str| {
        let mut script = Script::start("stay.js", &json!({"url": url, "tokens": [server.token(user)]}));
        assert_eq!(script.report(), Some(json!({"connected": 1})));
        eventually("who has connected is online", TIMEOUT, || online(user).then_some(()));
        script
    };
    let sound = Proxy::to(server.port());
    let _connected = connect(sound.url(), &stays);
    let gone: Vec<(Proxy, Script)> = users
        .iter()
        .zip(directions)
        .map(|(user, direction)| {
            let network = Proxy::to(server.port());
            let script = connect(network.url(), user);
            network.set(Link::Swallow(direction));
            (network, script)
        })
        .collect();
    for user in &users {
        eventually("who has gone without a word is offline", TIMEOUT, || {
            (!online(user)).then_some(())
        });
    }
    assert!(online(&stays));
    drop(gone);
}
