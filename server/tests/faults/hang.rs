//! A store that hangs for 20 s under load that goes on: bounded memory, honest errors, full recovery.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::Setup;
use testkit::mongod::Mongod;
use testkit::node::Script;
use testkit::process::eventually;
use testkit::server::with_database;

use crate::ready;
use crate::storm::Storm;

const HANG: Duration = Duration::from_secs(20);
const TIMEOUT: Duration = Duration::from_secs(60);

/// How long it takes at most to find out who somebody is, and some more; less than one read of the store may take.
const WHO: Duration = Duration::from_secs(9);

/// Together the clients want to have 30 times as many messages under way as may wait.
const CLIENTS: usize = 12;
const WINDOW: usize = 250;
const QUEUED: usize = 100;
const TEXT_BYTES: usize = 16_000;

/// What the memory may grow by. What waits and the batches on their way are 200 messages, each there as it came, as a
/// document, and in the driver's buffers, which makes 10 MB. What the clients want to have under way is 48 MB, and they
/// offer it again and again.
const MOST_BYTES: u64 = 32 * 1024 * 1024;

#[test]
fn a_hanging_store_is_told_and_outlived_in_bounded_memory() {
    let mongod = Mongod::replica_set(1);
    let server = Setup::on(&with_database(&mongod.uri(), "hang"))
        .env("MAX_QUEUED_MESSAGES", QUEUED)
        .start();
    let storm =
        |window: usize| Storm::start::<CLIENTS>(&server, &server.url(), json!({"window": window, "bytes": TEXT_BYTES}));
    // Memory that is used once is kept, hung or not: all of the server has been used before it is measured.
    let mut usual = storm(5);
    usual.more(400);
    let before = server.resident_bytes();
    usual.finish(&server);
    let mut storm = storm(WINDOW);
    storm.more(100);

    mongod.pause(0);
    let end = Instant::now() + HANG;
    eventually("the server is not ready", TIMEOUT, || (!ready(&server)).then_some(()));
    assert_eq!(server.get("/healthz", "").status, 200);
    let users = server.get("/users", &server.admin_token());
    assert_eq!(
        (users.status, users.code().as_str()),
        (503, "store_unavailable"),
        "{}",
        users.body
    );
    let mut most = before;
    while Instant::now() < end {
        most = most.max(server.resident_bytes());
        thread::sleep(Duration::from_millis(50));
    }
    assert!(!ready(&server));
    mongod.resume(0);

    eventually("the server is ready again", TIMEOUT, || ready(&server).then_some(()));
    storm.more(500);
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

/// Whoever was told that the store is away hears of the change as the user's other devices do.
#[test]
fn settings_that_were_changed_after_all_are_told_to_all_devices() {
    let mongod = Mongod::replica_set(1);
    let server = Setup::on(&with_database(&mongod.uri(), "late")).start();
    let [user] = server.new_users();
    let mut devices = Script::start("late.js", &json!({"url": server.url(), "token": server.token(&user)}));
    assert_eq!(devices.report(), Some(json!({"connected": true})));
    mongod.pause(0);
    devices.tell(&Value::Null);
    let answer = devices.report().expect("an answer")["answer"].clone();
    assert_eq!(answer["error"]["code"], "store_unavailable", "{answer}");
    mongod.resume(0);
    assert_eq!(devices.report(), Some(json!({"told": true})));
    devices.finish();
}

/// Who comes with a token is not made to wait for as long as the store is tried for each of those who came before.
#[test]
fn who_it_is_is_found_out_in_time_or_not_at_all() {
    const CALLERS: usize = 12;
    let mongod = Mongod::replica_set(1);
    let server = Setup::on(&with_database(&mongod.uri(), "who")).start();
    let users = server.new_users::<CALLERS>();
    mongod.pause(0);
    thread::scope(|scope| {
        for (number, user) in users.iter().enumerate() {
            let server = &server;
            scope.spawn(move || {
                // Not all in one question to the store.
                thread::sleep(Duration::from_millis(200) * number as u32);
                let begun = Instant::now();
                let answer = server.get("/users/me", &server.token(user));
                assert_eq!((answer.status, answer.code().as_str()), (503, "store_unavailable"));
                assert!(begun.elapsed() < WHO, "{:?}", begun.elapsed());
            });
        }
    });
    mongod.resume(0);
}
