//! What `chatctl` asks at a terminal, where an argument is missing.

use std::hint::spin_loop;
use std::time::{Duration, Instant};

use testkit::process::eventually;
use testkit::{Engine, Server};

use crate::program::{TIMEOUT, chatctl};
use crate::screen::Screen;
use crate::users;

#[test]
fn chat_asks_who_and_with_whom() {
    let server = Server::start(Engine::Embedded);
    let [(ada, _), (bob, _), (cyd, _)] = users(&server);
    let mut screen = Screen::start(&server, &["chat"]);
    screen.wait_for("Who are you?");
    screen.wait_for(&format!("○ {cyd}"));
    screen.line("bob");
    screen.wait_for("With whom?");
    screen.line(&ada);
    screen.wait_for(&format!("connected as {bob}"));
    screen.wait_for(&format!("no messages with {ada} yet"));

    // The server notes presence a moment after it has accepted a connection.
    eventually("bob is online", TIMEOUT, || {
        let users = chatctl(&server, &["users"]).output();
        users.contains(&format!("● {bob}")).then_some(())
    });
    screen.line("/with");
    screen.wait_for("With whom?");
    screen.wait_for(&format!("● {bob}"));
    screen.line("cyd");
    screen.wait_for(&format!("no messages with {cyd} yet"));
    screen.line("hello");
    screen.wait_for("hello ✓");
}

#[test]
fn token_and_history_ask_too() {
    let server = Server::start(Engine::Embedded);
    let [(ada, _), (bob, _)] = users(&server);
    let mut screen = Screen::start(&server, &["token"]);
    screen.wait_for("Whose token?");
    screen.line(&bob);
    screen.wait_for("eyJ");
    assert_eq!(screen.end(), 0);
    let mut screen = Screen::start(&server, &["history", &ada]);
    screen.wait_for("With whom?");
    screen.line(&bob);
    assert_eq!(screen.end(), 0);
}

#[test]
fn a_question_can_be_refused() {
    let server = Server::start(Engine::Embedded);
    let mut screen = Screen::start(&server, &["token"]);
    screen.wait_for("there are no users yet");
    assert_eq!(screen.end(), 1);
    let [_] = users(&server);
    let mut screen = Screen::start(&server, &["token"]);
    screen.wait_for("Whose token?");
    screen.keys("\x1b");
    screen.wait_for("nobody was chosen");
    assert_eq!(screen.end(), 1);
}

#[test]
fn ctrl_c_at_a_question_gives_the_cursor_back() {
    let server = Server::start(Engine::Embedded);
    let [(ada, _), (bob, _)] = users(&server);
    let mut screen = Screen::start(&server, &["history", &ada]);
    screen.wait_for("With whom?");
    screen.wait_for(&format!("○ {bob}"));
    screen.keys("\x03");
    assert_eq!(screen.end(), 130);
    let raw = screen.raw();
    assert!(raw.rfind("\x1b[?25h") > raw.rfind("\x1b[?25l"), "{raw:?}");

    // In a chat it ends the question and nothing else, there and later.
    let mut screen = Screen::chat(&server, &ada, &bob);
    screen.wait_for("connected as");
    for time in 1..=2 {
        screen.line("/with");
        screen.wait("the question", |rows| {
            let listed = rows.iter().filter(|row| row.contains(&format!(" {bob}  ")));
            (listed.count() == time).then_some(())
        });
        screen.keys("\x03");
        screen.wait("the end of the question", |rows| {
            let ends = rows.iter().filter(|row| row.contains("nobody was chosen"));
            (ends.count() == time).then_some(())
        });
    }
    screen.line("still here");
    screen.wait_for("still here ✓");
    screen.line("/quit");
    assert_eq!(screen.end(), 0);
}

/// The terminal is back in its usual mode while the question draws itself again after a key.
#[test]
fn ctrl_c_is_heard_between_two_keys() {
    let server = Server::start(Engine::Embedded);
    let [(ada, _), (bob, _)] = users(&server);
    for pause in (0..40).map(|step| Duration::from_micros(step * 50)) {
        let mut screen = Screen::start(&server, &["history", &ada]);
        screen.wait_for(&format!("○ {bob}"));
        screen.keys("a");
        let pressed = Instant::now();
        while pressed.elapsed() < pause {
            spin_loop();
        }
        screen.keys("\x03");
        assert_eq!(screen.end(), 130, "{pause:?} after a key");
    }
}
