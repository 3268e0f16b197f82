//! `chatctl watch`: everything, in order, and once more from a cursor.

use serde_json::{Value, json};
use testkit::{Engine, Server};

use crate::program::Script;
use crate::screen::Screen;
use crate::{server, users};

fn say(server: &Server, me: &str, peer: &str, text: &str) {
    let mut script = Script::connected(server, me, peer, &["--mark-read"]);
    script.line(text);
    script.close();
    assert_eq!(script.end().0, 0);
}

/// The next message that a user who watches receives.
fn received(script: &mut Script, me: &str) -> Value {
    script.event_named(&format!("receive_message_{me}"))
}

/// Ends it with Ctrl-C; the cursor that it ended with.
fn interrupted(script: Script) -> String {
    ended_by(script, "INT")
}

/// Ends it with a signal; the cursor that it ended with.
fn ended_by(script: Script, signal: &str) -> String {
    script.signal(signal);
    let (code, _, stderr) = script.end();
    assert_eq!(code, 0, "{stderr}");
    let cursor = stderr.trim_end().rsplit_once("--since ").expect("a cursor").1;
    assert!(!cursor.is_empty());
    cursor.to_owned()
}

#[test]
fn everything_is_a_line_and_nothing_is_skipped() {
    let mut server = Server::start(Engine::Embedded);
    let [(ada, ada_id), (bob, bob_id)] = users(&server);
    let mut watch = Script::run(&server, &["watch", "--as", &ada]);
    assert_eq!(
        watch.event(),
        json!({"event": "connected", "payload": {"userId": ada_id}})
    );
    assert!(watch.event_named("sync_done")["payload"]["next"].is_string());

    say(&server, &bob, &ada, "one");
    let event = received(&mut watch, &ada_id);
    assert_eq!(
        (&event["payload"]["message"], &event["payload"]["sender"]),
        (&json!("one"), &json!(bob_id))
    );
    assert!(event["cursor"].is_string(), "{event}");
    say(&server, &ada, &bob, "two");
    assert_eq!(watch.event_named("message_sent")["payload"]["message"], "two");

    // It connects again by itself.
    server.restart();
    watch.event_named("disconnected");
    watch.event_named("connected");
    watch.event_named("sync_done");
    say(&server, &bob, &ada, "three");
    assert_eq!(received(&mut watch, &ada_id)["payload"]["message"], "three");

    // It can be continued.
    let cursor = ended_by(watch, "TERM");
    (4..=6).for_each(|number| say(&server, &bob, &ada, &format!("number {number}")));
    let mut watch = Script::run(&server, &["watch", "--as", &ada, "--since", &cursor, "--json"]);
    for number in 4..=6 {
        let text = format!("number {number}");
        // What came before may come once more.
        while received(&mut watch, &ada_id)["payload"]["message"] != text {}
    }
    interrupted(watch);
}

#[test]
fn how_a_connection_ended_is_told() {
    let mut server = Server::start(Engine::Embedded);
    let [(ada, _), (bob, _)] = users(&server);
    let mut watch = Script::run(&server, &["watch", "--as", &ada]);
    let mut chat = Script::connected(&server, &ada, &bob, &["--stay"]);
    watch.event_named("sync_done");
    for (ended, words) in [
        ("TERM", "as it does when it is stopped"),
        ("KILL", "was killed, or the network"),
    ] {
        server.stop(ended);
        let told = watch.event_named("disconnected");
        let reason = told["payload"]["reason"].as_str().expect("a text");
        assert!(
            reason.contains(words) && told["payload"]["retryInMs"].is_u64(),
            "{told}"
        );
        let next = watch.event_named("disconnected");
        assert!(next.to_string().contains("no server listens there"), "{next}");
        let told = chat.event_named("disconnected");
        let reason = told["reason"].as_str().expect("a text");
        assert!(reason.contains(words) && told["retryInMs"].is_u64(), "{told}");
        server.restart();
        watch.event_named("sync_done");
        chat.event_named("sync_done");
    }
}

#[test]
fn more_than_is_pushed_is_asked_for() {
    const COUNT: usize = shared::limits::MAX_SYNC_PUSH + 250;
    let server = Server::start(Engine::Embedded);
    let [(ada, ada_id), (bob, bob_id)] = users(&server);
    let mut watch = Script::run(&server, &["watch", "--as", &ada]);
    watch.event_named("sync_done");
    let cursor = interrupted(watch);
    let argument = json!({"url": server.url(), "token": server.token(&bob_id), "receiver": ada_id, "count": COUNT});
    testkit::node::run("send.js", &argument);
    let mut watch = Script::run(&server, &["watch", "--as", &ada, "--since", &cursor]);
    for number in 0..COUNT {
        let message = received(&mut watch, &ada_id);
        assert_eq!(message["payload"]["message"], format!("message {number}"));
    }
    // And after that it goes on live.
    say(&server, &bob, &ada, "live");
    let message = received(&mut watch, &ada_id);
    assert_eq!(message["payload"]["message"], "live");
    assert!(message["cursor"].is_string(), "{message}");
}

#[test]
fn a_cursor_of_no_use_is_told() {
    let [(ada, ada_id), (bob, _)] = users(server());
    let mut watch = Script::run(server(), &["watch", "--as", &ada, "--since", "no-cursor"]);
    assert!(watch.event_named("sync_reset")["payload"]["message"].is_string());
    watch.event_named("sync_done");
    say(server(), &bob, &ada, "on it goes");
    assert_eq!(received(&mut watch, &ada_id)["payload"]["message"], "on it goes");
}

#[test]
fn people_see_lines_of_words() {
    let [(ada, _), (bob, _)] = users(server());
    let mut screen = Screen::start(server(), &["watch", "--as", &ada]);
    screen.wait_for("caught up");
    say(server(), &bob, &ada, "hello\x1b[2J");
    let row = screen.wait_for("hello␛[2J");
    assert!(row.contains(&format!("{bob} → {ada}")), "{row}");
    let row = screen.wait_for("1 unread");
    assert!(row.contains("conversation") && row.contains(&bob), "{row}");
    screen.keys("\x03");
    screen.wait_for("go on with --since");
    assert_eq!(screen.end(), 0);
}
