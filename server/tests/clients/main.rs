//! Clients of the replaced program, with their habits: whoever comes from it changes one address and nothing else. What can't
//! be served is refused in words, to the client or in the log.

mod addresses;
mod habits;
mod handshakes;
mod key_set;
mod origins;
mod people;
mod polling;
mod provider;
mod proxies;
mod pyjwt;
mod rotation;
mod rules;
mod tls;

use std::time::Duration;

use serde_json::Value;
use testkit::process::eventually;
use testkit::{Server, node};

/// How long the log may take to be written; slow machines are meant to pass.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Runs a script, asserts that every check in it held.
fn run_checks(script: &str, argument: &Value) {
    let reports = node::run(script, argument);
    let failed: Vec<&Value> = reports.iter().filter(|report| report["error"].is_string()).collect();
    assert!(failed.is_empty(), "{script}: {failed:#?}");
    assert_eq!(
        reports.last().map(|report| &report["done"]),
        Some(&Value::Bool(true)),
        "{script}"
    );
}

/// The lines of the log that hold a text, once there is one.
fn logged(server: &Server, text: &str) -> Vec<String> {
    eventually(&format!("the log says {text:?}"), TIMEOUT, || {
        let log = server.stderr();
        let lines: Vec<String> = log
            .lines()
            .filter(|line| line.contains(text))
            .map(str::to_owned)
            .collect();
        (!lines.is_empty()).then_some(lines)
    })
}
