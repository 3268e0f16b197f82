//! What `chatctl chat` tells of others: how far they have received and read, whether they are there and type, and what
//! is unread elsewhere.

use serde_json::{Value, json};

use crate::program::Script;
use crate::screen::Screen;
use crate::{server, users};

/// Waits until the line above the typed one ends like this, after the names.
#[track_caller]
fn status(screen: &Screen, peer: &str, end: &str) {
    let line = format!("→ {peer} {end}");
    screen.wait(&format!("the status {line:?}"), |rows| {
        let row = rows.len().checked_sub(2)?;
        rows[row].ends_with(line.trim_end()).then_some(())
    });
}

#[test]
fn ticks_tell_how_far_a_message_came() {
    let [(ada, _), (bob, _)] = users(server());
    let mut at_ada = Screen::chat(server(), &ada, &bob);
    at_ada.line("one;");
    at_ada.wait_for("one; ✓");
    status(&at_ada, &bob, "○ ✓");

    // A script that receives, and reads nothing.
    let at_bob = Script::connected(server(), &bob, &ada, &["--stay"]);
    status(&at_ada, &bob, "● ✓");
    at_ada.line("two;");
    at_ada.wait_for("two; ✓");
    status(&at_ada, &bob, "● ✓✓");
    // On the screen, too: both have been received meanwhile.
    let ticked = |screen: &Screen, sign: &str, count: usize| {
        let end = format!("; {sign}");
        screen.wait(&format!("{count} rows with {sign}"), |rows| {
            let rows = rows.iter().filter(|row| row.contains(&ada) && row.ends_with(&end));
            (rows.count() == count).then_some(())
        });
    };
    ticked(&at_ada, "✓✓", 2);
    at_ada.keys("/his");
    at_ada.keys("tory\r");
    ticked(&at_ada, "✓✓", 4);
    drop(at_bob);

    // Somebody who reads.
    let at_bob = Screen::chat(server(), &bob, &ada);
    status(&at_ada, &bob, "● ✓✓ read");
    at_ada.line("three;");
    at_ada.wait_for("three; ✓");
    status(&at_ada, &bob, "● ✓✓ read");
    drop(at_bob);

    // The next time it opens with what is known.
    let again = Screen::chat(server(), &ada, &bob);
    again.wait_for("three; ✓✓");
    let read = "\x1b[1m\x1b[96m✓✓";
    assert!(again.raw().contains(read), "{:?}", again.raw());
}

#[test]
fn typing_is_seen_and_disturbs_nobody() {
    let [(ada, _), (bob, _)] = users(server());
    let mut at_ada = Screen::chat(server(), &ada, &bob);
    let mut at_bob = Screen::chat(server(), &bob, &ada);
    at_ada.line("hello");
    at_bob.wait_for("hello");
    status(&at_ada, &bob, "● ✓✓ read");

    at_ada.keys("half of a");
    at_ada.wait_for("› half of a");
    at_bob.keys("I type");
    status(&at_ada, &bob, "● ✓✓ read typing…");
    assert_eq!(at_ada.rows().last().map(String::as_str), Some("› half of a"));
    // Ctrl-C empties the line.
    at_bob.keys("\x03");
    status(&at_ada, &bob, "● ✓✓ read");
    at_ada.keys(" line");
    at_ada.wait_for("› half of a line");
    assert_eq!(at_ada.rows_with("half of").len(), 1);
    assert_eq!(at_ada.rows_with("→ ").len(), 1, "{:#?}", at_ada.rows());

    // A command is nobody's business.
    status(&at_bob, &ada, "● typing…");
    at_ada.keys("\x03");
    status(&at_bob, &ada, "●");
    at_ada.keys("/his");
    at_ada.wait_for("› /his");
    at_bob.line("what?");
    at_ada.wait_for("what?");
    assert!(at_bob.rows_with("typing…").is_empty());
}

#[test]
fn whoever_leaves_is_seen_to_leave() {
    let [(ada, _), (bob, _)] = users(server());
    let mut at_bob = Script::connected(server(), &bob, &ada, &["--stay"]);
    at_bob.line("hello");
    let at_ada = Screen::chat(server(), &ada, &bob);
    status(&at_ada, &bob, "●");
    drop(at_bob);
    status(&at_ada, &bob, "○");
}

#[test]
fn unread_messages_of_others_are_counted() {
    let [(ada, _), (bob, _), (cyd, _)] = users(server());
    let mut screen = Screen::chat(server(), &ada, &bob);
    let mut at_cyd = Script::connected(server(), &cyd, &ada, &["--stay"]);
    for number in 1..=3 {
        at_cyd.line(&format!("psst {number};"));
        screen.wait_for(&format!("({number} unread elsewhere)"));
    }
    screen.line(&format!("/with {cyd}"));
    status(&screen, &cyd, "●");

    // Also when it begins.
    let mut at_bob = Script::connected(server(), &bob, &ada, &[]);
    at_bob.line("and you?");
    screen.wait_for("(1 unread elsewhere)");
    let another = Screen::chat(server(), &ada, &cyd);
    another.wait_for("(1 unread elsewhere)");
}

#[test]
fn scripts_hear_of_receipts() {
    let [(ada, _), (bob, bob_id)] = users(server());
    let mut at_ada = Script::connected(server(), &ada, &bob, &["--stay"]);
    let at_bob = Script::connected(server(), &bob, &ada, &["--stay"]);
    let sent = |script: &mut Script| {
        script.line("hello");
        script.event_named("ack")["message"]["_id"].clone()
    };
    let id = sent(&mut at_ada);
    let delivered = at_ada.event_named("delivered");
    assert_eq!((&delivered["userId"], &delivered["upTo"]), (&json!(bob_id), &id));
    assert!(delivered["at"].is_string());
    drop(at_bob);

    let _at_bob = Script::connected(server(), &bob, &ada, &["--stay", "--mark-read"]);
    let id = sent(&mut at_ada);
    // What was there when it began may be told to have been read before.
    let read = loop {
        let read = at_ada.event_named("read");
        if read["upTo"] == id {
            break read;
        }
    };
    assert_eq!(read["userId"], json!(bob_id));
}

#[test]
fn scripts_hear_of_people() {
    let [(ada, _), (bob, bob_id)] = users(server());
    let mut at_ada = Script::connected(server(), &ada, &bob, &["--stay"]);
    at_ada.line("hello");
    let presence = at_ada.event_named("presence");
    assert_eq!(
        (&presence["userId"], &presence["isOnline"]),
        (&json!(bob_id), &json!(false))
    );
    let mut at_bob = Screen::chat(server(), &bob, &ada);
    assert_eq!(at_ada.event_named("presence")["isOnline"], true);
    at_bob.keys("I type");
    assert_eq!(
        at_ada.event_named("typing"),
        json!({"event": "typing", "userId": bob_id, "isTyping": true})
    );
    at_bob.line(" and say");
    let unread = |event: &Value| event["conversation"]["unread"].as_u64();
    let updated = loop {
        let event = at_ada.event_named("conversation_updated");
        if unread(&event) == Some(1) {
            break event;
        }
    };
    assert_eq!(updated["conversation"]["lastMessage"]["message"], "I type and say");
}

#[test]
fn ticks_change_where_they_stand() {
    let [(ada, _), (bob, _)] = users(server());
    let arguments = ["chat", "--as", &ada, "--with", &bob];
    let mut at_ada = Screen::sized(server(), &arguments, 60, &[]);
    at_ada.wait_for("connected as");
    // Behind text that is wrapped, wide, and of several rows; while something else is typed.
    let texts = [
        "short".to_owned(),
        "漢字 ".repeat(20) + "wide",
        "x".repeat(70) + " long",
    ];
    for text in &texts {
        at_ada.line(text);
    }
    at_ada.wait_for("long ✓");
    at_ada.keys("half a line");
    at_ada.wait_for("› half a line");
    let before = at_ada.rows();
    let at_bob = Screen::chat(server(), &bob, &ada);
    at_bob.wait_for("long");
    let after = at_ada.wait("all of them read", |rows| {
        (rows.iter().filter(|row| row.ends_with("✓✓")).count() == 3).then(|| rows.to_vec())
    });
    // Nothing else has changed.
    let said = |rows: &[String]| -> Vec<String> {
        let rows = rows.iter().take_while(|row| !row.contains('→'));
        rows.map(|row| row.trim_end_matches(['✓', ' ']).to_owned()).collect()
    };
    let (before, after) = (said(&before), said(&after));
    assert_eq!(after[..before.len()], before);
    at_ada.wait_for("› half a line");
}
