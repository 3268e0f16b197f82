//! The servers that tests run against: they answer, survive what tests do to them, and never outlive a test.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use testkit::mongod::{self, Mongod};

/// Set for the copy of this test program that [`servers_end_with_the_process`] kills.
const AS_VICTIM: &str = "TESTKIT_VICTIM";

fn runs(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z"))
}

#[test]
fn one_shared_deployment() {
    assert!(mongod::uri().starts_with("mongodb://"));
    assert_eq!(mongod::uri(), mongod::uri());
}

#[test]
fn a_killed_member_comes_back_on_its_port() {
    let server = Mongod::standalone();
    let (uri, pids) = (server.uri(), server.pids());
    server.kill(0);
    assert!(!runs(pids[0]) && server.primary().is_none());
    server.restart(0);
    assert_eq!((server.uri(), server.primary()), (uri, Some(0)));
    let pids = server.pids();
    drop(server);
    assert!(!runs(pids[0]));
}

#[test]
fn another_primary_is_elected() {
    let set = Mongod::replica_set(3);
    let first = set.primary().unwrap();
    set.kill(first);
    let deadline = Instant::now() + Duration::from_secs(60);
    while set.primary().is_none_or(|primary| primary == first) {
        assert!(Instant::now() < deadline);
    }
    set.restart(first);
}

#[test]
fn servers_end_with_the_process() {
    if std::env::var_os(AS_VICTIM).is_some() {
        let server = Mongod::standalone();
        println!("<{}>", server.pids()[0]);
        loop {
            std::thread::park();
        }
    }
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "servers_end_with_the_process", "--nocapture"])
        .env(AS_VICTIM, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut output = victim.stdout.take().unwrap();
    while !said.ends_with('>') {
        let mut byte = [0];
        output.read_exact(&mut byte).unwrap();
        said.push(char::from(byte[0]));
    }
    let pid: u32 = said.rsplit('<').next().unwrap().trim_end_matches('>').parse().unwrap();
    assert!(runs(pid));
    victim.kill().unwrap();
    victim.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while runs(pid) {
        assert!(Instant::now() < deadline, "mongod {pid} outlived its test process");
    }
}
