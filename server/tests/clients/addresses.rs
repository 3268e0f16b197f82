//! Where clients look: addresses as Express took them, another path, and what a browser finds.

use serde_json::json;
use testkit::raw::Raw;
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
    assert_eq!(about["protocol"], shared::PROTOCOL_VERSION);
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
    assert_eq!(server.get("/socket.io/%ff", "").code(), "not_found");
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
fn who_asks_for_the_client_and_does_not_read_takes_nothing_from_others() {
    const BYTES: usize = 900_000;
    let folder = std::env::temp_dir().join(format!("client-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("socket.io.js"), vec![b'/'; BYTES]).expect("a file");
    let server = Setup::new(Engine::Embedded)
        .env("CLIENT_DIST", folder.display())
        .start();
    let [a, b] = server.new_users();
    let since = server.get("/chat/sync", &server.token(&a)).json()["next"].clone();
    let mut client = Raw::connect(&server);
    client.authenticate(&server.token(&a));
    for number in 0..40 {
        let message = json!(["send_message", {"receiverId": b, "message": "x".repeat(10_000)}]);
        client.say(&format!("42{number}{message}")).expect("it is open");
        while !client.text().expect("it is open").starts_with("43") {}
    }
    let before = server.resident_bytes();
    let mut stalled: Vec<Raw> = (0..150).map(|_| Raw::narrow(&server)).collect();
    for reader in &mut stalled {
        reader.get("/socket.io/socket.io.js", "").expect("it is open");
    }
    // The last one is being answered when its answer begins.
    let last = stalled.last_mut().and_then(Raw::head);
    assert_eq!(last, Some(200));
    let since = since.as_str().expect("a cursor");
    let page = server.get(&format!("/chat/sync?since={since}"), &server.token(&a));
    assert_eq!(page.status, 200, "{:.200}", page.body);
    assert_eq!(page.json()["events"].as_array().map(Vec::len), Some(40));
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 40 << 20, "{grown} bytes");
    assert_eq!(server.get("/socket.io/socket.io.js", "").body.len(), BYTES);
    drop(stalled);
    std::fs::remove_dir_all(&folder).expect("it is there");
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
