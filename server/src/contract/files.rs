//! What is checked in is what the code says, and what the server sends.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::asyncapi;

/// Compares a file of `shared/contract`, or writes it where that is asked for.
fn hold(name: &str, made: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/contract")
        .join(name);
    let text = serde_json::to_string_pretty(made).expect("a document is JSON") + "\n";
    if std::env::var("CONTRACT").as_deref() == Ok("write") {
        return fs::write(&path, text).expect("the file can be written");
    }
    let is_there = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        is_there == text,
        "shared/contract/{name} is not what the code says; write it with: CONTRACT=write cargo test -p server --lib contract"
    );
}

#[test]
fn asyncapi_is_what_the_code_says() {
    hold("asyncapi.json", &asyncapi::document());
}
