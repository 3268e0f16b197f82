//! Whether the server lives and whether it can work, for whoever watches it.

use serde_json::json;
use testkit::{Engine, Server};

use crate::on_both_engines;

on_both_engines!(is_told_without_a_token);

on_both_engines!(is_told_why);

fn is_told_without_a_token(server: &Server) {
    let alive = server.get("/healthz", "");
    assert_eq!(alive.status, 200, "{}", alive.body);
    let ready = server.get("/readyz", "");
    assert_eq!(
        (ready.status, &ready.json()["ready"]),
        (200, &true.into()),
        "{}",
        ready.body
    );
}

/// To find out whether the store takes writes costs it one. It is asked once for all who ask within a second.
#[test]
fn costs_the_store_nothing_for_each_request() {
    const REQUESTS: u64 = 200;
    /// What one commit adds to the log at least, in bytes.
    const PAGE: u64 = 4_096;
    let server = Server::start(Engine::Embedded);
    let log = server.folder().join("data/chat.db-wal");
    let size = || log.metadata().map_or(0, |metadata| metadata.len());
    let before = size();
    for _ in 0..REQUESTS {
        assert_eq!(server.get("/readyz", "").status, 200);
    }
    let commits = (size() - before) / PAGE;
    assert!(commits < REQUESTS / 2, "{commits} commits for {REQUESTS} requests");
}

fn is_told_why(server: &Server) {
    let ready = server.get("/readyz", "").json();
    for (field, expected) in [
        ("/stopping", json!(false)),
        ("/store/reachable", json!(true)),
        ("/inbox/ready", json!(true)),
        ("/log/lostLines", json!(0)),
    ] {
        assert_eq!(ready.pointer(field), Some(&expected), "{field}: {ready}");
    }
}
