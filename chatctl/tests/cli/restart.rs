//! `chatctl chat` while the server is killed and comes back: nothing is lost, nothing comes twice.

use serde_json::{Value, json};
use testkit::process::Process;
use testkit::{Engine, Server};

use crate::program::Script;
use crate::screen::Screen;
use crate::users;

fn stored(server: &Server, one: &str, other: &str) -> Vec<String> {
    let history = server.history(one, other);
    history
        .iter()
        .map(|message| message["message"].as_str().expect("a text").to_owned())
        .collect()
}

#[test]
fn people_go_on_where_they_were() {
    let mut server = Server::start(Engine::Embedded);
    let [(ada, ada_id), (bob, bob_id)] = users(&server);
    let mut at_ada = Screen::chat(&server, &ada, &bob);
    let mut at_bob = Screen::chat(&server, &bob, &ada);
    at_ada.line("before;");
    at_bob.wait_for("before;");
    // Half of a line is typed when the server dies, the other half while it is dead.
    at_ada.keys("first ");
    at_ada.wait_for("› first");
    server.kill();
    for screen in [&at_ada, &at_bob] {
        screen.wait_for("connection lost, reconnecting…");
    }
    at_ada.line("while down;");
    at_ada.line("second while down;");
    at_ada.wait_for("2 messages wait");
    for text in ["… first while down;", "… second while down;"] {
        assert_eq!(at_ada.rows_with(text).len(), 1, "{text}");
    }
    at_bob.line("third while down;");
    at_bob.wait_for("1 message waits");
    assert!(at_ada.rows_with("down; ✓").is_empty());

    server.restart();
    let texts = [
        "before;",
        "first while down;",
        "second while down;",
        "third while down;",
    ];
    for screen in [&at_ada, &at_bob] {
        screen.wait_for("connected again");
        texts.iter().for_each(|text| {
            screen.wait_for(text);
        });
    }
    at_ada.wait_for("second while down; ✓");
    at_ada.line("after;");
    at_ada.wait_for("after; ✓");
    at_bob.wait_for("after;");
    for screen in [&at_ada, &at_bob] {
        for text in texts {
            // What was said while the server was away is seen at once, and once more when it is stored.
            let rows = screen.rows_with(text).into_iter().filter(|row| !row.starts_with('…'));
            assert_eq!(rows.count(), 1, "{text}\n{}", screen.rows().join("\n"));
        }
    }
    let stored = stored(&server, &ada_id, &bob_id);
    assert_eq!(stored.len(), 5, "{stored:?}");
    let of_ada: Vec<&String> = stored.iter().filter(|text| !text.starts_with("third")).collect();
    assert_eq!(of_ada, ["before;", "first while down;", "second while down;", "after;"]);
    at_ada.line("/quit");
    assert_eq!(at_ada.end(), 0);
}

#[test]
fn scripts_lose_nothing_when_the_server_is_killed_while_sending() {
    const LINES: usize = 600;
    let mut server = Server::start(Engine::Embedded);
    let [(ada, ada_id), (bob, bob_id)] = users(&server);
    let mut receiver = Script::connected(&server, &bob, &ada, &["--stay"]);
    let mut other = Script::connected(&server, &ada, &bob, &["--stay"]);
    let mut sender = Script::connected(&server, &ada, &bob, &[]);
    let expected: Vec<String> = (0..LINES).map(|number| format!("line {number}")).collect();
    expected.iter().for_each(|line| sender.line(line));
    sender.close();
    let mut acks: Vec<Value> = Vec::new();
    for killed_after in [100, 250, 400] {
        while acks.len() < killed_after {
            acks.push(sender.event_named("ack"));
        }
        server.restart();
    }
    let (code, events, stderr) = sender.end();
    assert_eq!((code, stderr.as_str()), (0, ""));
    acks.extend(events.into_iter().filter(|event| event["event"] == "ack"));

    let text = |event: &Value| event["message"]["message"].as_str().unwrap().to_owned();
    assert_eq!(acks.iter().map(text).collect::<Vec<_>>(), expected);
    assert_eq!(stored(&server, &ada_id, &bob_id), expected);
    // Live or caught up with, each exactly once; the order holds within each connection.
    for (script, event) in [(&mut receiver, "receive_message"), (&mut other, "message_sent")] {
        let mut heard: Vec<String> = (0..LINES).map(|_| text(&script.event_named(event))).collect();
        assert_eq!(heard, expected, "{event}");
        heard.sort();
        heard.dedup();
        assert_eq!(heard.len(), LINES);
    }
}

#[test]
fn what_was_missed_is_caught_up_with() {
    let mut server = Server::start(Engine::Embedded);
    let [(ada, _), (bob, _)] = users(&server);
    let screen = Screen::chat(&server, &ada, &bob);
    let mut listener = Script::connected(&server, &ada, &bob, &["--stay"]);
    // Both hang while the server restarts and somebody writes more than one page.
    let pids = [screen.pid(), listener.pid()];
    pids.into_iter().for_each(|pid| testkit::process::signal(pid, "STOP"));
    server.restart();
    let mut writer = Script::connected(&server, &bob, &ada, &[]);
    let expected: Vec<String> = (0..450).map(|number| format!("missed {number};")).collect();
    expected.iter().for_each(|line| writer.line(line));
    writer.close();
    assert_eq!(writer.end().0, 0);
    pids.into_iter().for_each(|pid| testkit::process::signal(pid, "CONT"));

    for text in &expected {
        let event = listener.event_named("receive_message");
        assert_eq!(event["message"]["message"], *text);
        assert_eq!(event["missed"], true);
    }
    assert!(listener.event_named("sync_done")["cursor"].is_string());
    screen.wait_for("missed 449;");
    // The screen is not long enough for the first ones.
    let rows = screen.rows_with("missed ");
    let shown: Vec<String> = rows
        .iter()
        .map(|row| row.split("  ").last().unwrap().to_owned())
        .collect();
    assert_eq!(shown, expected[expected.len() - shown.len()..]);
    assert!(shown.len() > 250);
}

#[test]
fn all_conversations_are_caught_up_with() {
    let mut server = Server::start(Engine::Embedded);
    let [(ada, _), (bob, _), (cyd, _)] = users(&server);
    let mut listener = Script::connected(&server, &ada, &bob, &["--stay"]);
    listener.event_named("sync_done");
    testkit::process::signal(listener.pid(), "STOP");
    server.restart();
    // Never heard of before, and from another device of the listener's own.
    for (me, peer) in [(&cyd, &ada), (&ada, &cyd)] {
        let mut writer = Script::connected(&server, me, peer, &[]);
        writer.line(&format!("from {me}"));
        writer.close();
        assert_eq!(writer.end().0, 0);
    }
    testkit::process::signal(listener.pid(), "CONT");
    let event = listener.event_named("receive_message");
    assert_eq!(
        (&event["message"]["message"], &event["missed"]),
        (&Value::from(format!("from {cyd}")), &Value::from(true))
    );
    let event = listener.event_named("message_sent");
    assert_eq!(event["message"]["message"], format!("from {ada}"));
}

#[test]
fn a_long_absence_misses_no_conversation() {
    // More than a page of conversations, and more than are ever read at once.
    const STRANGERS: usize = shared::limits::MAX_PAGE + 20;
    let mut server = Server::start(Engine::Embedded);
    let [(ada, ada_id), (bob, _)] = users(&server);
    let screen = Screen::chat(&server, &ada, &bob);
    let mut listener = Script::connected(&server, &ada, &bob, &["--stay"]);
    let mut watch = Script::run(&server, &["watch", "--as", &ada]);
    listener.event_named("sync_done");
    watch.event_named("sync_done");
    let pids = [screen.pid(), listener.pid(), watch.pid()];
    pids.into_iter().for_each(|pid| testkit::process::signal(pid, "STOP"));
    server.restart();
    let names: Vec<String> = (0..STRANGERS).map(|number| format!("stranger {number}")).collect();
    let created = server.post("/users", &server.admin_token(), &json!({"usernames": names}));
    let created = created.json();
    let ids = created["users"].as_array().expect("users").iter();
    let tokens: Vec<String> = ids
        .map(|user| server.token(user["_id"].as_str().expect("an id")))
        .collect();
    let argument = json!({"url": server.url(), "tokens": tokens, "receiver": ada_id});
    testkit::node::run("strangers.js", &argument);
    pids.into_iter().for_each(|pid| testkit::process::signal(pid, "CONT"));

    for number in 0..STRANGERS {
        let text = format!("from stranger {number};");
        assert_eq!(listener.event_named("receive_message")["message"]["message"], text);
        let heard = watch.event_named(&format!("receive_message_{ada_id}"));
        assert_eq!(heard["payload"]["message"], text);
    }
    screen.wait("a line of each stranger", |rows| {
        let lines = rows.iter().filter(|row| row.contains("writes: from stranger"));
        (lines.count() == STRANGERS).then_some(())
    });
    let unread = format!("({STRANGERS} unread elsewhere)");
    screen.wait_for(&unread);
    // Whoever begins only now is told of all of them, too.
    let late = Screen::chat(&server, &ada, &bob);
    late.wait_for(&unread);
}

#[test]
fn a_server_that_comes_back_with_another_secret_ends_the_chat() {
    let mut server = Server::start(Engine::Embedded);
    let [(ada, _), (bob, _)] = users(&server);
    let mut screen = Screen::chat(&server, &ada, &bob);
    server.kill();
    let mut command = testkit::server::command(server.folder());
    command
        .env("PORT", server.port().to_string())
        .env("JWT_SECRET", "another secret, which chatctl can't know");
    let _stranger = Process::spawn(&mut command);
    screen.wait_for("refused the token");
    // The terminal is the editor's until it returns.
    screen.wait_for("Press Enter to leave.");
    screen.keys("\r");
    assert_eq!(screen.end(), 1);
}
