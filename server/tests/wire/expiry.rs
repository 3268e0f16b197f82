//! Tokens that end while their connection is open.

use serde_json::json;
use testkit::{Engine, Server, Setup};

use crate::{on_both_engines, run_checks};

on_both_engines!(tokens_are_looked_at_when_connecting_only_unless_it_is_said: polling, websocket);

fn tokens_are_looked_at_when_connecting_only_unless_it_is_said(server: &Server, transport: &str) {
    check(server, "connect", transport);
}

#[test]
fn connections_end_with_their_tokens_or_go_on_with_others() {
    for engine in [Engine::Embedded, Engine::Mongo] {
        let server = Setup::new(engine).env("TOKEN_EXPIRY", "live").start();
        for transport in ["websocket", "polling"] {
            check(&server, "live", transport);
        }
    }
}

fn check(server: &Server, expiry: &str, transport: &str) {
    let [a, b] = server.new_users();
    run_checks(
        "expiry.js",
        &json!({
            "url": server.url(),
            "transport": transport,
            "expiry": expiry,
            "users": {"a": a, "b": b},
            "secret": server.secret(),
        }),
    );
}
