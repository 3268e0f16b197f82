//! Whether a client of an older document still gets on with a newer one: what goes away, what is narrower in requests or wider in
//! answers, what has to be sent that had not to be.
//!
//! There is no tool to be had that knows both kinds of documents, and those for one of them do not read its present version.
//! `documents` walks through operations and channels, `schema` compares what is sent.

mod documents;
mod schema;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use documents::{asyncapi_breaks, openapi_breaks};

/// A document of the last version that was tagged; before the first tag, or where that has none, the one in `shared/contract/baseline`.
fn last(name: &str) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).current_dir(&root).output().ok()?;
        output.status.success().then_some(output.stdout)
    };
    let tag = git(&["describe", "--tags", "--abbrev=0"]).and_then(|tag| String::from_utf8(tag).ok());
    let tagged = tag.and_then(|tag| git(&["show", &format!("{}:shared/contract/{name}", tag.trim())]));
    let text = tagged
        .unwrap_or_else(|| fs::read(root.join("shared/contract/baseline").join(name)).expect("there is a baseline"));
    serde_json::from_slice(&text).expect("a document is JSON")
}

#[track_caller]
fn hold(old: &Value, new: &Value, breaks: fn(&Value, &Value) -> Vec<String>) {
    // Another version of the protocol may break what it likes.
    if old["info"]["version"] != new["info"]["version"] {
        return;
    }
    let found = breaks(old, new);
    assert!(
        found.is_empty(),
        "a client of the last version would break:\n{}",
        found.join("\n")
    );
}

#[test]
fn clients_of_the_last_version_still_read_and_send_events() {
    hold(&last("asyncapi.json"), &super::asyncapi::document(), asyncapi_breaks);
}

#[test]
fn clients_of_the_last_version_still_get_their_requests_answered() {
    hold(&last("openapi.json"), &super::openapi::document(), openapi_breaks);
}
