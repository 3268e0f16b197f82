//! Who hears a message, in which words, and that the history holds the same.

use std::collections::BTreeMap;

use serde_json::json;
use testkit::Server;

use crate::{on_both_engines, run_checks};

on_both_engines!(delivers_to_whom_it_concerns_and_nobody_else: polling, websocket, upgrade);

on_both_engines!(a_thousand_messages_without_waiting_keep_their_order: polling, websocket, upgrade);

fn delivers_to_whom_it_concerns_and_nobody_else(server: &Server, transport: &str) {
    let [a, b, c] = server.new_users();
    let reports = run_checks(
        "messages.js",
        &json!({
            "url": server.url(),
            "transport": transport,
            "users": {"a": a, "b": b, "c": c},
            "tokens": {"a": server.token(&a), "b": server.token(&b), "c": server.token(&c)},
        }),
    );
    let mut expected: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for report in &reports {
        let conversation = report["conversation"].as_str().expect("a conversation");
        expected
            .entry(conversation)
            .or_default()
            .push(report["text"].as_str().expect("a document"));
    }
    for (conversation, one, other) in [("a b", &a, &b), ("a a", &a, &a), ("a c", &c, &a)] {
        let answer = server.get(&format!("/chat/history/{one}/{other}"), &server.token(one));
        let documents = expected[conversation].join(",");
        assert_eq!(answer.body, format!("[{documents}]"), "the history of {conversation}");
    }
    let unheard = server.get(&format!("/chat/history/{b}/{c}"), &server.token(&b));
    assert_eq!(unheard.body, "[]");
}

fn a_thousand_messages_without_waiting_keep_their_order(server: &Server, transport: &str) {
    let [a, b, c] = server.new_users();
    let reports = run_checks(
        "burst.js",
        &json!({
            "url": server.url(),
            "transport": transport,
            "users": {"a": a, "b": b, "c": c},
            "tokens": {"a": server.token(&a), "b": server.token(&b), "c": server.token(&c)},
            "count": 1_000,
        }),
    );
    let answer = server.get(&format!("/chat/history/{a}/{b}"), &server.token(&b));
    assert_eq!(answer.body, reports[0]["history"].as_str().expect("a text"));
}
