//! What strangers see: nothing of who exists, and nothing of what the server is made of. With headers that keep browsers from taking an
//! answer for more than it is.

use serde_json::json;
use testkit::http::Answer;
use testkit::{Engine, Server, Setup, token};

/// An id that nobody has.
const NOBODY: &str = "ffffffffffffffffffffffff";

/// What a stranger could tell apart, with the ids taken out.
fn seen(answer: &Answer, ids: &[&str]) -> (u16, String, Vec<(String, String)>) {
    let body = ids
        .iter()
        .fold(answer.body.clone(), |body, id| body.replace(id, "<id>"));
    (answer.status, body, answer.headers())
}

#[test]
fn who_exists_is_told_to_nobody_without_a_token_of_their_own() {
    for engine in [Engine::Embedded, Engine::Mongo] {
        let server = Server::shared(engine);
        let [a, b, stranger] = server.new_users();
        let garbage = token::user("another secret of thirty-two bytes", &stranger);
        let of_stranger = server.token(&stranger);
        for (method, path, of) in [
            ("GET", "/users/{1}", false),
            ("GET", "/chat/history/{1}/{2}", true),
            ("GET", "/chat/history/{2}/{1}?limit=1", true),
            ("GET", "/chat/history/{1}/{2}?limit=wrong", true),
            ("GET", "/admin/users/{1}/connections", true),
            ("POST", "/admin/users/{1}/ban", true),
            ("POST", "/admin/users/{1}/revoke", true),
        ] {
            let ask = |one: &str, other: &str, token: &str| {
                let path = path.replace("{1}", one).replace("{2}", other);
                let answer = testkit::http::send(server.request(method, &path, token, Vec::new()));
                seen(&answer, &[one, other])
            };
            let mut tokens = vec!["", &*garbage];
            // Whoever has a token may look anybody up by their id, and nothing else.
            tokens.extend(of.then_some(&*of_stranger));
            for token in tokens {
                let exists = ask(&a, &b, token);
                let status = if token == of_stranger { 403 } else { 401 };
                assert_eq!(exists.0, status, "{method} {path}: {exists:?}");
                assert_eq!(ask(NOBODY, &b, token), exists, "{method} {path}");
                assert_eq!(ask(&a, NOBODY, token), exists, "{method} {path}");
            }
        }
        let named = |name: &str| {
            let path = format!("/users?username={name}");
            seen(&server.get(&path, &garbage), &[])
        };
        assert_eq!(named("nobody%20has%20it"), named("user"));
    }
}

#[test]
fn answers_say_what_they_are_and_not_what_made_them() {
    let server = Server::shared(Engine::Embedded);
    let [user] = server.new_users();
    let token = server.token(&user);
    for (method, path, token) in [
        ("GET", "/", ""),
        ("GET", "/healthz", ""),
        ("GET", "/nowhere", ""),
        ("GET", "/users/me", ""),
        ("GET", "/users/me", &token),
        ("DELETE", "/users/me", &token),
        ("GET", &format!("/chat/history/{user}/{user}"), &token),
        ("GET", "/socket.io/?EIO=4&transport=polling", ""),
        ("GET", "/socket.io/?EIO=4&transport=polling&sid=nobody", ""),
        ("OPTIONS", "/users/me", ""),
    ] {
        let mut request = server.request(method, path, token, Vec::new());
        let origin = "https://app.example".parse().expect("a header value");
        request.headers_mut().insert("origin", origin);
        if method == "OPTIONS" {
            let asked = "GET".parse().expect("a header value");
            request.headers_mut().insert("access-control-request-method", asked);
        }
        let answer = testkit::http::send(request);
        let header = |name: &str| Some(answer.header(name)).filter(|value| !value.is_empty());
        let what = format!("{method} {path}: {:?}", answer.headers());
        assert_eq!(header("x-content-type-options"), Some("nosniff"), "{what}");
        assert_eq!(header("referrer-policy"), Some("no-referrer"), "{what}");
        assert_eq!(header("cache-control"), Some("no-store"), "{what}");
        assert!(
            header("content-security-policy").is_some_and(|policy| policy.contains("default-src 'none'")),
            "{what}"
        );
        assert_eq!(
            header("access-control-allow-origin"),
            Some("*"),
            "pages of others read it as before: {what}"
        );
        for name in ["server", "x-powered-by", "strict-transport-security"] {
            assert_eq!(header(name), None, "{what}");
        }
    }
    let about = server.get("/", "").json();
    assert_eq!(about["protocol"], json!(shared::PROTOCOL_VERSION));
    assert!(!about.to_string().contains(env!("CARGO_PKG_VERSION")), "{about}");

    let server = Setup::new(Engine::Embedded).env("HSTS_MAX_AGE", 31_536_000).start();
    let answer = server.get("/healthz", "");
    assert_eq!(answer.header("strict-transport-security"), "max-age=31536000");
}
