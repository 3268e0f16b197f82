//! The chat against a plain model: random people, devices, messages, repetitions, marks, settings, bans, revocations, and servers that die.
//!
//! The chat is the server's own, from `Chat` down to a real store; only the transport is missing: connections keep what they are
//! sent. After each script everything that was promised is checked: what is acknowledged is stored once and in order,
//! nobody hears what is not theirs, cursors skip nothing, receipts never go back, unread numbers are right, and settings hide
//! what they say. A script that fails is made as short as it can be, and shown as one that a person can read.
//!
//! | environment | what it does |
//! |---|---|
//! | `CHAT_MODEL_CASES=1000` | as many scripts for each engine, instead of a few |
//! | `PROPTEST_RNG_SEED=7` | the scripts of this seed, instead of new ones |

// Tells clippy that this is all for tests.
#![cfg(test)]

use std::sync::atomic::Ordering;

use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};

use crate::broken::{FAULTS, Fault};
use crate::engine::Kind;
use crate::model::Checked;
use crate::script::{Script, scripts};
use crate::world::World;

mod audit;
mod broken;
mod device;
mod ear;
mod engine;
mod joining;
mod model;
mod script;
mod shut_out;
mod world;

/// Scripts that run at once: they wait more than they work.
const SIDE_BY_SIDE: u32 = 4;

/// Steps of a script.
const STEPS: usize = 60;

/// Runs one script to its end.
async fn play(kind: Kind, fault: Option<Fault>, script: &Script) -> Checked {
    let mut world = World::new(kind, fault).await;
    let mut played = Ok(());
    for (number, step) in script.0.iter().enumerate() {
        played = world
            .step(step)
            .await
            .map_err(|what| format!("at step {}: {what}", number + 1));
        if played.is_err() {
            break;
        }
    }
    if played.is_ok() {
        played = world.last().await.map_err(|what| format!("at the end: {what}"));
    }
    world.end().await;
    if played.is_err() {
        audit::HURRY.store(true, Ordering::Relaxed);
    }
    played
}

/// Runs so many random scripts, and returns what the shortest one is that fails, if one does.
fn search(kind: Kind, fault: Option<Fault>, cases: u32, steps: usize) -> Result<(), (String, Script)> {
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 400,
        max_shrink_time: 20_000,
        ..Config::default()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = { runtime }.worker_threads(2).enable_all().build().expect("a runtime");
    let run = |script: Script| {
        runtime
            .block_on(play(kind, fault, &script))
            .map_err(TestCaseError::fail)
    };
    match TestRunner::new(config).run(&scripts(steps), run) {
        Ok(()) => Ok(()),
        Err(TestError::Fail(what, mut script)) => {
            let what = what.to_string();
            // What would have come after it says nothing.
            let step = what
                .strip_prefix("at step ")
                .and_then(|rest| rest.split_once(':')?.0.parse().ok());
            script.0.truncate(step.unwrap_or(usize::MAX));
            Err((what, script))
        }
        Err(TestError::Abort(what)) => Err((what.to_string(), Script(Vec::new()))),
    }
}

/// Runs as many scripts as the environment says, or these.
fn agrees(kind: Kind, cases: u32) {
    let asked = std::env::var("CHAT_MODEL_CASES")
        .ok()
        .and_then(|text| text.parse().ok());
    let each = asked.unwrap_or(cases).div_ceil(SIDE_BY_SIDE);
    std::thread::scope(|scope| {
        let side_by_side: Vec<_> = (0..SIDE_BY_SIDE)
            .map(|_| scope.spawn(|| search(kind, None, each, STEPS)))
            .collect();
        for one in side_by_side {
            if let Err((what, script)) = one.join().expect("a search does not panic") {
                panic!("{kind:?}: {what}{script:?}");
            }
        }
    });
}

#[test]
fn the_embedded_store_agrees() {
    agrees(Kind::Embedded, 24);
}

#[test]
fn mongodb_agrees() {
    agrees(Kind::Mongo, 12);
}

/// The model finds what is broken on purpose. With `--nocapture` it shows by which script.
#[test]
fn what_is_broken_is_found() {
    for fault in FAULTS {
        let Err((what, script)) = search(Kind::Embedded, Some(fault), 300, 24) else {
            panic!("nobody noticed that the store {fault:?}");
        };
        println!("{fault:?}, {what}{script:?}");
    }
}
