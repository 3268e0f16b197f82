//! Pages and apps of many origins: what is listed may connect however it is written, and what may not is in the log.

use testkit::{Engine, Server, Setup, http};

use crate::logged;

const HANDSHAKE: &str = "/socket.io/?EIO=4&transport=polling";

fn ask(server: &Server, method: &str, path: &str, headers: &[(&'static str, &str)]) -> http::Answer {
    let mut request = server.request(method, path, "", Vec::new());
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().expect("a value"));
    }
    http::send(request)
}

#[test]
fn preflights_are_mirrored_and_cached() {
    let listed = Setup::new(Engine::Embedded)
        .env("CORS_ORIGINS", "https://app.example")
        .start();
    for server in [Server::shared(Engine::Embedded), &listed] {
        for path in ["/users/me", HANDSHAKE] {
            let answer = ask(
                server,
                "OPTIONS",
                path,
                &[
                    ("origin", "https://app.example"),
                    ("access-control-request-method", "GET"),
                    (
                        "access-control-request-headers",
                        "authorization,baggage,x-requested-with",
                    ),
                ],
            );
            assert_eq!(answer.status, 200);
            let allowed = answer.header("access-control-allow-headers");
            assert_eq!(allowed, "authorization,baggage,x-requested-with", "{path}");
            assert_eq!(answer.header("access-control-max-age"), "7200", "{path}");
        }
    }
}

#[test]
fn what_is_meant_may_connect_and_a_refusal_is_said_once() {
    let server = Setup::new(Engine::Embedded)
        .env(
            "CORS_ORIGINS",
            "https://Shop.Example:443, https://*.team.example, http://localhost:*, capacitor://localhost, null",
        )
        .start();
    let own = server.url();
    for origin in [
        "https://shop.example",
        "https://a.team.example",
        "http://localhost:5173",
        "capacitor://localhost",
        "null",
        &own,
    ] {
        assert_eq!(
            ask(&server, "GET", HANDSHAKE, &[("origin", origin)]).status,
            200,
            "{origin}"
        );
        let answer = ask(&server, "GET", "/healthz", &[("origin", origin)]);
        assert_eq!(answer.header("access-control-allow-origin"), origin);
    }
    for origin in ["https://evil.example", "https://team.example", "http://127.0.0.1:1"] {
        for _ in 0..3 {
            let answer = ask(&server, "GET", HANDSHAKE, &[("origin", origin)]);
            assert_eq!((answer.status, answer.code().as_str()), (403, "forbidden"), "{origin}");
            ask(&server, "GET", "/healthz", &[("origin", origin)]);
        }
        assert_eq!(logged(&server, origin).len(), 1, "{origin} is named once");
    }
}

#[test]
fn what_cant_match_is_refused_at_the_start() {
    for wrong in ["https://app.example/", "app.example", "https://*", "wss://app.example"] {
        let folder = tempfile::tempdir().expect("a folder");
        let output = testkit::server::command(folder.path())
            .env("CORS_ORIGINS", wrong)
            .output()
            .expect("it can be started");
        assert_eq!(output.status.code(), Some(2), "{wrong}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(wrong) && said.contains("is not an origin"), "{said}");
    }
}
