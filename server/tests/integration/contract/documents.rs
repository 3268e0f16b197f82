//! Both documents are what their formats ask for, and the server sends what is checked in.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};
use testkit::{Engine, Server, http, node};

use super::file;

#[test]
fn the_asyncapi_parser_takes_the_document_of_the_events() {
    let [report] = &node::run("contract.js", &json!({"asyncapi": file("asyncapi.json")}))[..] else {
        panic!("one report")
    };
    assert_eq!(report["problems"], json!([]));
    assert_eq!(report["version"], "3.0.0");
    // As the parser counts them, so that it has read what is there.
    let document: Value =
        serde_json::from_slice(&fs::read(file("asyncapi.json")).expect("it is there")).expect("it is JSON");
    let count = |name: &str| document[name].as_object().map(|all| all.len());
    assert_eq!(report["channels"].as_u64(), count("channels").map(|count| count as u64));
    assert_eq!(
        report["operations"].as_u64(),
        count("operations").map(|count| count as u64)
    );
    assert!(report["replies"].as_u64() > Some(10), "{report}");
}

#[test]
fn spectral_finds_nothing_wrong_with_the_document_of_the_requests() {
    let [report] = &node::run("contract.js", &json!({"openapi": file("openapi.json")}))[..] else {
        panic!("one report")
    };
    assert_eq!(report["problems"], json!([]));
    assert!(report["rules"].as_u64() > Some(40), "{report}");
}

#[test]
fn the_parser_and_the_linter_find_what_is_wrong() {
    let broken = tempfile::tempdir().expect("a folder");
    for (kind, part) in [("asyncapi", "operations"), ("openapi", "info")] {
        let text = fs::read(file(&format!("{kind}.json"))).expect("it is there");
        let mut document: Value = serde_json::from_slice(&text).expect("it is JSON");
        document[part] = json!([7]);
        let path = broken.path().join("broken.json");
        fs::write(&path, document.to_string()).expect("a file can be written");
        let reports = node::run("contract.js", &json!({kind: path}));
        assert_ne!(reports[0]["problems"], json!([]), "{kind}");
    }
}

#[test]
fn the_server_sends_the_files_that_are_checked_in() {
    let server = Server::shared(Engine::Embedded);
    for (name, kind) in [
        ("openapi.json", "application/json; charset=utf-8"),
        ("asyncapi.json", "application/json; charset=utf-8"),
        ("llms.txt", "text/plain; charset=utf-8"),
        ("assistants.md", "text/markdown; charset=utf-8"),
    ] {
        let answer = server.get(&format!("/{name}"), "");
        assert_eq!(answer.status, 200, "{name}");
        assert_eq!(answer.header("content-type"), kind, "{name}");
        assert_eq!(
            answer.body,
            fs::read_to_string(file(name)).expect("it is there"),
            "{name}"
        );
    }
}

#[test]
fn each_path_has_the_methods_that_the_document_says() {
    let server = Server::shared(Engine::Embedded);
    let document = server.get("/openapi.json", "").json();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        let described: BTreeSet<String> = operations
            .as_object()
            .expect("methods")
            .keys()
            .map(|name| name.to_uppercase())
            .collect();
        let path = path.replace(['{', '}'], "");
        let answer = http::send(server.request("BREW", &path, "", Vec::new()));
        assert_eq!((answer.status, &*answer.code()), (405, "method_not_allowed"), "{path}");
        let allowed = answer.header("allow").split(',').map(|name| name.trim().to_owned());
        let allowed: BTreeSet<String> = allowed.filter(|name| name != "HEAD").collect();
        assert_eq!(described, allowed, "{path}");
    }
}
