//! A server that ends while it is measured: the benchmark ends, too, and says why.

use serde_json::Value;
use testkit::process::{Process, eventually};
use testkit::{Engine, Server};

use crate::{TIMEOUT, command, for_people, verdict};

#[test]
fn a_server_that_ends_ends_the_run() {
    for (signal, words) in [("TERM", "stopped"), ("KILL", "was killed, or the network is gone")] {
        let mut server = Server::start(Engine::Embedded);
        let ids = server.users(["left-000001", "left-000002"]);
        let arguments = "messages --users 2 --duration 1h --warmup 0s --drain 1h --prefix left";
        let mut process = Process::spawn(&mut command(server.folder(), &server.url(), server.secret(), arguments));
        eventually("messages are stored", TIMEOUT, || {
            (!server.history(&ids[0], &ids[1]).is_empty()).then_some(())
        });
        server.stop(signal);
        let status = process.wait(TIMEOUT).expect("it ends");
        assert_eq!(status.code(), Some(1), "{}", process.stderr());
        let report: Value = serde_json::from_str(&process.stdout()).unwrap();
        let ended = report["cutOff"].as_str().expect("a text");
        assert!(ended.contains(words), "{ended}");
        assert_eq!(report["failure"], report["cutOff"]);
    }
}

#[test]
fn the_verdict_says_why_a_run_was_cut_off() {
    let mut server = Server::start(Engine::Embedded);
    let ids = server.users(["left-000001", "left-000002"]);
    let arguments = "messages --users 2 --duration 1h --warmup 0s --drain 1h --prefix left";
    let mut process = Process::spawn(&mut for_people(
        server.folder(),
        &server.url(),
        server.secret(),
        arguments,
    ));
    eventually("messages are stored", TIMEOUT, || {
        (!server.history(&ids[0], &ids[1]).is_empty()).then_some(())
    });
    server.stop("TERM");
    assert_eq!(process.wait(TIMEOUT).expect("it ends").code(), Some(1));
    let verdict = verdict(&process.stdout());
    assert!(
        verdict.starts_with("FAILED") && verdict.contains("stopped"),
        "{verdict}"
    );
    // What was acknowledged is in history.
    assert!(
        verdict.contains("acknowledged and not delivered any more") && !verdict.contains(" lost"),
        "{verdict}"
    );
}

#[test]
fn a_server_that_ends_ends_the_reading() {
    let mut server = Server::start(Engine::Embedded);
    let before = server.open_files();
    let arguments = "history --duration 1h --warmup 1h --conversations 1 --concurrency 8";
    let mut process = Process::spawn(&mut command(server.folder(), &server.url(), server.secret(), arguments));
    eventually("it reads", TIMEOUT, || {
        (server.open_files() >= before + 8).then_some(())
    });
    server.stop("TERM");
    let status = process.wait(TIMEOUT).expect("it ends");
    let said = process.stderr();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("the connection broke while it was read"), "{said}");
}
