//! `chatctl chat` in a terminal: what people say, see and ask for.

use testkit::{Engine, Server, Setup};

use crate::program::{Script, chatctl};
use crate::screen::Screen;
use crate::{server, users};

#[test]
fn two_people_talk() {
    let [(ada, _), (bob, _)] = users(server());
    let mut at_ada = Screen::chat(server(), &ada, &bob);
    at_ada.wait_for(&format!("no messages with {bob} yet"));
    at_ada.wait_for("who is there is shown after a first message");
    let mut at_bob = Screen::chat(server(), &bob, &ada);

    at_ada.line("hello, is it you?");
    let row = at_ada.wait_for("hello, is it you? ✓");
    assert!(row.contains(&ada), "{row}");
    let row = at_bob.wait_for("hello, is it you?");
    assert!(row.contains(&ada) && !row.contains('✓'), "{row}");

    at_bob.line("yes; wörld");
    at_bob.wait_for("yes; wörld ✓");
    at_ada.wait_for("yes; wörld");
    for screen in [&at_ada, &at_bob] {
        assert_eq!(screen.rows_with("is it you?").len(), 1);
        assert_eq!(screen.rows_with("wörld").len(), 1);
        screen.wait("who is there, now that they know each other", |rows| {
            rows.last_chunk::<2>()?[0].contains('●').then_some(())
        });
    }

    at_ada.line("/quit");
    assert_eq!(at_ada.end(), 0);
    at_bob.keys("\x04");
    assert_eq!(at_bob.end(), 0);
}

#[test]
fn it_opens_with_the_last_messages() {
    let [(ada, _), (bob, _)] = users(server());
    let mut script = Script::connected(server(), &bob, &ada, &[]);
    (1..=25).for_each(|number| script.line(&format!("number {number};")));
    script.close();
    assert_eq!(script.end().0, 0);

    let mut screen = Screen::chat(server(), &ada, &bob);
    assert_eq!(screen.rows_with("number ").len(), 20);
    assert!(screen.rows_with("number 5;").is_empty());
    screen.line("/history 3");
    screen.wait_for("the last 3");
    screen.wait("three of them twice", |rows| {
        (rows.iter().filter(|row| row.contains("number ")).count() == 23).then_some(())
    });
    screen.line("/history");
    screen.wait_for("the last 20");
    screen.line("/history 1000");
    screen.wait_for("the last 25");
    screen.wait_for("number 1;");
}

#[test]
fn the_commands_are_explained() {
    let [(ada, ada_id), (bob, bob_id)] = users(server());
    let mut screen = Screen::chat(server(), &ada, &bob);
    screen.line("/help");
    screen.wait_for("leave (also Ctrl-D)");
    screen.line("/dance");
    screen.wait_for("there is no command /dance");
    screen.line("/history many");
    screen.wait_for("/history takes a number");
    screen.line("   ");
    screen.line("//quit");
    screen.wait_for("/quit ✓");
    let history = server().history(&ada_id, &bob_id);
    assert_eq!(history.len(), 1);
    assert_eq!(history[0]["message"], "/quit");
}

#[test]
fn it_changes_the_conversation() {
    let [(ada, _), (bob, _), (cyd, cyd_id)] = users(server());
    let mut screen = Screen::chat(server(), &ada, &bob);
    let mut at_cyd = Script::connected(server(), &cyd, &ada, &["--stay"]);
    at_cyd.line("psst");
    let notice = screen.wait_for("psst");
    assert!(notice.contains(&cyd) && notice.contains("/with"), "{notice}");

    screen.line("/with nobody-of-this-name");
    screen.wait_for("there is no user");
    screen.line(&format!("/with {cyd}"));
    screen.wait_for(&format!("── {cyd} ──"));
    screen.wait_for(&format!("→ {cyd}"));
    screen.line("what is it?");
    screen.wait_for("what is it? ✓");
    assert_eq!(
        at_cyd.event_named("receive_message")["message"]["message"],
        "what is it?"
    );
    at_cyd.line("nothing");
    screen.wait_for("nothing");
    screen.line("/quit");
    assert_eq!(screen.end(), 0);
    let with = chatctl(server(), &["history", &ada, &cyd_id]).output();
    assert_eq!(with.lines().count(), 3);
}

#[test]
fn ones_other_client_is_followed() {
    let [(ada, _), (bob, _), (cyd, _)] = users(server());
    let screen = Screen::chat(server(), &ada, &bob);
    let mut other = Script::connected(server(), &ada, &bob, &["--stay"]);
    other.line("from my phone");
    screen.wait_for("from my phone ✓");
    let mut third = Script::connected(server(), &ada, &cyd, &["--stay"]);
    third.line("to somebody else");
    let notice = screen.wait_for("to somebody else");
    assert!(notice.contains(&format!("to {cyd}, from another client")), "{notice}");
}

#[test]
fn a_refused_message_says_why() {
    let server = Setup::new(Engine::Embedded).env("MAX_MESSAGE_BYTES", 10).start();
    let [(ada, _), (bob, _)] = users(&server);
    let mut screen = Screen::chat(&server, &ada, &bob);
    screen.line("far too long a message");
    let row = screen.wait_for("✗ message_too_long");
    assert!(row.contains("10"), "{row}");
    screen.line("short");
    screen.wait_for("short ✓");
    screen.line("/quit");
    assert_eq!(screen.end(), 0);
}

#[test]
fn others_cannot_write_escape_sequences() {
    let [(ada, _), (bob, _)] = users(server());
    let screen = Screen::chat(server(), &ada, &bob);
    let mut script = Script::connected(server(), &bob, &ada, &["--stay"]);
    script.line("\x1b[2J\x1b]0;owned\x07gone?");
    screen.wait_for("␛[2J␛]0;owned␇gone?");
    screen.wait_for("connected as");
}

#[test]
fn colours_respect_no_color() {
    let [(ada, _), (bob, _)] = users(server());
    let arguments = ["chat", "--as", &ada, "--with", &bob];
    let mut plain = Screen::sized(server(), &arguments, 100, &[("NO_COLOR", "1")]);
    plain.line("hello");
    plain.wait_for("hello ✓");
    assert!(!has_colours(&plain.raw()), "{:?}", plain.raw());
    let mut coloured = Screen::sized(server(), &arguments, 100, &[]);
    coloured.line("hello again");
    coloured.wait_for("hello again ✓");
    assert!(has_colours(&coloured.raw()), "{:?}", coloured.raw());
}

/// Whether there is a sequence that chooses colours: ESC [ digits m.
fn has_colours(raw: &str) -> bool {
    raw.split("\x1b[").skip(1).any(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != ';');
        end.is_some_and(|end| end > 0 && rest[end..].starts_with('m'))
    })
}

#[test]
fn leaving_with_something_unacknowledged_says_so() {
    let mut server = Server::start(Engine::Embedded);
    let [(ada, _), (bob, _)] = users(&server);
    let mut screen = Screen::chat(&server, &ada, &bob);
    server.kill();
    screen.wait_for("connection lost, reconnecting…");
    screen.line("into the void");
    screen.wait_for("1 message waits");
    screen.line("/quit");
    screen.wait_for("✗ not acknowledged: into the void");
    assert_eq!(screen.end(), 1);
}

#[test]
fn a_terminal_without_cursor_movements_will_do() {
    let [(ada, _), (bob, _)] = users(server());
    let arguments = ["chat", "--as", &ada, "--with", &bob];
    let mut screen = Screen::sized(server(), &arguments, 100, &[("TERM", "dumb")]);
    screen.wait_for("connected as");
    screen.line("hello");
    screen.wait_for("hello ✓");
    screen.line(&format!("/with {ada}"));
    screen.wait_for(&format!("no messages with {ada} yet"));
    screen.line("/quit");
    assert_eq!(screen.end(), 0);
}
