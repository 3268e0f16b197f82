//! The document for coding assistants: its programs, run as they stand, and that it has the whole contract.

use std::fs;

use serde_json::json;
use shared::ErrorCode;
use testkit::{Engine, Server};

use crate::examples::{Folder, blocks};

const DOCUMENT: &str = "shared/contract/assistants.md";

/// A language model reads all of it, each time.
const MOST_LINES: usize = 300;

#[test]
fn its_programs_run_as_they_stand() {
    let server = Server::start(Engine::Embedded);
    let folder = Folder::of(&server);
    let [token, send, copy] = &blocks(DOCUMENT, "js")[..] else {
        panic!("three programs in JavaScript")
    };
    assert_eq!(folder.run("node", "token.mjs", token), [""; 0]);
    for _ in 0..2 {
        assert_eq!(folder.run("node", "send.mjs", send), [""; 0]);
    }
    assert_eq!(folder.run("node", "copy.mjs", copy), ["2 messages, 0 unread"]);

    let [python] = &blocks(DOCUMENT, "python")[..] else {
        panic!("one program in Python")
    };
    folder.run("python3", "send.py", python);
    let [ada, grace] = server.users(["ada", "grace"]);
    let texts: Vec<_> = server
        .history(&ada, &grace)
        .iter()
        .map(|message| message["message"].clone())
        .collect();
    assert_eq!(texts, [json!("Hello"), json!("Hello"), json!("Hello")]);

    let [shell] = &blocks(DOCUMENT, "sh")[..] else {
        panic!("one program for the shell")
    };
    let output = folder.run("sh", "ask.sh", shell).join("\n");
    assert!(
        output.contains("\"ready\":true") && output.contains("\"openapi\": \"3.1.0\"") && output.ends_with("401"),
        "{output}"
    );
}

#[test]
fn it_has_every_event_every_code_and_every_path_on_a_few_pages() {
    let read = |path: &str| fs::read_to_string(testkit::workspace().join(path)).expect("it is there");
    let text = read(DOCUMENT);
    assert!(text.lines().count() <= MOST_LINES);
    let document = |name: &str| serde_json::from_str::<serde_json::Value>(&read(name)).expect("it is JSON");
    let events = document("shared/contract/asyncapi.json");
    let events = events["channels"]
        .as_object()
        .expect("channels")
        .values()
        .map(|channel| {
            let address = channel["address"].as_str().expect("an address");
            address.replace("{userId}", "<myId>")
        });
    let codes = ErrorCode::ALL.iter().map(|code| code.as_str().to_owned());
    let names: Vec<String> = events.chain(codes).filter(|name| name != "/").collect();
    assert!(names.len() > 50);
    let missing: Vec<&String> = names
        .iter()
        .filter(|name| !text.contains(&format!("`{name}`")))
        .collect();
    assert!(missing.is_empty(), "{DOCUMENT} does not name {missing:?}");
    let requests = document("shared/contract/openapi.json");
    let paths = requests["paths"].as_object().expect("paths").keys();
    // What it is itself part of, and what needs no description: the page of the root and the files of pages and the client.
    let others = ["/", "/socket.io/{file}", "/pages/{file}", "/llms.txt", "/assistants.md"];
    let missing: Vec<&String> = paths
        .filter(|path| !others.contains(&path.as_str()))
        .filter(|path| !text.contains(path.as_str()) && !text.contains(&path.replace("/admin/users/{id}/", "…/")))
        .collect();
    assert!(missing.is_empty(), "{DOCUMENT} does not name {missing:?}");
    let links = read("shared/contract/llms.txt");
    for path in ["/assistants.md", "/openapi.json", "/asyncapi.json"] {
        assert!(links.contains(&format!("]({path})")), "{path}");
    }
}
