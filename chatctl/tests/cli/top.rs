//! `chatctl top` in a pseudo-terminal: shows a server, goes on over its restart, and quits cleanly.

use serde_json::Value;
use testkit::{Engine, Server};

use crate::program::chatctl;
use crate::screen::Screen;
use crate::server;

#[test]
fn numbers_are_printed_once() {
    let report = chatctl(server(), &["top", "--once", "--json", "--interval", "200ms"]).json();
    let one: &Value = &report[0];
    assert_eq!(one["url"], server().url(), "{report}");
    assert!(
        one["memoryBytes"].as_f64().unwrap() > 1e6 && one["connections"].is_number(),
        "{report}"
    );
    let text = chatctl(server(), &["top", "--once", "--interval", "200ms"]).output();
    assert!(text.contains("messages") && text.contains("send buffers"), "{text}");
}

#[test]
fn without_a_terminal_it_says_what_to_do() {
    let ended = chatctl(server(), &["top"]);
    assert!(ended.code == 2 && ended.stderr.contains("--once"), "{ended:?}");
}

#[test]
fn a_server_is_shown_through_its_restart_until_somebody_quits() {
    let mut server = Server::start(Engine::Embedded);
    let mut screen = Screen::start(&server, &["top", "--interval", "200ms"]);
    screen.wait_for("send buffers");
    screen.wait_for("messages/s, at most");
    server.kill();
    screen.wait_for("not reachable");
    server.restart();
    screen.wait("that it is back", |rows| {
        let shown = rows.iter().any(|row| row.contains("send buffers"));
        (shown && !rows.iter().any(|row| row.contains("not reachable"))).then_some(())
    });
    screen.keys("q");
    assert_eq!(screen.end(), 0);
    // It leaves the screen as it was.
    assert!(screen.raw().contains("\u{1b}[?1049l"));
}

#[test]
fn an_interrupt_quits() {
    let mut screen = Screen::start(server(), &["top", "--interval", "200ms"]);
    screen.wait_for("send buffers");
    screen.keys("\u{3}");
    assert_eq!(screen.end(), 0);
}
