//! `isOnline` and `lastSeen` follow the connections of a user.

use serde_json::json;
use testkit::Server;

use crate::{on_both_engines, run_checks};

on_both_engines!(follows_the_first_and_the_last_connection: polling, websocket);

fn follows_the_first_and_the_last_connection(server: &Server, transport: &str) {
    let [a, b] = server.new_users();
    run_checks(
        "presence.js",
        &json!({
            "url": server.url(),
            "transport": transport,
            "users": {"a": a, "b": b},
            "tokens": {"a": server.token(&a), "b": server.token(&b)},
        }),
    );
}
