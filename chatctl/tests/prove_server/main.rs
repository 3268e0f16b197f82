//! `chatctl prove`, the shipped program, against the shipped server: one that is killed again and again passes, and of
//! each that is broken on purpose it says what is broken.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use testkit::fault_command::FaultCommand;
use testkit::mongod::Mongod;
use testkit::proxy::{Link, Proxy};
use testkit::server::{SECRET, with_database};
use testkit::{Engine, Server, Setup};

/// Few users, who write, leave and come back often.
const SMALL: &str = "--users 20 --devices 3 --rate 400 --duration 16s --seed 1";

/// From the begin of one fault to that of the next.
const FAULTS: &str = "4s";

/// Runs a proof. Returns the verdict, in which this outcome was told, also by the exit status.
#[track_caller]
fn prove(url: &str, kill: Option<&str>, outcome: &str) -> Value {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut command = Command::new(env!("CARGO_BIN_EXE_chatctl"));
    command
        .args(["prove", "--json"])
        .args(SMALL.split(' '))
        .current_dir(folder.path())
        .env_clear()
        .envs(std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "LLVM_PROFILE_FILE"))
        .env("CHAT_URL", url)
        .env("JWT_SECRET", SECRET)
        .stdin(Stdio::null());
    if let Some(kill) = kill {
        command.args(["--kill", kill, "--kill-every", FAULTS]);
    }
    let output = command.output().expect("chatctl can be started");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let more = String::from_utf8_lossy(&output.stderr);
    let verdict: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("no JSON ({error}): {said}{more}"));
    assert_eq!(
        verdict["verdict"], outcome,
        "{}{}{more}",
        verdict["violations"], verdict["unproven"]
    );
    assert_eq!(output.status.success(), outcome == "pass");
    verdict
}

/// Kills the server (`kill -9`) and starts it again, as a fault.
fn killing(server: Server) -> FaultCommand<Server> {
    FaultCommand::new(server, |server, _| {
        server.kill();
        server.restart();
    })
}

/// A proof against a server that is killed again and again.
#[track_caller]
fn prove_through_kills(setup: Setup, outcome: &str) -> Value {
    let server = setup.start();
    let url = server.url();
    let kills = killing(server);
    let verdict = prove(&url, Some(&kills.command()), outcome);
    let (_, runs) = kills.end();
    assert!(runs >= 3, "{runs} kills");
    verdict
}

/// Asserts that a kind of violation was found, with the messages or people that show it.
#[track_caller]
fn assert_found(verdict: &Value, kind: &str) {
    let violations = verdict["violations"].as_array().expect("violations are listed");
    let found = violations.iter().find(|violation| violation["kind"] == kind);
    let found = found.unwrap_or_else(|| panic!("{kind} is not among {violations:#?}"));
    let example = &found["examples"][0];
    assert!(
        example["messages"][0].is_string() || example["user"].is_string(),
        "{example}"
    );
}

#[test]
fn a_server_that_is_killed_passes_embedded() {
    prove_through_kills(Setup::new(Engine::Embedded), "pass");
}

#[test]
fn a_server_that_is_killed_passes_mongo() {
    prove_through_kills(Setup::new(Engine::Mongo), "pass");
}

#[test]
fn two_nodes_of_which_one_is_killed_pass() {
    let stays = Setup::new(Engine::Mongo).start();
    let killed = Setup::on(stays.mongo_uri().expect("it has one")).start();
    let urls = format!("{},{}", stays.url(), killed.url());
    let kills = killing(killed);
    let verdict = prove(&urls, Some(&kills.command()), "pass");
    assert!(verdict["counts"]["settings"].as_u64() > Some(0), "{verdict}");
    assert!(kills.end().1 >= 3);
}

#[test]
fn a_replica_set_whose_primaries_step_down_or_die_passes() {
    let mongod = Mongod::replica_set(3);
    let server = Setup::on(&with_database(&mongod.uri(), "prove")).start();
    let faults = FaultCommand::new(mongod, |mongod, run| {
        let primary = mongod.elected();
        if run % 2 == 0 {
            mongod.kill(primary);
            mongod.restart(primary);
        } else {
            mongod.step_down(primary);
            mongod.elected();
        }
    });
    prove(&server.url(), Some(&faults.command()), "pass");
    let (_, runs) = faults.end();
    assert!(runs >= 2, "{runs} faults");
}

#[test]
fn acknowledging_before_the_commit_is_found() {
    let verdict = prove_through_kills(
        Setup::new(Engine::Embedded).failpoints("chat::ack_early=return"),
        "fail",
    );
    assert_found(&verdict, "lost");
}

#[test]
fn dropping_one_delivery_in_1000_is_found() {
    let server = Setup::new(Engine::Embedded)
        .failpoints("socketio::emit=0.1%return")
        .start();
    let verdict = prove(&server.url(), None, "fail");
    assert_found(&verdict, "missed_live");
}

#[test]
fn a_cursor_without_its_safety_window_is_found() {
    // Writes and reads that take different times: what was written before a read is often not in it.
    let mongod = Mongod::standalone();
    let port = mongod.uri().rsplit(':').next().and_then(|port| port.parse().ok());
    let network = Proxy::to(port.expect("the address ends with the port"));
    network.set(Link::Delay {
        fixed: Duration::ZERO,
        jitter: Duration::from_millis(30),
    });
    let uri = network.url().replace("http", "mongodb");
    let setup =
        Setup::on(&with_database(&uri, "prove")).failpoints("delivery::watermark=return;mongodb::window=return");
    let verdict = prove(&setup.start().url(), None, "fail");
    assert_found(&verdict, "missing_in_copy");
}

#[test]
fn a_stored_counter_is_found() {
    let verdict = prove_through_kills(
        Setup::new(Engine::Embedded).failpoints("delivery::unread=return"),
        "fail",
    );
    assert_found(&verdict, "unread");
}
