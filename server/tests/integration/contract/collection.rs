//! newman runs the Postman collection with its environment against the running server.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};
use testkit::{Engine, Server, node};

use super::file;

const COLLECTION: &str = "chat.postman_collection.json";

fn read(name: &str) -> Value {
    serde_json::from_slice(&fs::read(file(name)).expect("it is there")).expect("it is JSON")
}

fn run(server: &Server, secret: &str, messages: usize) -> Value {
    let argument = json!({
        "collection": file(COLLECTION),
        "environment": file("chat.postman_environment.json"),
        "values": {"url": server.url(), "adminUrl": server.admin_url(), "secret": secret, "messages": messages},
    });
    let [report] = &node::run("newman.js", &argument)[..] else {
        panic!("one report")
    };
    report.clone()
}

#[test]
fn newman_runs_the_collection() {
    for engine in [Engine::Embedded, Engine::Mongo] {
        let server = Server::start(engine);
        // It can be run before there are messages, and again.
        let report = run(&server, server.secret(), 0);
        assert_eq!(report["failed"], json!([]), "{engine:?}");
        let [ada, grace] = server.users(["ada", "grace"]);
        let argument = json!({"url": server.url(), "token": server.token(&ada), "receiver": grace, "count": 5});
        node::run("send.js", &argument);
        let report = run(&server, server.secret(), 5);
        assert_eq!(
            (&report["failed"], &report["without"]),
            (&json!([]), &json!([])),
            "{engine:?}"
        );
        assert!(report["requests"].as_u64() >= Some(40), "{report}");
        assert!(report["assertions"].as_u64() >= Some(120), "{report}");
    }
}

#[test]
fn the_assertions_of_the_collection_find_a_wrong_secret() {
    let server = Server::start(Engine::Embedded);
    let report = run(&server, "another secret of more than 32 bytes", 0);
    assert!(
        report["failed"].as_array().is_some_and(|failed| failed.len() > 20),
        "{report}"
    );
}

#[test]
fn the_collection_has_every_request_of_the_document() {
    let document = read("openapi.json");
    let mut described = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for method in methods.as_object().expect("methods").keys() {
            described.insert((
                method.to_uppercase(),
                path.split('/').map(str::to_owned).collect::<Vec<String>>(),
            ));
        }
    }
    let collection = read(COLLECTION);
    let folders = collection["item"].as_array().expect("folders").iter();
    let requests = folders.flat_map(|folder| folder["item"].as_array().expect("requests"));
    let asked: Vec<(String, Vec<String>)> = requests
        .map(|item| {
            let request = &item["request"];
            let path = request["url"]["path"].as_array().expect("a path").iter();
            let path = path.map(|word| word.as_str().expect("a text").to_owned());
            let method = request["method"].as_str().expect("a method").to_owned();
            (method, [String::new()].into_iter().chain(path).collect())
        })
        .collect();
    let is_asked = |(method, path): &&(String, Vec<String>)| {
        asked.iter().any(|(other, words)| {
            let is_same = |(one, word): (&String, &String)| one == word || one.starts_with('{');
            other == method && words.len() == path.len() && path.iter().zip(words).all(is_same)
        })
    };
    // The client's files are no part of it.
    let missing: Vec<_> = described
        .iter()
        .filter(|one| !is_asked(one))
        .map(|(_, path)| path.join("/"))
        .collect();
    assert_eq!(missing, ["/socket.io/{file}"]);
}
