//! `chatctl prove`, the shipped program, against peers ([`peer`]) that keep every promise or break one: it must pass the
//! one and say of each other what is wrong with it.

#![expect(clippy::disallowed_methods, reason = "tests wait for times and hold little")]

mod peer;

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use testkit::process::{Process, eventually};

use crate::peer::{Manner, Peer};

/// How long a run may take; slow machines are meant to pass.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Few users, but enough of everything.
const SMALL: &str = "--users 6 --devices 2 --rate 150 --duration 3s --seed 7";

/// `chatctl prove --json` against a peer, its report in a folder.
fn command(peer: &Peer, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chatctl"));
    command
        .args(["prove", "--json"])
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "LLVM_PROFILE_FILE"))
        .env("CHAT_URL", peer.url())
        .env("JWT_SECRET", peer::SECRET)
        .stdin(Stdio::null());
    command
}

fn small() -> Vec<&'static str> {
    SMALL.split(' ').collect()
}

/// The verdict, which must come with this exit status.
#[track_caller]
fn verdict(output: &Output, code: i32) -> Value {
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!(output.status.code(), Some(code), "{stdout}{stderr}");
    assert_eq!(stderr, "");
    serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {stdout}"))
}

/// Runs a small proof.
#[track_caller]
fn prove(manner: Manner, code: i32) -> Value {
    let peer = Peer::start(manner);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let output = command(&peer, folder.path(), &small())
        .output()
        .expect("chatctl can be started");
    verdict(&output, code)
}

/// Runs a small proof that must fail with these kinds of violation, and no others than those and `besides`.
#[track_caller]
fn fails(manner: Manner, kinds: &[&str], besides: &[&str]) -> Value {
    let verdict = prove(manner, 1);
    assert_eq!(verdict["verdict"], "fail");
    let found = verdict["violations"].as_array().expect("violations are listed");
    let found: Vec<&str> = found
        .iter()
        .filter_map(|violation| violation["kind"].as_str())
        .collect();
    for kind in kinds {
        assert!(found.contains(kind), "{kind} is not among {found:?}");
    }
    for kind in &found {
        assert!(kinds.contains(kind) || besides.contains(kind), "{kind}: {verdict:#}");
    }
    verdict
}

/// The first example of a kind of violation.
fn example<'a>(verdict: &'a Value, kind: &str) -> &'a Value {
    let violations = verdict["violations"].as_array().expect("violations are listed");
    let found = violations.iter().find(|violation| violation["kind"] == kind);
    &found.expect("there is one of the kind")["examples"][0]
}

fn number(verdict: &Value, field: &str) -> u64 {
    let value = verdict.pointer(field).and_then(Value::as_u64);
    value.unwrap_or_else(|| panic!("no number {field}: {verdict}"))
}

#[test]
fn a_good_peer_passes_and_everything_was_tried() {
    let peer = Peer::start(Manner::Good);
    let folder = tempfile::tempdir().unwrap();
    let extra = [
        "--kill",
        "true",
        "--kill-every",
        "300ms",
        "--report",
        "reports",
        "--duration",
        "6s",
    ];
    let arguments: Vec<&str> = small()
        .into_iter()
        .filter(|word| !["--duration", "3s"].contains(word))
        .chain(extra)
        .collect();
    let output = command(&peer, folder.path(), &arguments).output().unwrap();
    let verdict = verdict(&output, 0);
    assert_eq!((&verdict["verdict"], &verdict["seed"]), (&"pass".into(), &7.into()));
    for field in [
        "acknowledged",
        "resent",
        "duplicates",
        "marks",
        "settings",
        "cuts",
        "crashes",
        "pages",
        "heard",
        "twice",
    ] {
        assert!(number(&verdict, &format!("/counts/{field}")) > 0, "{field}: {verdict}");
    }
    assert!(number(&verdict, "/counts/catchUps") > 12, "{verdict}");
    assert_eq!(number(&verdict, "/unacknowledged"), 0);
    assert!(!verdict["faults"].as_array().unwrap().is_empty());
    assert_eq!(verdict["faults"][0]["status"], 0);
    let page = std::fs::read_to_string(folder.path().join("reports/prove-report.html")).unwrap();
    assert!(page.contains("PASS") && page.contains("class=\"fault\""), "{page}");
    let json = std::fs::read(folder.path().join("reports/prove-report.json")).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&json).unwrap(), verdict);
}

#[test]
fn an_acknowledged_message_that_is_not_stored_is_found() {
    let verdict = fails(
        Manner::Forgetting,
        &["lost"],
        &["phantom", "missed_live", "refused", "contradiction", "altered"],
    );
    let example = example(&verdict, "lost");
    assert!(
        example["messages"][0].is_string() && example["clientMessageId"].is_string(),
        "{example}"
    );
}

#[test]
fn a_dropped_delivery_is_found() {
    let verdict = fails(
        Manner::Dropping,
        &["missing_in_copy"],
        &["missed_live", "stale_watermark", "settings"],
    );
    let example = example(&verdict, "missing_in_copy");
    assert!(
        example["device"].is_u64() && example["messages"][0].is_string(),
        "{example}"
    );
}

#[test]
fn a_cursor_that_skips_is_found() {
    fails(
        Manner::Skipping,
        &["missing_in_copy"],
        &["stale_watermark", "settings", "missed_live"],
    );
}

#[test]
fn a_stored_counter_is_found() {
    fails(Manner::Counting, &["unread"], &["stale_conversation"]);
}

#[test]
fn a_leak_is_found() {
    let verdict = fails(Manner::Leaking, &["foreign"], &[]);
    assert!(example(&verdict, "foreign")["messages"][0].is_string());
}

#[test]
fn a_message_stored_twice_is_found() {
    fails(
        Manner::Repeating,
        &["stored_twice", "contradiction"],
        &["stale_conversation"],
    );
}

#[test]
fn users_who_never_leave_are_found() {
    fails(Manner::Lingering, &["presence"], &[]);
}

#[test]
fn a_cursor_that_is_refused_is_found() {
    fails(Manner::Resetting, &["sync_reset"], &["stale_watermark"]);
}

#[test]
fn a_fault_command_that_fails_proves_nothing() {
    let peer = Peer::start(Manner::Good);
    let folder = tempfile::tempdir().unwrap();
    let arguments = [small(), vec!["--kill", "exit 3", "--kill-every", "200ms"]].concat();
    let output = command(&peer, folder.path(), &arguments).output().unwrap();
    let verdict = verdict(&output, 1);
    assert_eq!(verdict["verdict"], "unproven");
    assert!(
        verdict["unproven"][0].as_str().unwrap().contains("exit status: 3"),
        "{verdict}"
    );
    assert_eq!(verdict["faults"][0]["status"], 3);
}

#[test]
fn an_interrupt_begins_the_audit() {
    let peer = Peer::start(Manner::Good);
    let folder = tempfile::tempdir().unwrap();
    let ready = folder.path().join("ready");
    let touch = format!("touch {}", ready.display());
    let arguments = [
        "--duration",
        "1h",
        "--users",
        "3",
        "--kill-every",
        "1s",
        "--kill",
        &touch,
    ];
    let mut process = Process::spawn(&mut command(&peer, folder.path(), &arguments));
    eventually("the users write", TIMEOUT, || ready.exists().then_some(()));
    process.signal("INT");
    let status = process.wait(TIMEOUT).expect("it ends");
    assert_eq!(status.code(), Some(0), "{}{}", process.stdout(), process.stderr());
    let verdict: Value = serde_json::from_str(&process.stdout()).unwrap();
    assert_eq!(
        (&verdict["interrupted"], &verdict["verdict"]),
        (&true.into(), &"pass".into())
    );
}

#[test]
fn wrong_usage_is_told_apart() {
    let peer = Peer::start(Manner::Good);
    let folder = tempfile::tempdir().unwrap();
    for wrong in [&["--users", "0"][..], &["--kill-every", "5s"], &["--duration", "soon"]] {
        let output = command(&peer, folder.path(), wrong).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {output:?}");
    }
}

#[test]
fn a_server_that_is_not_there_is_complained_of() {
    let peer = Peer::start(Manner::Good);
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(&peer, folder.path(), &small());
    let output = command.env("CHAT_URL", "http://127.0.0.1:1").output().unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("127.0.0.1:1"),
        "{output:?}"
    );
}
