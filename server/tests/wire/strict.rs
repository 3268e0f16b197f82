//! HTTP as RFC 9110 and 9112 have it, asked byte for byte: well-behaved clients can't.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;
use testkit::{Engine, Server, http};

/// An answer as it came.
struct Raw {
    status: u16,
    head: String,
    body: String,
}

/// Sends bytes, and reads until the server closes the connection.
fn ask_all(server: &Server, request: &str) -> String {
    let mut connection = TcpStream::connect(("127.0.0.1", server.port())).expect("a connection");
    let timeout = connection.set_read_timeout(Some(Duration::from_secs(60)));
    timeout.expect("a timeout is no zero");
    connection.write_all(request.as_bytes()).expect("it is taken");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("an answer, then its end");
    answer
}

/// The same, for one answer.
fn ask(server: &Server, request: &str) -> Raw {
    let answer = ask_all(server, request);
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    Raw {
        status: head[9..12].parse().expect("a status"),
        head: head.to_lowercase(),
        body: body.to_owned(),
    }
}

/// The code of the error in a body; empty if there is none.
fn code(body: &str) -> String {
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    body["error"]["code"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn requests_are_refused_that_can_be_read_in_two_ways() {
    let server = Server::shared(Engine::Embedded);
    const BODY: &str = "\r\n2\r\n{}\r\n0\r\n\r\n";
    for (head, body, status, expected) in [
        ("GET /healthz HTTP/1.1\r\nHost: x", "\r\n", 200, ""),
        ("GET /healthz HTTP/1.1\r\nHost: chat.example:5000", "\r\n", 200, ""),
        ("GET /healthz HTTP/1.1\r\nHost: [::1]:5000", "\r\n", 200, ""),
        ("GET /healthz HTTP/1.1\r\nHost:", "\r\n", 200, ""),
        ("GET http://x/healthz HTTP/1.1\r\nHost: x", "\r\n", 200, ""),
        ("GET /healthz HTTP/1.0\r\nX: x", "\r\n", 200, ""),
        ("GET /healthz HTTP/1.1\r\nX: x", "\r\n", 400, "invalid_request"),
        ("GET http://x/healthz HTTP/1.1\r\nX: x", "\r\n", 400, "invalid_request"),
        ("OPTIONS /healthz HTTP/1.1\r\nX: x", "\r\n", 400, "invalid_request"),
        (
            "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nX: x",
            "\r\n",
            400,
            "invalid_request",
        ),
        (
            "GET /healthz HTTP/1.1\r\nHost: x\r\nHost: x",
            "\r\n",
            400,
            "invalid_request",
        ),
        (
            "GET /healthz HTTP/1.0\r\nHost: x\r\nHost: y",
            "\r\n",
            400,
            "invalid_request",
        ),
        ("GET /healthz HTTP/1.1\r\nHost: a b", "\r\n", 400, "invalid_request"),
        ("GET /healthz HTTP/1.1\r\nHost: user@x", "\r\n", 400, "invalid_request"),
        ("GET /healthz HTTP/1.1\r\nHost: x/y", "\r\n", 400, "invalid_request"),
        (
            "GET /healthz HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue",
            "\r\n",
            200,
            "",
        ),
        (
            "GET /healthz HTTP/1.1\r\nHost: x\r\nExpect: a-miracle",
            "\r\n",
            417,
            "expectation_failed",
        ),
        (
            "GET /healthz HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nExpect: y",
            "\r\n",
            417,
            "expectation_failed",
        ),
        (
            "POST /users HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked",
            BODY,
            401,
            "unauthorized",
        ),
        (
            "POST /users HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked",
            BODY,
            501,
            "not_implemented",
        ),
        (
            "POST /users HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
            BODY,
            501,
            "not_implemented",
        ),
        (
            "POST /users HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, chunked",
            BODY,
            501,
            "not_implemented",
        ),
        (
            "POST /users HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, gzip",
            BODY,
            400,
            "",
        ),
        (
            "POST /users HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked",
            BODY,
            400,
            "",
        ),
        (
            "POST /users HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2",
            "\r\nxx",
            400,
            "",
        ),
        (
            "POST /users HTTP/1.1\r\nHost: x\r\nContent-Length: +1",
            "\r\nx",
            400,
            "",
        ),
    ] {
        let answer = ask(server, &format!("{head}\r\nConnection: close\r\n{body}"));
        assert_eq!(
            (answer.status, code(&answer.body).as_str()),
            (status, expected),
            "{head}: {}",
            answer.body
        );
    }
}

#[test]
fn nothing_is_taken_for_a_second_request_where_lengths_compete() {
    let server = Server::shared(Engine::Embedded);
    let hidden = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    for head in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Transfer-Encoding: gzip, chunked",
        "Expect: a-miracle\r\nContent-Length: 0",
    ] {
        // The connection is kept by default; whoever waits for its end here sees that it isn't.
        let request = format!("POST /users HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n0\r\n\r\n{hidden}");
        let answer = ask(server, &request);
        assert!(!answer.body.contains("HTTP/1.1"), "{head}: {}", answer.body);
        assert!(answer.head.contains("connection: close"), "{head}: {}", answer.head);
    }
}

#[test]
fn socket_io_has_one_address() {
    let server = Server::shared(Engine::Embedded);
    let get = |path: &str| {
        let mut request = server.request("GET", path, "", Vec::new());
        let origin = "https://anywhere.example".parse().expect("a header value");
        request.headers_mut().insert("origin", origin);
        http::send(request)
    };
    for path in ["/socket.io", "/socket.io/"] {
        let answer = get(&format!("{path}?EIO=4&transport=polling"));
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    }
    for path in [
        "/socket.io/anything",
        "/socket.io//",
        "/socket.io/socket.io/",
        "/socket.ioo/",
        "/socket.io/%2e",
    ] {
        let answer = get(&format!("{path}?EIO=4&transport=polling"));
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (404, "not_found"),
            "{path}: {}",
            answer.body
        );
        assert_eq!(
            answer.header("access-control-allow-origin"),
            "*",
            "{path}: a page may read why"
        );
    }
    let upgrade = "GET /socket.io/anything?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\n\
        Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let mut connection = TcpStream::connect(("127.0.0.1", server.port())).expect("a connection");
    connection.write_all(upgrade.as_bytes()).expect("it is taken");
    let mut status = [0; 12];
    connection.read_exact(&mut status).expect("an answer");
    assert_eq!(&status, b"HTTP/1.1 404");
}

#[test]
fn answers_stay_out_of_caches() {
    let server = Server::shared(Engine::Embedded);
    let [a, b] = server.new_users();
    let (token, admin) = (server.token(&a), server.admin_token());
    let (history, page) = (
        format!("/chat/history/{a}/{b}"),
        format!("/chat/history/{a}/{b}?limit=1"),
    );
    for (path, token) in [
        (history.as_str(), &*token),
        (&page, &token),
        ("/chat/conversations", &token),
        ("/chat/sync", &token),
        ("/users/me", &token),
        ("/users/me/settings", &token),
        ("/users", &admin),
        ("/users/me", ""),
        ("/nothing", ""),
        ("/healthz", ""),
        ("/readyz", ""),
        ("/socket.io/?EIO=4&transport=polling", ""),
    ] {
        let answer = server.get(path, token);
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
    }
}

#[test]
fn what_is_only_asked_about_does_not_wait_to_be_read() {
    let server = Server::start(Engine::Embedded);
    let [user] = server.new_users();
    let token = server.token(&user);
    let mut client = testkit::raw::Raw::connect(&server);
    client.authenticate(&token);
    let text = "x".repeat(16_000);
    for number in 0..15 {
        let message = serde_json::json!(["send_message", { "receiverId": user, "message": text }]);
        client.say(&format!("42{number}{message}")).expect("it is open");
        client.text().expect("an answer");
    }
    let ask = |more: &str| {
        format!(
            "HEAD /chat/history/{user}/{user}?limit=15 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{more}\r\n"
        )
    };
    let answers = ask_all(&server, &[ask("").repeat(19), ask("Connection: close\r\n")].concat());
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 20, "{answers}");
    assert!(answers.contains("content-length: 24"), "{answers}");
}
