//! `bench jitter` and `bench deploy`: nothing is lost by the shipped server, on both stores, and what a stock Socket.IO server loses
//! in a restart is seen in the same run.

use std::net::TcpListener;
use std::process::Command;

use serde_json::{Value, json};
use testkit::fault_command::FaultCommand;
use testkit::node::Script;
use testkit::{Engine, Server, Setup};

use crate::{command, for_people, number, run};

/// `server/benchmarks/stock.js` on a port of its own.
struct Stock {
    port: u16,
    script: Script,
}

impl Stock {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let port = listener.local_addr().expect("it is bound").port();
        drop(listener);
        Self {
            port,
            script: Self::run(port),
        }
    }

    fn run(port: u16) -> Script {
        let path = testkit::workspace().join("server/benchmarks/stock.js");
        let environment = [("JWT_SECRET", testkit::server::SECRET), ("PORT", &port.to_string())];
        let mut script = Script::start_at(&path, &[], &environment);
        assert_eq!(script.report(), Some(json!({ "port": port })), "{}", script.stderr());
        script
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn restart(&mut self) {
        self.script.kill();
        self.script = Self::run(self.port);
    }
}

fn server(engine: Engine) -> Server {
    Setup::new(engine).env("RATE_LIMITS", "off").start()
}

/// Nothing was lost, doubled or left open, and everybody is back.
#[track_caller]
fn assert_whole(report: &Value, server: usize) {
    let of = |field: &str| number(report, &format!("/servers/{server}/{field}"));
    for field in ["lost", "duplicated", "unanswered", "neverReturned"] {
        assert_eq!(of(field), 0, "{field}: {report}");
    }
    assert!(of("messages") > 0 && of("delivered") == of("messages"), "{report}");
    assert!(of("returns") > 0 && of("caughtUp/count") == of("returns"), "{report}");
}

#[track_caller]
fn jitter(engine: Engine) {
    let server = server(engine);
    let arguments = "jitter --users 11 --rate 20 --every 1500ms --away 300ms --duration 4s --plot jitter.svg";
    let report = run(command(server.folder(), &server.url(), server.secret(), arguments), 0);
    assert_eq!(number(&report, "/users"), 12, "{report}");
    assert_whole(&report, 0);
    assert!(number(&report, "/servers/0/cuts") >= 12, "{report}");
    let svg = std::fs::read_to_string(server.folder().join("jitter.svg")).expect("the picture is there");
    assert_eq!(svg.matches("<polyline").count(), 1, "{svg}");
}

#[test]
fn nothing_is_lost_when_connections_are_cut() {
    jitter(Engine::Embedded);
}

#[test]
fn nothing_is_lost_when_connections_are_cut_on_mongo() {
    jitter(Engine::Mongo);
}

#[test]
fn a_stock_server_is_measured_in_the_same_run() {
    let (server, stock) = (server(Engine::Embedded), Stock::start());
    let arguments = format!(
        "jitter --users 6 --rate 20 --every 1500ms --away 300ms --duration 4s --stock {}",
        stock.url()
    );
    let report = run(command(server.folder(), &server.url(), server.secret(), &arguments), 0);
    assert_whole(&report, 0);
    assert_eq!(report["servers"][1]["name"], "stock");
    // Its sessions are kept while somebody is away, so most of it comes through.
    let of = |field: &str| number(&report, &format!("/servers/1/{field}"));
    assert!(of("cuts") >= 6 && of("returns") > 0, "{report}");
    assert!(of("delivered") * 2 > of("messages"), "{report}");
}

#[test]
fn nothing_is_lost_in_restarts_and_a_stock_server_loses() {
    let (server, stock) = (server(Engine::Embedded), Stock::start());
    let (url, stock_url) = (server.url(), stock.url());
    let folder = tempfile::tempdir().unwrap();
    let restarts = FaultCommand::new(server, |server, _| {
        server.stop("TERM");
        server.restart();
    });
    let stock_restarts = FaultCommand::new(stock, |stock, _| stock.restart());
    let arguments = [
        "--restart",
        &restarts.command(),
        "--stock-restart",
        &stock_restarts.command(),
    ]
    .map(str::to_owned);
    let mut command = command(
        folder.path(),
        &url,
        testkit::server::SECRET,
        &format!("deploy --users 10 --rate 20 --every 2s --duration 7s --stock {stock_url}"),
    );
    command.args(arguments);
    let report = run(command, 0);
    assert_whole(&report, 0);
    assert!(number(&report, "/servers/0/returns") >= 10, "{report}");
    assert!(
        number(&report, "/servers/1/lost") > 0,
        "a restart forgets sessions: {report}"
    );
    assert!(restarts.end().1 >= 1 && stock_restarts.end().1 >= 1);
}

#[test]
fn a_restart_that_fails_fails_the_run() {
    let server = server(Engine::Embedded);
    let mut command = command(
        server.folder(),
        &server.url(),
        server.secret(),
        "deploy --users 2 --every 500ms --duration 4s",
    );
    command.args(["--restart", "exit 3"]);
    let report = run(command, 1);
    let why = report["servers"][0]["failure"].as_str().expect("a text");
    assert!(why.contains("exit status: 3"), "{why}");
}

#[test]
fn people_get_a_table() {
    let server = server(Engine::Embedded);
    let arguments = "jitter --users 4 --rate 10 --every 1s --away 100ms --duration 2s";
    let text = |command: &mut Command| {
        let output = command.output().expect("chatctl can be started");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let mut plain = for_people(server.folder(), &server.url(), server.secret(), arguments);
    let plain = text(&mut plain);
    for words in ["never returned", "share delivered", "100.000 %", "caught up", "passed"] {
        assert!(plain.contains(words), "{words}: {plain}");
    }
    assert!(!plain.contains('\u{1b}'), "{plain}");
    let mut colours = for_people(server.folder(), &server.url(), server.secret(), arguments);
    let colours = text(colours.env("CLICOLOR_FORCE", "1"));
    assert!(colours.contains('\u{1b}'), "{colours}");
}
