//! Where clients look: addresses as Express took them, another path, and what a browser finds.

use serde_json::json;
use testkit::{Engine, Server, Setup, node};

use crate::{logged, run_checks};

#[test]
fn addresses_are_read_as_express_reads_them() {
    let server = Server::shared(Engine::Embedded);
    let [a, b] = server.new_users();
    let token = server.token(&a);
    for path in [
        format!("/Chat/History/{a}/{b}/"),
        format!("/chat/history/{a}/{b}/?limit=3"),
        format!("/CHAT/history/{}/{b}", a.to_uppercase()),
    ] {
        let answer = server.get(&path, &token);
        assert_eq!((answer.status, &*answer.body), (200, "[]"), "{path}");
    }
    assert_eq!(server.get("/Users/Me/", &token).json()["_id"], a);
    assert_eq!(server.get("/chat/histories/a/b", &token).code(), "not_found");
}

#[test]
fn a_stranger_is_told_what_this_is() {
    let server = Server::shared(Engine::Embedded);
    let answer = server.get("/", "");
    assert_eq!(answer.status, 200);
    let about = answer.json();
    assert_eq!(about["socketIo"], "/socket.io/");
    for document in about["documents"].as_array().expect("a list") {
        let document = document.as_str().expect("a path");
        assert!(testkit::workspace().join(document).is_file(), "{document}");
    }
}

#[test]
fn a_page_is_told_where_the_client_is() {
    let server = Setup::new(Engine::Embedded).start();
    let answer = server.get("/socket.io/socket.io.js", "");
    assert_eq!((answer.status, answer.code().as_str()), (404, "not_found"));
    assert!(
        answer.body.contains("CLIENT_DIST") && answer.body.contains("cdn.socket.io"),
        "{}",
        answer.body
    );
    assert_eq!(logged(&server, "CLIENT_DIST").len(), 1);
    assert_eq!(server.get("/socket.io/other", "").code(), "not_found");
    assert_eq!(server.get("/socket.io/a/b", "").code(), "not_found");
}

#[test]
fn the_client_is_served_from_where_it_lies() {
    let folder = node::packages().join("node_modules/socket.io-client/dist");
    let server = Setup::new(Engine::Embedded)
        .env("CLIENT_DIST", folder.display())
        .start();
    for (name, kind) in [
        ("socket.io.js", "application/javascript"),
        ("socket.io.min.js", "application/javascript"),
        ("socket.io.esm.min.js", "application/javascript"),
        ("socket.io.js.map", "application/json"),
    ] {
        let answer = server.get(&format!("/socket.io/{name}"), "");
        let file = std::fs::read_to_string(folder.join(name)).expect("the package has it");
        assert_eq!(answer.status, 200, "{name}");
        assert!(
            answer.body == file && answer.header("content-type").starts_with(kind),
            "{name}"
        );
    }
    assert_eq!(server.get("/socket.io/package.json", "").status, 404);
    assert_eq!(server.get("/socket.io/..%2fpackage.json", "").status, 404);
}

#[test]
fn it_can_be_below_a_path() {
    let server = Setup::new(Engine::Embedded)
        .env("BASE_PATH", "/api/")
        .env("SOCKET_PATH", "/live/ws")
        .start();
    let users = server.post("/api/users", &server.admin_token(), &json!({"username": "ada"}));
    assert_eq!(users.status, 200, "{}", users.body);
    let id = users.json()["users"][0]["_id"].as_str().expect("an id").to_owned();
    let token = server.token(&id);
    run_checks(
        "addresses.js",
        &json!({"url": server.url(), "path": "/live/ws", "token": token, "user": id}),
    );
    let history = server.get(&format!("/api/Chat/history/{id}/{id}/"), &token);
    assert_eq!(history.json().as_array().map(Vec::len), Some(3));
    assert_eq!(server.get("/api", "").json()["socketIo"], "/live/ws/");
    for (path, status) in [
        ("/users/me", 404),
        ("/socket.io/?EIO=4&transport=polling", 404),
        ("/api/socket.io/?EIO=4&transport=polling", 404),
        ("/live/ws/?EIO=4&transport=polling", 200),
        ("/readyz", 200),
        ("/api/readyz", 200),
    ] {
        assert_eq!(server.get(path, &token).status, status, "{path}");
    }
}
