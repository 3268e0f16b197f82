//! Work of one request that panics: that request is answered, and nothing else notices.

use std::fs;

use serde_json::{Value, json};
use testkit::node::Script;
use testkit::{Engine, Server, Setup};

use crate::ready;

fn start(name: &str) -> Server {
    Setup::new(Engine::Embedded).sabotaged(&format!("panic:{name}")).start()
}

fn panic_now(server: &Server) {
    fs::write(server.folder().join("panic-now"), "").expect("the server's folder is writable");
}

#[test]
fn a_request_over_a_socket_that_panics_is_answered() {
    for event in ["sync", "conversations"] {
        let mut server = start(event);
        let [user] = server.new_users();
        let argument = json!({"url": server.url(), "token": server.token(&user), "event": event});
        let mut client = Script::start("panic.js", &argument);
        let before = client.report().expect("an answer");
        assert_eq!(before["before"]["ok"], true, "{before}");
        panic_now(&server);
        client.tell(&Value::Null);
        let answer = client.report().expect("an answer")["answer"].clone();
        assert_eq!(answer["error"]["code"], "internal", "{answer}");
        let after = client.report().expect("an answer")["after"].clone();
        assert_ne!(after["error"]["code"], "internal", "the connection goes on: {after}");
        client.finish();
        let log = server.stderr();
        assert!(log.contains("a request panicked") && log.contains(event), "{log}");
        assert!(ready(&server), "nothing else notices");
        assert!(server.terminate().0.success());
    }
}

#[test]
fn a_request_over_http_that_panics_is_answered() {
    let mut server = start("http");
    let [user] = server.new_users();
    panic_now(&server);
    let answer = server.get("/users/me", &server.token(&user));
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (500, "internal"),
        "{}",
        answer.body
    );
    assert!(ready(&server), "nothing else notices");
    assert!(server.terminate().0.success());
}

#[test]
fn a_change_of_settings_that_panics_is_answered() {
    let mut server = start("settings");
    let [user] = server.new_users();
    panic_now(&server);
    let body = json!({"invisible": true}).to_string().into_bytes();
    let mut request = server.request("PATCH", "/users/me/settings", &server.token(&user), body);
    request
        .headers_mut()
        .insert("content-type", "application/json".parse().expect("a header value"));
    let answer = testkit::http::send(request);
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (500, "internal"),
        "{}",
        answer.body
    );
    assert!(server.terminate().0.success());
}
