//! A server with its limits on: they are named where they are what is measured, and hostile clients meet them.

use testkit::{Engine, Server, Setup};

use crate::{command, for_people, number, run};

/// A server with its limits on, at which a user sends 20 messages a second.
fn limited() -> Server {
    Setup::new(Engine::Embedded).env("RATE_LIMITS", "on").start()
}

#[test]
fn the_limits_of_a_server_are_named_where_they_are_what_is_measured() {
    let server = limited();
    let arguments = "messages --users 2 --inflight 200 --warmup 0s --duration 2s";
    let output = for_people(server.folder(), &server.url(), server.secret(), arguments).output();
    let output = String::from_utf8(output.expect("chatctl can be started").stdout).expect("a text");
    assert!(
        output.contains("rate_limited: ") && output.contains("RATE_LIMITS=off"),
        "{output}"
    );
}

#[test]
fn hostile_clients_are_counted_beside_the_others() {
    let server = limited();
    let arguments = "messages --users 40 --hostile 30% --rate 50 --warmup 1s --duration 4s";
    let report = run(command(server.folder(), &server.url(), server.secret(), arguments), 0);
    assert_eq!(number(&report, "/users"), 28);
    let hostile = &report["hostile"];
    assert_eq!(number(hostile, "/clients"), 12);
    for did in ["/flooded", "/refused", "/unread", "/wrongTokens", "/ended"] {
        assert!(number(hostile, did) > 0, "{did}: {report}");
    }
    assert_eq!(
        report["errors"].get("rate_limited"),
        None,
        "the honest ones are not limited"
    );
}
