//! The document has every route and every code.

use std::collections::BTreeSet;

use shared::ErrorCode;

use super::super::files::assert_references;
use super::{document, operations};

/// The methods and paths of the routes, read from the text of their table, so that a new one can't be left out here.
fn routes() -> BTreeSet<(String, String)> {
    let text = include_str!("../../routes.rs").replace("&format!(\"{SOCKET_IO}/{{file}}\")", "\"/socket.io/{file}\"");
    let mut routes = BTreeSet::new();
    for one in text.split(".route(").skip(1) {
        let one = one.split_once(")\n").map_or(one, |(route, _)| route);
        let path = one.split('"').nth(1).expect("a route has its path first");
        let handlers = one
            .split_once("\",")
            .map(|(_, handlers)| handlers)
            .expect("then its handlers");
        for method in ["get", "post", "put", "patch", "delete"] {
            if handlers
                .split(|sign: char| !sign.is_alphanumeric() && sign != '(')
                .any(|word| word.starts_with(&format!("{method}(")))
            {
                routes.insert((method.to_owned(), path.to_owned()));
            }
        }
    }
    routes
}

#[test]
fn every_route_is_described_and_no_other() {
    let described: BTreeSet<(String, String)> = operations()
        .iter()
        .map(|one| (one.method.to_owned(), one.path.to_owned()))
        .collect();
    assert!(described.len() >= 20);
    assert_eq!(described, routes());
}

#[test]
fn every_code_is_an_answer_of_some_route_or_only_of_connections() {
    let codes: BTreeSet<&str> = operations()
        .iter()
        .flat_map(|one| one.codes())
        .map(ErrorCode::as_str)
        .collect();
    let all: BTreeSet<&str> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
    // Those of events, of a refused connection, and of what is no route.
    let others = [
        "disconnected",
        "idempotency_conflict",
        "invalid_namespace",
        "message_empty",
        "message_too_long",
        "method_not_allowed",
        "quota_exceeded",
        "token_expired",
        "token_invalid",
        "token_revoked",
        "too_many_connections",
        "unknown_event",
        "user_unknown",
    ];
    let missing: Vec<&str> = all.difference(&codes).copied().collect();
    assert_eq!(missing, others);
}

#[test]
fn every_reference_leads_somewhere() {
    assert_references(&document(), 100);
}
