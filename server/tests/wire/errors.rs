//! What HTTP answers to requests that make no sense: the one shape of error, never an empty or foreign page.

use serde_json::json;
use testkit::{Engine, Server, http};

#[test]
fn are_told_in_one_shape() {
    let server = Server::shared(Engine::Embedded);
    let [a, b] = server.new_users();
    let (token, admin) = (server.token(&a), server.admin_token());
    for (method, path, token, status, code) in [
        ("GET", "/nothing".to_owned(), "", 404, "not_found"),
        ("GET", "/nothing/here".to_owned(), "", 404, "not_found"),
        ("POST", "/nothing/here".to_owned(), "", 404, "not_found"),
        ("GET", "/%ff%fe".to_owned(), "", 404, "not_found"),
        ("GET", format!("/chat/history/{a}"), &*token, 404, "not_found"),
        ("GET", format!("/chat/history/{a}/{b}/c"), &token, 404, "not_found"),
        (
            "POST",
            format!("/chat/history/{a}/{b}"),
            &token,
            405,
            "method_not_allowed",
        ),
        ("DELETE", format!("/users/{a}"), &admin, 405, "method_not_allowed"),
        ("PUT", "/users".to_owned(), &admin, 405, "method_not_allowed"),
        ("POST", "/healthz".to_owned(), "", 405, "method_not_allowed"),
        ("GET", format!("/chat/history/7/{b}"), &token, 400, "invalid_id"),
        ("GET", format!("/chat/history/{a}/%ff"), &token, 400, "invalid_id"),
        (
            "GET",
            format!("/chat/history/{a}/{b}?before=%ff"),
            &token,
            400,
            "invalid_id",
        ),
    ] {
        let answer = http::send(server.request(method, &path, token, Vec::new()));
        assert_error(&answer, status, code, &format!("{method} {path}"));
        if status == 405 {
            assert!(
                !answer.header("allow").is_empty(),
                "{method} {path} says what is allowed"
            );
        }
    }
}

#[test]
fn in_bodies_are_told_apart() {
    let server = Server::shared(Engine::Embedded);
    let admin = server.admin_token();
    let good = json!({"username": "somebody"}).to_string().into_bytes();
    let large = json!({"usernames": vec!["x".repeat(60); 40_000]})
        .to_string()
        .into_bytes();
    for (what, kind, body, status, code) in [
        ("no body", "application/json", Vec::new(), 400, "invalid_json"),
        (
            "half a body",
            "application/json",
            good[..9].to_vec(),
            400,
            "invalid_json",
        ),
        (
            "no JSON",
            "application/json",
            b"username=somebody".to_vec(),
            400,
            "invalid_json",
        ),
        (
            "no UTF-8",
            "application/json",
            b"{\"username\":\"\xff\"}".to_vec(),
            400,
            "invalid_json",
        ),
        (
            "another shape",
            "application/json",
            b"[1]".to_vec(),
            400,
            "invalid_request",
        ),
        (
            "a form",
            "application/x-www-form-urlencoded",
            good.clone(),
            415,
            "unsupported_media_type",
        ),
        ("plain text", "text/plain", good.clone(), 415, "unsupported_media_type"),
        ("too large", "application/json", large, 413, "payload_too_large"),
    ] {
        let mut request = server.request("POST", "/users", &admin, body);
        request
            .headers_mut()
            .insert("content-type", kind.parse().expect("a header value"));
        // Else the server may close the connection while the client still sends what nobody will read.
        request
            .headers_mut()
            .insert("expect", "100-continue".parse().expect("a header value"));
        assert_error(&http::send(request), status, code, what);
    }
    let bare = http::send(server.request("POST", "/users", &admin, good.clone()));
    assert_error(&bare, 415, "unsupported_media_type", "no content type");

    let mut charset = server.request("POST", "/users", &admin, good);
    let kind = "application/json; charset=utf-8".parse().expect("a header value");
    charset.headers_mut().insert("content-type", kind);
    assert_eq!(http::send(charset).status, 200);
}

fn assert_error(answer: &http::Answer, status: u16, code: &str, what: &str) {
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (status, code),
        "{what}: {}",
        answer.body
    );
    assert_eq!(
        answer.header("content-type"),
        "application/json; charset=utf-8",
        "{what}"
    );
    let body = answer.json();
    assert_eq!(body.as_object().map(|body| body.len()), Some(1), "{what}: {body}");
    assert!(
        body["error"]["message"].as_str().is_some_and(|text| !text.is_empty()),
        "{what}: {body}"
    );
}
