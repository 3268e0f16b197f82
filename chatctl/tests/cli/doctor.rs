//! `chatctl doctor` against servers with which something is wrong: each fault is found, and nothing else.

use std::process::Command;

use serde_json::Value;
use testkit::{Engine, Server, Setup};

use crate::bad_proxy::{BadProxy, Manner};
use crate::program::{chatctl, command, ended};
use crate::{server, users};

/// What was found: the exit status, and the mark of each line.
fn doctor(mut command: Command) -> (i32, Value) {
    command.arg("--json");
    let ended = ended(command);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
    (ended.code, report)
}

/// The lines that are wrong.
fn wrong(report: &Value) -> Vec<&str> {
    let findings = report[0]["findings"].as_array().expect("lines").iter();
    let wrong = findings.filter(|finding| finding["mark"] == "bad");
    wrong.map(|finding| finding["what"].as_str().expect("a text")).collect()
}

/// A line.
#[track_caller]
fn line<'a>(report: &'a Value, what: &str) -> &'a Value {
    let mut findings = report[0]["findings"].as_array().expect("lines").iter();
    let found = findings.find(|finding| finding["what"] == what);
    found.unwrap_or_else(|| panic!("{what} is missing: {report}"))
}

/// `chatctl doctor` through a proxy, which must find this and nothing else. Returns the line.
#[track_caller]
fn through(manner: Manner, arguments: &[&str], what: &str) -> Value {
    let proxy = BadProxy::start(manner, &[server().port()]);
    let mut command = command(server(), &[&["doctor"], arguments].concat());
    command.env("CHAT_URL", proxy.url());
    let (code, report) = doctor(command);
    assert_eq!((code, wrong(&report)), (1, vec![what]), "{report}");
    let line = line(&report, what).clone();
    assert!(line["change"].is_string(), "{line}");
    line
}

#[test]
fn a_sound_server_has_no_faults() {
    for server in [server(), Server::shared(Engine::Mongo)] {
        let (code, report) = doctor(command(server, &["doctor", "--origin", &server.url()]));
        assert_eq!((code, wrong(&report)), (0, vec![]), "{report}");
        for what in [
            "clock",
            "secret",
            "store",
            "durability",
            "indexes",
            "backlog",
            "files",
            "WebSocket",
            "polling",
            "sessions",
            "CORS",
        ] {
            line(&report, what);
        }
    }
    let text = chatctl(server(), &["doctor"]).output();
    assert!(
        text.contains("✓ secret") && text.contains("· idle time") && !text.contains('\u{1b}'),
        "{text}"
    );
    let mut coloured = command(server(), &["doctor"]);
    coloured.env("CLICOLOR_FORCE", "1");
    let colours = ended(coloured);
    assert!(colours.stdout.contains('\u{1b}'), "{colours:?}");
}

#[test]
fn a_wrong_secret_is_found() {
    let mut command = command(server(), &["doctor"]);
    command.env("JWT_SECRET", "another secret that is 32 bytes long or more");
    let (code, report) = doctor(command);
    assert_eq!((code, wrong(&report)), (1, vec!["secret"]), "{report}");
    assert_eq!(line(&report, "administration")["mark"], "open", "{report}");
}

#[test]
fn a_server_that_is_not_there_is_found() {
    let mut command = command(server(), &["doctor"]);
    command.env("CHAT_URL", "http://127.0.0.1:1");
    let (code, report) = doctor(command);
    assert_eq!((code, wrong(&report)), (1, vec!["server"]), "{report}");
}

#[test]
fn a_wrong_clock_is_found() {
    let line = through(Manner::OldDate, &[], "clock");
    assert!(line["found"].as_str().unwrap().contains("behind"), "{line}");
}

#[test]
fn a_proxy_that_takes_off_upgrades_is_found() {
    let line = through(Manner::NoUpgrade, &[], "WebSocket");
    assert!(
        line["change"].as_str().unwrap().contains("proxy_set_header Upgrade"),
        "{line}"
    );
}

#[test]
fn a_proxy_that_holds_back_answers_is_found() {
    through(Manner::HoldsBack, &[], "polling");
}

#[test]
fn a_proxy_that_ends_quiet_connections_is_found() {
    let [(ada, _)] = users(server());
    let line = through(Manner::Impatient, &["--as", &ada], "idle time");
    assert!(line["found"].as_str().unwrap().contains("ended after"), "{line}");
}

#[test]
fn a_connection_that_lives_until_the_ping_is_good() {
    let [(ada, _)] = users(server());
    let (code, report) = doctor(command(server(), &["doctor", "--as", &ada]));
    assert_eq!(
        (code, line(&report, "idle time")["mark"].as_str()),
        (0, Some("good")),
        "{report}"
    );
}

#[test]
fn sessions_that_change_servers_are_found() {
    let one = Server::start(Engine::Mongo);
    let two = Setup::on(one.mongo_uri().expect("it has one")).start();
    let proxy = BadProxy::start(Manner::Alternating, &[one.port(), two.port()]);
    let mut command = command(&one, &["doctor"]);
    command.env("CHAT_URL", proxy.url());
    let (code, report) = doctor(command);
    assert_eq!((code, wrong(&report)), (1, vec!["sessions"]), "{report}");
}

#[test]
fn an_origin_that_is_not_let_in_is_found() {
    let server = Setup::new(Engine::Embedded)
        .env("CORS_ORIGINS", "https://app.example")
        .start();
    let origin = |origin| doctor(command(&server, &["doctor", "--origin", origin]));
    let (code, report) = origin("https://app.example");
    assert_eq!((code, wrong(&report)), (0, vec![]), "{report}");
    let (code, report) = origin("https://other.example");
    assert_eq!(code, 1, "{report}");
    assert!(wrong(&report).iter().all(|what| what.starts_with("CORS")), "{report}");
}

#[test]
fn few_files_and_settings_of_a_migration_are_found() {
    let server = Setup::new(Engine::Embedded).env("LEGACY_OPEN_HISTORY", "true").start();
    server.limit_open_files(200);
    let (code, report) = doctor(command(&server, &["doctor"]));
    assert_eq!((code, wrong(&report)), (1, vec!["files"]), "{report}");
    let settings = line(&report, "settings");
    assert_eq!(settings["mark"], "doubt", "{settings}");
    assert!(
        settings["found"].as_str().unwrap().contains("LEGACY_OPEN_HISTORY"),
        "{settings}"
    );
}
