//! A store that hangs for 20 s under load that goes on: bounded memory, honest errors, full recovery.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::Setup;
use testkit::mongod::Mongod;
use testkit::process::eventually;
use testkit::server::with_database;

use crate::ready;
use crate::storm::Storm;

const HANG: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_secs(60);

/// Together the clients want to have 24 times as many messages under way as may wait.
const CLIENTS: usize = 12;
const WINDOW: usize = 1_000;
const QUEUED: usize = 500;
const TEXT_BYTES: usize = 4_000;

/// What the memory may grow by. Beside the queue there are four batches on their way in each of two lanes, and each
/// message is there as it came, as a document, and in the driver's buffers. All that the clients offer would take
/// more, and all that they offer again much more.
const MOST_BYTES: u64 = 32 * 1024 * 1024;

#[test]
fn a_hanging_store_is_told_and_outlived_in_bounded_memory() {
    let mongod = Mongod::replica_set(1);
    let server = Setup::on(&with_database(&mongod.uri(), "hang"))
        .env("MAX_QUEUED_MESSAGES", QUEUED)
        .start();
    let shape = json!({"window": WINDOW, "bytes": TEXT_BYTES});
    let mut storm = Storm::start::<CLIENTS>(&server, &server.url(), shape);
    storm.more(2_000);
    let before = server.resident_bytes();

    mongod.pause(0);
    let end = Instant::now() + HANG;
    eventually("the server is not ready", PATIENCE, || (!ready(&server)).then_some(()));
    let mut most = before;
    while Instant::now() < end {
        most = most.max(server.resident_bytes());
        thread::sleep(Duration::from_millis(50));
    }
    assert!(!ready(&server));
    assert_eq!(server.get("/healthz", "").status, 200);
    let users = server.get("/users", &server.admin_token());
    assert_eq!(
        (users.status, users.code().as_str()),
        (503, "store_unavailable"),
        "{}",
        users.body
    );
    mongod.resume(0);

    eventually("the server is ready again", PATIENCE, || ready(&server).then_some(()));
    storm.more(2_000);
    let tally = storm.finish(&server);
    let grown = most - before;
    println!(
        "grown by {} KiB from {} KiB; {:?}",
        grown / 1024,
        before / 1024,
        tally.refused
    );
    assert!(
        grown < MOST_BYTES,
        "{before} bytes before, {most} bytes while the store hung"
    );
    assert!(tally.refused.contains_key("overloaded"), "{:?}", tally.refused);
    let honest = |code: &String| ["overloaded", "store_unavailable"].contains(&code.as_str());
    assert!(tally.refused.keys().all(honest), "{:?}", tally.refused);
}
