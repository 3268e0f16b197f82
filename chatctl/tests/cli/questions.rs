//! What `chatctl` asks at a terminal, where an argument is missing.

use testkit::process::eventually;
use testkit::{Engine, Server};

use crate::program::{PATIENCE, chatctl};
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
    eventually("bob is online", PATIENCE, || {
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
