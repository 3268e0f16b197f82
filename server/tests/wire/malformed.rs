//! Every payload gets its answer, and nothing dies of it.

use serde_json::json;
use testkit::Server;

use crate::{on_both_engines, run_checks};

on_both_engines!(every_payload_is_answered: polling, websocket);

fn every_payload_is_answered(server: &Server, transport: &str) {
    let [a, b] = server.new_users();
    let pid = server.pid();
    run_checks(
        "malformed.js",
        &json!({
            "url": server.url(),
            "transport": transport,
            "users": {"a": a, "b": b},
            "tokens": {"a": server.token(&a), "b": server.token(&b)},
            "nobody": "ffffffffffffffffffffffff",
            "limit": 16_384,
        }),
    );
    assert_eq!(server.get("/readyz", "").status, 200, "process {pid} is well");
}
