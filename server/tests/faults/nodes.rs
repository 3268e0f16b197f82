//! Two servers on one database, of which one dies.

use std::time::Duration;

use serde_json::json;
use testkit::node::Script;
use testkit::process::eventually;
use testkit::{Engine, Server, Setup};

const PATIENCE: Duration = Duration::from_secs(60);

/// How soon after a node's end its users are offline.
const LEFT_BEHIND: Duration = Duration::from_secs(15);

#[test]
fn a_killed_node_leaves_nobody_online_but_those_connected_elsewhere() {
    let mut dies = Server::start(Engine::Mongo);
    let lives = Setup::on(dies.mongo_uri().expect("it has one")).start();
    let [only_there, on_both] = lives.new_users();
    let online = |user: &str| lives.get(&format!("/users/{user}"), &lives.admin_token()).json()["isOnline"] == true;
    let connect = |server: &Server, users: &[&String]| {
        let tokens: Vec<String> = users.iter().map(|user| server.token(user)).collect();
        let mut script = Script::start("stay.js", &json!({"url": server.url(), "tokens": tokens}));
        assert_eq!(script.report(), Some(json!({"connected": users.len()})));
        script
    };
    let _there = connect(&dies, &[&only_there, &on_both]);
    let _here = connect(&lives, &[&on_both]);
    for user in [&only_there, &on_both] {
        eventually("the connected are online", PATIENCE, || online(user).then_some(()));
    }

    dies.kill();
    eventually(
        "who was connected to the dead node only is offline",
        LEFT_BEHIND,
        || {
            assert!(online(&on_both), "who is connected elsewhere stays online");
            (!online(&only_there)).then_some(())
        },
    );
    assert!(online(&on_both));
}

#[test]
fn settings_changed_on_one_node_are_told_on_the_other() {
    let one = Server::start(Engine::Mongo);
    let two = Setup::on(one.mongo_uri().expect("it has one")).start();
    let [a, b] = one.new_users();
    let reports = testkit::node::run(
        "nodes.js",
        &json!({
            "urls": {"one": one.url(), "two": two.url()},
            "users": {"a": a, "b": b},
            "tokens": {"a": one.token(&a), "b": one.token(&b)},
        }),
    );
    for report in reports {
        assert!(report["error"].is_null(), "{report}");
    }
}
