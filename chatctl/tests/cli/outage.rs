//! Commands while the server's database is away: they say so, and go on when it is back.

use testkit::mongod::Mongod;
use testkit::process::{Process, eventually};
use testkit::server::with_database;
use testkit::{Server, Setup};

use crate::program::{TIMEOUT, chatctl, command};
use crate::screen::Screen;
use crate::users;

const LINE: &str = "the database of the server does not answer; trying again";

#[test]
fn a_database_that_is_away_is_told_of_once() {
    let mongod = Mongod::standalone();
    let server: Server = Setup::on(&with_database(&mongod.uri(), "outage")).start();
    let [(ada, _), (bob, _)] = users(&server);
    let commands: [&[&str]; 6] = [
        &["users"],
        &["history", &ada, &bob],
        &["inbox", "--as", &ada],
        &["seed", "users", &ada],
        &["token", &ada],
        &["chat", "--as", &ada, "--with", &bob],
    ];
    mongod.pause(0);
    let mut waiting: Vec<Process> = commands
        .iter()
        .map(|arguments| Process::spawn(&mut command(&server, arguments)))
        .collect();
    for process in &waiting {
        eventually("it is told", TIMEOUT, || process.stderr().contains(LINE).then_some(()));
    }
    let screen = Screen::start(&server, &["users"]);
    screen.wait_for("waiting for the server at");
    screen.wait_for(LINE);
    // What has a line of its own for how it goes shows no second one.
    let mut others = [
        "bench messages --users 2 --messages 1",
        "prove --users 2 --duration 500ms",
    ]
    .map(|command| {
        let arguments: Vec<&str> = command.split(' ').collect();
        Screen::start(&server, &arguments)
    });
    for screen in &others {
        screen.wait_for(LINE);
        screen.wait_for(" 2 users");
        assert!(
            screen.rows_with("waiting for the server").is_empty() && screen.rows_with(" 2 users").len() == 1,
            "{}",
            screen.rows().join("\n")
        );
    }
    mongod.resume(0);
    for screen in &mut others {
        assert_eq!(screen.end(), 0, "{}", screen.rows().join("\n"));
    }
    screen.wait_for("never seen");
    screen.wait("the waiting gone", |rows| {
        (!rows.iter().any(|row| row.contains("waiting for"))).then_some(())
    });
    for process in &mut waiting {
        process.close_stdin();
        let status = process.wait(TIMEOUT).expect("it ends");
        let said = process.stderr();
        assert_eq!((status.code(), said.matches(LINE).count()), (Some(0), 1), "{said}");
    }
    // Nothing is said where it answers.
    chatctl(&server, &["users"]).output();
}

#[test]
fn a_chat_shows_what_waits_for_the_database_and_why_and_keeps_its_connection() {
    let mongod = Mongod::standalone();
    let server: Server = Setup::on(&with_database(&mongod.uri(), "outage_of_a_chat")).start();
    let [(ada, _), (bob, _)] = users(&server);
    let mut screen = Screen::chat(&server, &ada, &bob);
    screen.wait_for("connected as");
    screen.line("before");
    screen.wait_for("before ✓");
    mongod.pause(0);
    screen.line("first meanwhile");
    screen.wait_for("… first meanwhile");
    screen.wait_for("not stored yet (the database of the server does not answer; trying again)");
    screen.line("second meanwhile");
    screen.wait_for("… second meanwhile");
    // The server gives up its try, says so, and is asked again: that is an answer, and no reason to leave.
    eventually("the try is given up", TIMEOUT, || {
        server.stderr().contains("messages are not stored").then_some(())
    });
    mongod.resume(0);
    screen.wait_for("second meanwhile ✓");
    assert_eq!(screen.rows_with("first meanwhile ✓").len(), 1);
    assert_eq!(
        screen.rows_with("not stored yet").len(),
        1,
        "{}",
        screen.rows().join("\n")
    );
    assert!(
        screen.rows_with("connection lost").is_empty(),
        "{}",
        screen.rows().join("\n")
    );
}
