//! What is checked in is what the code says, and what the server sends.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{asyncapi, openapi};

/// Compares a file of `shared/contract`, or writes it where that is asked for.
fn hold(name: &str, made: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/contract")
        .join(name);
    let mut made = made.clone();
    // Whether fields keep their order depends on what else is built.
    made.sort_all_objects();
    let text = serde_json::to_string_pretty(&made).expect("a document is JSON") + "\n";
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

#[test]
fn openapi_is_what_the_code_says() {
    hold("openapi.json", &openapi::document());
}

/// Every reference of a document leads to something in it, and there are at least so many.
pub(super) fn assert_references(document: &Value, at_least: usize) {
    let mut count = 0;
    visit(document, &mut |reference| {
        count += 1;
        let pointer = reference.strip_prefix('#').expect("a reference within the document");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    });
    assert!(count >= at_least, "{count} references");
}

fn visit(value: &Value, found: &mut impl FnMut(&str)) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if name == "$ref" => found(text),
                    _ => visit(value, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| visit(value, found)),
        _ => {}
    }
}
