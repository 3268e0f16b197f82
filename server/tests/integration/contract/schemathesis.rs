//! schemathesis makes requests up from `openapi.json`, good ones and bad ones, and looks whether the server answers as that says.

use std::process::{Command, Stdio};

use serde_json::{Value, json};
use testkit::server::SECRET;
use testkit::{Engine, Server, Setup, node, python, token};

use super::file;

/// Runs it against one place of a server, with all checks. It has to try so many operations.
fn run(server: &Server, url: &str, token: &str, operations: usize, choice: [&str; 2]) {
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new("python3")
        .args(["-m", "schemathesis.cli", "--config-file"])
        .arg(testkit::workspace().join("server/tests/python/schemathesis.toml"))
        .arg("run")
        .arg(file("openapi.json"))
        .args(["--url", url, "--checks", "all", "--max-examples", "40", "--seed", "12"])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args(["--suppress-health-check", "all", "--generation-database", "none"])
        .args(choice)
        .env("PYTHONPATH", python::contract_packages())
        .env("NO_COLOR", "1")
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .expect("python3 runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{}\n{said}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr),
        server.stderr()
    );
    // All of them, and not a few that it could make something of.
    let tested = said.lines().find_map(|line| line.trim().strip_prefix("Tested: "));
    assert_eq!(tested, Some(&*operations.to_string()), "{said}");
}

/// How many operations the document has of administration, and how many others.
fn operations() -> (usize, usize) {
    let text = std::fs::read(file("openapi.json")).expect("it is there");
    let document: Value = serde_json::from_slice(&text).expect("it is JSON");
    let all = document["paths"].as_object().expect("paths").values();
    let all = all.flat_map(|methods| methods.as_object().expect("methods").values());
    let (administration, others): (Vec<&Value>, Vec<&Value>) =
        all.partition(|operation| operation["tags"][0] == "administration");
    (administration.len(), others.len())
}

/// A server on which every text of the document's ids can be one, and an administrator who is a user of it.
fn prepared() -> (Server, String) {
    let server = Setup::new(Engine::Embedded)
        .env("USER_IDS", "external")
        .env("CLIENT_DIST", node::modules().join("socket.io-client/dist").display())
        .start();
    // The second id is that of the document's examples.
    let body = json!({"users": [
        {"username": "ada", "externalId": "7"},
        {"username": "grace", "externalId": "6945576383968f286a0ff5f9"},
    ]});
    assert_eq!(server.post("/users", &server.admin_token(), &body).status, 200);
    let claims = json!({"userId": "7", "role": "admin", "exp": token::seconds() + 3_600});
    let token = token::sign(jsonwebtoken::Algorithm::HS256, SECRET, &claims);
    (server, token)
}

#[test]
fn requests_of_clients_are_answered_as_the_document_says() {
    let (server, token) = prepared();
    let (_, count) = operations();
    run(
        &server,
        &server.url(),
        &token,
        count,
        ["--exclude-tag", "administration"],
    );
}

#[test]
fn requests_of_administration_are_answered_as_the_document_says() {
    let (server, _) = prepared();
    let (count, _) = operations();
    let (url, token) = (server.admin_url(), server.admin_token());
    run(&server, &url, &token, count, ["--include-tag", "administration"]);
}
