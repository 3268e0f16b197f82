//! The replaced program's database, with its holes and its types: what it answered must stay the same to the byte.

use std::path::PathBuf;

use serde_json::{Value, json};
use testkit::server::{fresh_database, with_database};
use testkit::{Server, Setup, mongod, node};

use crate::run_checks;

const USER_A: &str = "6945576383968f286a0ff5f9";
const USER_B: &str = "6945577083968f286a0ff5fb";
const USER_C: &str = "69455b2183968f286a0ff601";
const OTHER_USER_C: &str = "69455b2183968f286a0ff602";

fn folder() -> PathBuf {
    testkit::workspace().join("server/tests/legacy")
}

fn on_legacy_data() -> Server {
    let uri = with_database(&mongod::uri(), &fresh_database());
    let reports = node::run("load.js", &json!({"uri": uri, "folder": folder()}));
    assert_eq!(reports[0], json!({"loaded": "users", "count": 4}));
    assert_eq!(reports[1], json!({"loaded": "messages", "count": 43}));
    Setup::on(&uri).start()
}

fn send(server: &Server, from: &str, to: &str, message: &str) -> Value {
    let argument = json!({"url": server.url(), "token": server.token(from), "receiver": to, "texts": [message]});
    let answer = &node::run("send.js", &argument)[0]["answer"];
    let answer: Value = serde_json::from_str(answer.as_str().expect("a text")).expect("an answer");
    assert_eq!(answer["ok"], true, "{answer}");
    answer["message"].clone()
}

#[test]
fn history_is_answered_as_before_and_goes_on() {
    let mut server = on_legacy_data();
    let histories = [
        ("userA-userB", USER_A, USER_B),
        ("userA-userC", USER_A, USER_C),
        ("userA-userA", USER_A, USER_A),
    ];
    let answered = |name: &str| std::fs::read_to_string(folder().join(format!("history-{name}.json"))).expect("a file");
    // Twice: what a start does to the database must not change it.
    for _ in 0..2 {
        for (name, one, other) in histories {
            for (one, other) in [(one, other), (other, one)] {
                let answer = server.get(&format!("/chat/history/{one}/{other}"), &server.token(one));
                assert_eq!(answer.status, 200, "{}", answer.body);
                assert_eq!(answer.body, answered(name), "{name}");
            }
        }
        server.terminate();
        server.restart();
    }
    for (name, one, other) in histories {
        let sent = send(&server, one, other, "and on");
        let body = server
            .get(&format!("/chat/history/{one}/{other}"), &server.token(other))
            .body;
        let before = answered(name);
        let before = before.trim_end().strip_suffix(']').expect("an array");
        let rest = body
            .strip_prefix(before)
            .and_then(|rest| rest.strip_prefix(','))
            .expect("the old history first");
        let message: Value = serde_json::from_str(rest.trim_end_matches(']')).expect("one more message");
        assert_eq!(message, sent);
    }
    // Messages with holes page like others.
    let whole: Vec<Value> = serde_json::from_str(&answered("userA-userB")).expect("an array");
    let mut paged: Vec<Value> = Vec::new();
    let mut after = format!("before={}&limit=200", whole[1]["_id"].as_str().expect("an id"));
    loop {
        let path = format!("/chat/history/{USER_A}/{USER_B}?{after}");
        let page = server.get(&path, &server.token(USER_A)).json();
        let page = page.as_array().expect("a page");
        let Some(last) = page.last() else { break };
        after = format!("after={}&limit=3", last["_id"].as_str().expect("an id"));
        paged.extend(page.iter().cloned());
    }
    assert_eq!(paged[..whole.len()], whole);
    assert_eq!(paged.len(), whole.len() + 1);
}

#[test]
fn what_was_there_before_the_first_start_is_read_and_an_answer_reads() {
    let server = on_legacy_data();
    testkit::process::eventually("inboxes are built", std::time::Duration::from_secs(60), || {
        (server.get("/readyz", "").json()["inbox"]["ready"] == true).then_some(())
    });
    let unread = |user: &str| {
        let inbox = server.get("/chat/conversations", &server.token(user)).json();
        let listed = inbox["conversations"].as_array().expect("conversations").clone();
        let numbers: Vec<u64> = listed.iter().filter_map(|one| one["unread"].as_u64()).collect();
        assert_eq!(inbox["totalUnread"].as_u64(), Some(numbers.iter().sum()), "{inbox}");
        (listed.len(), numbers.iter().sum::<u64>())
    };
    for user in [USER_A, USER_B, USER_C] {
        let (conversations, unread) = unread(user);
        assert!(
            conversations > 0 && unread == 0,
            "{user}: {unread} of {conversations} conversations"
        );
    }
    send(&server, USER_B, USER_A, "new");
    send(&server, USER_B, USER_A, "and one more");
    assert_eq!(unread(USER_A).1, 2);
    send(&server, USER_A, USER_B, "an answer");
    assert_eq!((unread(USER_A).1, unread(USER_B).1), (0, 1));
}

#[test]
fn users_of_one_name_stay_and_new_names_are_unique() {
    let server = on_legacy_data();
    let admin = server.admin_token();
    let named = server.get("/users?username=userC", &server.token(OTHER_USER_C)).json();
    assert_eq!(
        named["users"],
        json!([
            {"_id": USER_C, "username": "userC", "isOnline": false},
            {"_id": OTHER_USER_C, "username": "userC", "isOnline": false},
        ])
    );
    for name in ["userC", "userA"] {
        let expected = if name == "userC" { USER_C } else { USER_A };
        let created = server.post("/users", &admin, &json!({"username": name})).json();
        assert_eq!(
            (&created["users"][0]["_id"], &created["users"][0]["created"]),
            (&json!(expected), &json!(false))
        );
    }
    // Even if many ask at once.
    let ids: Vec<Value> = std::thread::scope(|scope| {
        let ask = || server.post("/users", &admin, &json!({"username": "userD"})).json()["users"][0]["_id"].clone();
        let asking: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        asking.into_iter().map(|ask| ask.join().expect("an answer")).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0] && id.is_string()), "{ids:?}");
    let named = server.get("/users?username=userD", &admin).json();
    assert_eq!(named["users"].as_array().map(Vec::len), Some(1));
}

#[test]
fn mongoose_reads_and_writes_beside_the_server() {
    let server = on_legacy_data();
    let sent = send(&server, USER_A, USER_B, "for Mongoose");
    let external = json!({"users": [{"username": "of another system", "externalId": "auth0|7"}]});
    let created = server.post("/users", &server.admin_token(), &external).json();
    assert_eq!(created["users"][0]["created"], true);
    let before = server.history(USER_A, USER_B);
    let uri = server.mongo_uri().expect("it is on MongoDB");
    let reports = run_checks(
        "mongoose.js",
        &json!({"uri": uri, "a": USER_A, "b": USER_B, "text": "for Mongoose"}),
    );

    let [user, read, wrote] = reports.as_slice() else {
        panic!("{reports:?}")
    };
    assert_eq!(
        (&user["user"]["username"], &user["user"]["_id"]),
        (&json!("userA"), &json!(USER_A))
    );
    let texts: Vec<Value> = before.iter().map(|message| message["message"].clone()).collect();
    let read: Vec<Value> = read["read"].as_array().expect("texts").clone();
    assert_eq!(read, texts, "a missing text is undefined for Mongoose, null here");

    let after = server.history(USER_A, USER_B);
    let (old, new) = after.split_at(before.len());
    let wrote: Value = serde_json::from_str(wrote["wrote"].as_str().expect("a text")).expect("a document");
    assert_eq!(new, [wrote], "what Mongoose wrote is served");
    let changed = old.last().expect("the message sent before");
    assert_eq!(
        (&changed["_id"], &changed["createdAt"]),
        (&sent["_id"], &sent["createdAt"])
    );
    assert_eq!(changed["message"], "for Mongoose, changed");
    assert!(changed["updatedAt"].as_str() >= sent["updatedAt"].as_str());

    let created = server
        .post("/users", &server.admin_token(), &json!({"username": "by mongoose 1"}))
        .json();
    assert_eq!(created["users"][0]["created"], false);
}
