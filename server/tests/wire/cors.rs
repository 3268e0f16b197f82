//! Browsers: pages of any origin may connect by default, and only the listed ones where they are listed.

use testkit::{Engine, Server, Setup, http};

fn preflight(server: &Server, path: &str, origin: &str) -> http::Answer {
    let mut request = server.request("OPTIONS", path, "", Vec::new());
    for (name, value) in [
        ("origin", origin),
        ("access-control-request-method", "GET"),
        ("access-control-request-headers", "authorization,content-type"),
    ] {
        request
            .headers_mut()
            .insert(name, value.parse().expect("a header value"));
    }
    http::send(request)
}

fn allowed(answer: &http::Answer, origin: &str) -> bool {
    ["*", origin].contains(&answer.header("access-control-allow-origin"))
}

const HANDSHAKE: &str = "/socket.io/?EIO=4&transport=polling";

#[test]
fn any_origin_is_allowed_by_default() {
    let server = Server::shared(Engine::Embedded);
    let [a] = server.new_users();
    let origin = "https://anywhere.example";
    for path in ["/users/me", HANDSHAKE] {
        let answer = preflight(server, path, origin);
        assert!((200..300).contains(&answer.status), "{path}: {}", answer.status);
        assert!(allowed(&answer, origin), "{path}: {answer:?}");
        let headers = answer.header("access-control-allow-headers").to_lowercase();
        assert!(headers == "*" || headers.contains("content-type"), "{path}: {headers}");
        assert!(
            headers.contains("authorization"),
            "{path}: a star does not cover this one: {headers}"
        );
    }
    for (path, token) in [
        ("/users/me", &*server.token(&a)),
        ("/users/me", ""),
        (HANDSHAKE, ""),
        ("/nothing", ""),
    ] {
        let mut request = server.request("GET", path, token, Vec::new());
        request
            .headers_mut()
            .insert("origin", origin.parse().expect("a header value"));
        assert!(
            allowed(&http::send(request), origin),
            "{path}: a page may read the answer, errors too"
        );
    }
}

#[test]
fn only_listed_origins_are_allowed_where_there_is_a_list() {
    let listed = "https://app.example.com";
    let server = Setup::new(Engine::Embedded)
        .env("CORS_ORIGINS", format!("{listed}, http://localhost:3000"))
        .start();
    for path in ["/users/me", HANDSHAKE] {
        for origin in [listed, "http://localhost:3000"] {
            assert!(allowed(&preflight(&server, path, origin), origin), "{path} {origin}");
        }
        for origin in [
            "https://evil.example",
            "https://app.example.com.evil.example",
            "http://app.example.com",
            "null",
        ] {
            assert!(!allowed(&preflight(&server, path, origin), origin), "{path} {origin}");
            // Browsers don't ask before they open a WebSocket: the server itself has to turn them away.
            let mut handshake = server.request("GET", HANDSHAKE, "", Vec::new());
            let value = origin.parse().expect("a header value");
            handshake.headers_mut().insert("origin", value);
            let answer = http::send(handshake);
            assert_eq!((answer.status, answer.code().as_str()), (403, "forbidden"), "{origin}");
        }
    }
}
