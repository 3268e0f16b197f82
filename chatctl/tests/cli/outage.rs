//! Commands while the server's database is away: they say so, and go on when it is back.

use testkit::mongod::Mongod;
use testkit::process::{Process, eventually};
use testkit::server::with_database;
use testkit::{Server, Setup};

use crate::program::{PATIENCE, chatctl, command};
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
        eventually("it is told", PATIENCE, || process.stderr().contains(LINE).then_some(()));
    }
    let screen = Screen::start(&server, &["users"]);
    screen.wait_for("waiting for the server at");
    screen.wait_for(LINE);
    mongod.resume(0);
    screen.wait_for("never seen");
    screen.wait("the waiting gone", |rows| {
        (!rows.iter().any(|row| row.contains("waiting for"))).then_some(())
    });
    for process in &mut waiting {
        process.close_stdin();
        let status = process.wait(PATIENCE).expect("it ends");
        let said = process.stderr();
        assert_eq!((status.code(), said.matches(LINE).count()), (Some(0), 1), "{said}");
    }
    // Nothing is said where it answers.
    chatctl(&server, &["users"]).output();
}
