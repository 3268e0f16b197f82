//! x
use testkit::{Engine, Server};

use crate::screen::Screen;

#[test]
fn show() {
    let server = Server::start(Engine::Embedded);
    server.users(["ada", "grace"]);
    let mut ada = Screen::sized(&server, &["chat", "--as", "ada", "--with", "grace"], 64, &[]);
    ada.wait_for("connected as");
    ada.line("hello?");
    ada.wait_for("hello? ✓");
    let mut grace = Screen::sized(&server, &["chat", "--as", "grace", "--with", "ada"], 64, &[]);
    grace.wait_for("connected as");
    grace.line("hi");
    ada.wait_for("hi");
    ada.keys("abc");
    grace.wait_for("typing…");
    for s in [&ada, &grace] {
        println!("{:?}\n{}\n---", s.raw(), s.rows().join("\n"));
    }
}
