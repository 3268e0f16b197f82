//! Two servers on one database, of which one dies.

use std::time::{Duration, Instant};

use bson::doc;
use serde_json::json;
use testkit::node::Script;
use testkit::process::eventually;
use testkit::{Engine, Server, Setup};

const TIMEOUT: Duration = Duration::from_secs(60);

/// How soon after a node's end its users are offline.
const LEFT_BEHIND: Duration = Duration::from_secs(15);

#[test]
fn a_killed_node_leaves_nobody_online_but_those_connected_elsewhere() {
    let mut dies = Server::start(Engine::Mongo);
    let lives = Setup::on(dies.mongo_uri().expect("it has one")).start();
    let [only_there, on_both, follower] = lives.new_users();
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
        eventually("the connected are online", TIMEOUT, || online(user).then_some(()));
    }

    let mut followed = follow(&lives, &follower, &only_there);
    assert_eq!(followed.report(), Some(json!({"isOnline": true})));
    dies.kill();
    assert_eq!(
        followed.report(),
        Some(json!({"isOnline": false})),
        "followers are told"
    );
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
fn settings_and_marks_of_one_node_are_told_on_the_other() {
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

/// Follows a user who is online, or is not.
fn follow(server: &Server, follower: &str, user: &str) -> Script {
    let argument = json!({"url": server.url(), "token": server.token(follower), "user": user});
    Script::start("follow.js", &argument)
}

#[test]
fn a_server_that_is_alone_does_not_ask_who_is_absent_all_the_time() {
    let server = Server::start(Engine::Mongo);
    let [follower, absent] = server.new_users();
    let mut followed = follow(&server, &follower, &absent);
    assert_eq!(followed.report(), Some(json!({"isOnline": false})));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let client = mongodb::Client::with_uri_str(server.mongo_uri().expect("it has one")).await;
        let client = client.expect("it is well-formed");
        let database = client.default_database().expect("it is named");
        database.run_command(doc! { "profile": 2 }).await.expect("it profiles");
        let profile = database.collection::<bson::Document>("system.profile");
        let count = async |what| profile.count_documents(what).await.expect("it answers");
        // Its heartbeats are the clock of this test.
        let deadline = Instant::now() + TIMEOUT;
        let beats = doc! { "op": "update", "ns": format!("{}.nodes", database.name()) };
        while count(beats.clone()).await < 6 {
            assert!(Instant::now() < deadline, "its heart beats");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let asked = count(doc! { "command.find": "users", "command.filter._id": { "$exists": true } }).await;
        assert!(asked <= 2, "{asked} times within six heartbeats");
        client.shutdown().await;
    });
}
