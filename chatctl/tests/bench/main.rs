//! `chatctl bench`, the shipped program: every benchmark against the shipped server, and against peers that only speak
//! the oldest contract, some of which misbehave ([`peer`]), to see that it notices; servers that end meanwhile ([`endings`]), connections that
//! break all the time ([`flaky`]), and one that limits how often a user may send ([`limited`]). How fast anything is, is
//! not tested.

#![expect(clippy::disallowed_methods, reason = "tests wait for times and hold little")]

mod endings;
mod flaky;
mod limited;
mod peer;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use testkit::process::{Process, eventually};
use testkit::{Engine, Server};

use crate::peer::{Manner, Peer};

/// How long a run may take; slow machines are meant to pass.
const TIMEOUT: Duration = Duration::from_secs(120);

fn server() -> &'static Server {
    Server::shared(Engine::Embedded)
}

/// `chatctl bench --json` with these arguments, separated by blanks.
fn command(folder: &Path, url: &str, secret: &str, arguments: &str) -> Command {
    let mut command = for_people(folder, url, secret, arguments);
    command.arg("--json");
    command
}

/// The same with text.
fn for_people(folder: &Path, url: &str, secret: &str, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chatctl"));
    command
        .arg("bench")
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .env_clear()
        .envs(std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "LLVM_PROFILE_FILE"))
        .env("CHAT_URL", url)
        .env("JWT_SECRET", secret)
        .stdin(Stdio::null());
    command
}

/// Runs it to its end, which must be with this exit status, and returns the report.
#[track_caller]
fn run(mut command: Command, code: i32) -> Value {
    let output = command.output().expect("chatctl can be started");
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!(output.status.code(), Some(code), "{stdout}{stderr}");
    assert_eq!(stderr, "");
    serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {stdout}"))
}

/// A benchmark of the shared server that must pass.
#[track_caller]
fn bench(arguments: &str) -> Value {
    let server = server();
    let watched = format!("{arguments} --pid server={}", server.pid());
    run(command(server.folder(), &server.url(), server.secret(), &watched), 0)
}

/// A run of messages against a peer.
#[track_caller]
fn against(manner: Manner, code: i32, arguments: &str) -> Value {
    let peer = Peer::start(manner);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let arguments = format!("messages --drain 1s {arguments}");
    run(command(folder.path(), &peer.url(), peer::SECRET, &arguments), code)
}

#[track_caller]
fn number(report: &Value, field: &str) -> u64 {
    let value = report.pointer(field).and_then(Value::as_u64);
    value.unwrap_or_else(|| panic!("no number {field}: {report}"))
}

/// Everything was acknowledged and delivered, once, in order.
#[track_caller]
fn assert_clean(report: &Value) {
    for field in [
        "/lost",
        "/duplicated",
        "/outOfOrder",
        "/unanswered",
        "/surplusAnswers",
        "/foreign",
    ] {
        assert_eq!(number(report, field), 0, "{field}: {report}");
    }
    assert_eq!(
        number(report, "/acknowledged"),
        number(report, "/delivered"),
        "{report}"
    );
    assert_eq!(report["errors"], serde_json::json!({}));
}

#[test]
fn a_closed_loop_arrives_whole() {
    let folder = tempfile::tempdir().unwrap();
    let plot = folder.path().join("latency.svg");
    let report = bench(&format!(
        "messages --users 9 --inflight 3 --duration 1s --warmup 100ms --prefix closed --plot {}",
        plot.display()
    ));
    assert_clean(&report);
    assert!(report["messagesPerSecond"].as_f64() > Some(0.0), "{report}");
    assert!(number(&report, "/ack/count") > 0 && number(&report, "/delivery/count") > 0);
    assert!(number(&report, "/sent") >= number(&report, "/ack/count"));
    assert_eq!(report["processes"][0]["name"], "server");
    assert!(number(&report, "/processes/0/memoryPeak") > 1_000_000, "{report}");
    let svg = std::fs::read_to_string(plot).unwrap();
    assert!(
        svg.starts_with("<svg") && svg.matches("<polyline").count() == 2,
        "{svg}"
    );
}

#[test]
fn an_open_loop_keeps_its_rate_and_client_ids_are_taken() {
    let report = bench("messages --users 10 --rate 200 --duration 2s --warmup 100ms --prefix open --client-ids");
    assert_clean(&report);
    // Every planned message counts, however late it is sent.
    let measured = number(&report, "/ack/count");
    let planned = report["seconds"].as_f64().unwrap() * 200.0;
    assert!(
        measured as f64 > 0.8 * planned && (measured as f64) < planned + 10.0,
        "{report}"
    );
    assert_eq!(number(&report, "/lag/count"), measured);
}

#[test]
fn a_number_of_messages_is_sent_and_no_more() {
    let report = bench("messages --users 4 --inflight 5 --messages 333 --prefix counted --threads 2");
    assert_clean(&report);
    assert_eq!(number(&report, "/sent"), 333);
    assert_eq!(number(&report, "/ack/count"), 333);
}

#[test]
fn what_is_filled_can_be_read() {
    let filled = bench("fill --messages 450 --conversations 3 --prefix filled");
    assert_clean(&filled);
    let pages = bench("history --conversations 3 --duration 500ms --warmup 0s --limit 20 --prefix filled");
    assert!(number(&pages, "/pages") > 0, "{pages}");
    assert_eq!(number(&pages, "/messages"), 20 * number(&pages, "/pages"));
    assert_eq!(
        (number(&pages, "/shortPages"), number(&pages, "/page/count")),
        (0, number(&pages, "/pages"))
    );
    let full = bench("history --full --repeat 2 --conversations 3 --prefix filled");
    for round in ["/rounds/0", "/rounds/1"] {
        // The first user also wrote to themself, to see whether the server acknowledges; that is another conversation.
        assert_eq!(number(&full, &format!("{round}/messages")), 450, "{full}");
        assert!(number(&full, &format!("{round}/bytes")) > 450 * 100);
    }
}

#[test]
fn a_storm_comes_back_while_others_write() {
    let report = bench("connect --users 40 --reconnect --bystanders 1 --bystander-rate 50 --prefix storm");
    assert_clean(&report);
    for storm in ["/connect", "/reconnect"] {
        assert_eq!(number(&report, &format!("{storm}/connected")), 40);
        assert_eq!(number(&report, &format!("{storm}/sinceBegin/count")), 40);
    }
    assert!(
        number(&report, "/calm/count") > 0 && number(&report, "/delivered") > 0,
        "{report}"
    );
}

#[test]
fn everybody_comes_back_and_gets_what_was_missed() {
    let report = bench("connect --users 40 --reconnect --catch-up --missed 3 --prefix missed");
    for storm in ["/connect", "/reconnect"] {
        assert_eq!(number(&report, &format!("{storm}/connected")), 40);
    }
    assert_eq!(
        (report["catchUp"].clone(), report["missed"].clone()),
        (true.into(), 3.into())
    );
}

#[test]
fn idle_connections_have_a_slope() {
    let report = bench("idle --steps 10,20,40 --settle 1s --prefix idle");
    assert_eq!(report["steps"].as_array().map(Vec::len), Some(3), "{report}");
    assert_eq!(number(&report, "/steps/2/connections"), 40);
    assert!(number(&report, "/steps/0/memory/0") > 1_000_000, "{report}");
    assert_eq!(report["slopes"][0]["name"], "server");
    assert!(report["slopes"][0]["bytesPerConnection"].is_f64(), "{report}");
}

#[test]
fn an_interrupt_ends_with_a_report() {
    let server = server();
    let ids = server.users(["stopped-000001", "stopped-000002"]);
    let arguments = "messages --users 2 --duration 1h --warmup 0s --prefix stopped";
    let mut process = Process::spawn(&mut command(server.folder(), &server.url(), server.secret(), arguments));
    eventually("messages are stored", TIMEOUT, || {
        (!server.history(&ids[0], &ids[1]).is_empty()).then_some(())
    });
    process.signal("INT");
    let status = process.wait(TIMEOUT).expect("it ends");
    assert_eq!(status.code(), Some(0), "{}", process.stderr());
    let report: Value = serde_json::from_str(&process.stdout()).unwrap();
    assert_eq!(report["interrupted"], true);
    assert_clean(&report);
}

/// The last line.
fn verdict(text: &str) -> String {
    text.lines().last().unwrap_or_default().to_owned()
}

#[test]
fn a_run_in_whose_window_nothing_is_stored_has_failed() {
    let arguments = "--users 2 --warmup 1s --duration 1s";
    let report = against(Manner::Full, 1, arguments);
    assert!(
        number(&report, "/delivered") > 0,
        "the server worked at first: {report}"
    );
    let reason = report["failure"].as_str().expect("a text");
    for words in ["nothing was stored in the window", "store_unavailable"] {
        assert!(reason.contains(words), "{reason}");
    }
    let (peer, folder) = (Peer::start(Manner::Full), tempfile::tempdir().unwrap());
    let arguments = format!("messages --drain 1s {arguments}");
    let output = for_people(folder.path(), &peer.url(), peer::SECRET, &arguments)
        .output()
        .unwrap();
    let verdict = verdict(&String::from_utf8_lossy(&output.stdout));
    assert!(
        verdict.starts_with("FAILED") && verdict.contains(reason.split(',').next().unwrap()),
        "{verdict}"
    );
}

#[test]
fn the_help_explains_the_rows() {
    let folder = tempfile::tempdir().unwrap();
    let output = for_people(folder.path(), "http://127.0.0.1:1", "secret", "messages --help")
        .output()
        .unwrap();
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        help.contains("\"told\"") && help.contains("conversation_updated"),
        "{help}"
    );
}

#[test]
fn curves_of_several_runs_go_into_one_picture() {
    let server = server();
    let folder = tempfile::tempdir().unwrap();
    let report = bench("messages --users 2 --messages 50 --prefix drawn").to_string();
    for name in ["ours.json", "theirs.json"] {
        std::fs::write(folder.path().join(name), &report).unwrap();
    }
    let plot = "plot ours.json theirs.json --out both.svg";
    let output = command(folder.path(), &server.url(), server.secret(), plot)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let svg = std::fs::read_to_string(folder.path().join("both.svg")).unwrap();
    assert!(svg.contains(">ours<") && svg.contains(">theirs<"), "{svg}");
}

#[test]
fn a_server_that_is_not_there_is_complained_of() {
    let folder = tempfile::tempdir().unwrap();
    let output = command(folder.path(), "http://127.0.0.1:1", "secret", "messages")
        .output()
        .unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("127.0.0.1:1"),
        "{output:?}"
    );
}

#[test]
fn a_server_without_acknowledgements_is_measured_by_delivery() {
    let report = against(Manner::Broadcasting, 0, "--users 4 --messages 100 --inflight 2");
    assert_eq!(report["acks"], false);
    assert_eq!((number(&report, "/sent"), number(&report, "/delivered")), (100, 100));
    assert_eq!((number(&report, "/acknowledged"), number(&report, "/lost")), (0, 0));
    // Each message reaches the three others of the load as well.
    assert_eq!(number(&report, "/foreign"), 300, "{report}");
    assert!(
        report["ack"].is_null() && number(&report, "/delivery/count") == 100,
        "{report}"
    );
}

#[test]
fn a_good_peer_passes() {
    let report = against(Manner::Good, 0, "--users 4 --messages 100 --inflight 2");
    assert_eq!(report["acks"], true);
    assert_clean(&report);
}

#[test]
fn users_that_are_missing_in_an_answer_are_noticed() {
    let (peer, folder) = (Peer::start(Manner::Forgetting), tempfile::tempdir().unwrap());
    let mut command = for_people(folder.path(), &peer.url(), peer::SECRET, "messages --users 2");
    let output = command.output().expect("chatctl can be started");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("doesn't answer like the chat server (0 users for 2 names)"),
        "{stderr}"
    );
}

#[test]
fn lost_messages_are_noticed() {
    let report = against(Manner::Dropping, 1, "--users 2 --messages 100");
    let (lost, delivered) = (number(&report, "/lost"), number(&report, "/delivered"));
    assert!(lost >= 9 && lost + delivered == 100, "{report}");
    assert_eq!((number(&report, "/duplicated"), number(&report, "/outOfOrder")), (0, 0));
}

#[test]
fn doubled_messages_are_noticed() {
    let report = against(Manner::Doubling, 1, "--users 2 --messages 100");
    assert!(number(&report, "/duplicated") >= 9, "{report}");
    assert_eq!((number(&report, "/lost"), number(&report, "/outOfOrder")), (0, 0));
}

#[test]
fn swapped_messages_are_noticed() {
    let report = against(Manner::Swapping, 1, "--users 2 --messages 100");
    assert!(number(&report, "/outOfOrder") >= 8, "{report}");
    assert_eq!(number(&report, "/duplicated"), 0);
}

#[test]
fn missing_answers_are_noticed() {
    let report = against(Manner::Silent, 1, "--users 2 --messages 100 --inflight 20");
    assert!(number(&report, "/unanswered") >= 2, "{report}");
}

#[test]
fn a_busy_server_is_asked_again() {
    let report = against(Manner::Busy, 0, "--users 2 --messages 50");
    let refused = number(&report, "/refused");
    assert!(refused >= 4, "{report}");
    assert_eq!(
        (number(&report, "/retried"), number(&report, "/errors/overloaded")),
        (refused, refused)
    );
    assert_eq!((number(&report, "/delivered"), number(&report, "/ack/count")), (50, 50));
}
