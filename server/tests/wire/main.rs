//! The wire contract, as the stock clients see it: `shared/PROTOCOL.md` to the letter, on both engines.
//!
//! Each Socket.IO test runs four ways: on both engines, by polling and by WebSocket; those of messages also while
//! the connection changes from one to the other, as stock clients do by default. The scripts in `tests/js` hold the
//! client's view; the functions here prepare, run them, and compare with what HTTP says.

// The tables of bad inputs are long.
#![recursion_limit = "512"]

mod access;
mod bad_inputs;
mod connecting;
mod cors;
mod errors;
mod expiry;
mod feed;
mod health;
mod history;
mod idempotency;
mod identities;
mod inspection;
mod legacy;
mod local_copy;
mod logs;
mod malformed;
mod messages;
mod metrics;
mod monitoring;
mod paging;
mod presence;
mod strangers;
mod strict;
mod users;

use serde_json::Value;
use testkit::node;

/// Makes a function of (server) one test for each engine, or of (server, transport) for each engine and transport.
macro_rules! on_both_engines {
    ($test:ident) => {
        mod $test {
            #[test]
            fn embedded() {
                super::$test(testkit::Server::shared(testkit::Engine::Embedded));
            }
            #[test]
            fn mongo() {
                super::$test(testkit::Server::shared(testkit::Engine::Mongo));
            }
        }
    };
    ($test:ident: $($transport:ident),+) => {
        mod $test {
            mod embedded {
                $(#[test]
                fn $transport() {
                    super::super::$test(testkit::Server::shared(testkit::Engine::Embedded), stringify!($transport));
                })+
            }
            mod mongo {
                $(#[test]
                fn $transport() {
                    super::super::$test(testkit::Server::shared(testkit::Engine::Mongo), stringify!($transport));
                })+
            }
        }
    };
}
use on_both_engines;

/// Runs a script, asserts that every check in it held, and returns what else it reported.
fn run_checks(script: &str, argument: &Value) -> Vec<Value> {
    let mut others = Vec::new();
    let (mut held, mut failed, mut done) = (0, Vec::new(), false);
    for report in node::run(script, argument) {
        match (&report["check"], &report["error"]) {
            (Value::String(check), Value::String(error)) => failed.push(format!("{check}: {error}")),
            (Value::String(_), _) => held += 1,
            _ if report["done"] == true => done = true,
            _ => others.push(report),
        }
    }
    let count = failed.len();
    assert!(
        failed.is_empty(),
        "{count} checks of {script} failed, {held} held:\n{}",
        failed.join("\n")
    );
    assert!(done, "{script} did not come to its end");
    others
}
