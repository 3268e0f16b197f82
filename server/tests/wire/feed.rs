//! Catching up, receipts, the inbox, presence of others and typing.

use serde_json::json;
use testkit::{Engine, Server};

use super::{on_both_engines, run_checks};

on_both_engines!(catching_up);
on_both_engines!(receipts_and_inbox);
on_both_engines!(presence_of_others_and_typing);
on_both_engines!(pages_of_long_messages);
on_both_engines!(settings_have_versions);
on_both_engines!(rebuilding_is_for_administrators);

fn run(server: &Server, script: &str) {
    let [a, b, c] = server.new_users();
    run_checks(
        script,
        &json!({
            "url": server.url(),
            "users": {"a": a, "b": b, "c": c},
            "tokens": {"a": server.token(&a), "b": server.token(&b), "c": server.token(&c), "admin": server.admin_token()},
        }),
    );
}

fn catching_up(server: &Server) {
    run(server, "sync.js");
}

fn settings_have_versions(server: &Server) {
    run(server, "versions.js");
}

fn pages_of_long_messages(server: &Server) {
    let [me] = server.new_users();
    let peers = server
        .new_users::<30>()
        .map(|id| json!({"token": server.token(&id), "id": id}));
    let argument = json!({"url": server.url(), "me": me, "token": server.token(&me), "peers": peers.as_slice()});
    run_checks("long.js", &argument);
}

/// Only here does every commit move the cursors of live events.
#[test]
fn cursors_of_live_events() {
    run(Server::shared(Engine::Embedded), "cursors.js");
}

fn receipts_and_inbox(server: &Server) {
    run(server, "receipts.js");
}

fn presence_of_others_and_typing(server: &Server) {
    run(server, "watching.js");
}

fn rebuilding_is_for_administrators(server: &Server) {
    let [a] = server.new_users();
    let refused = server.post("/admin/rebuild", &server.token(&a), &json!({}));
    assert_eq!((refused.status, refused.code().as_str()), (403, "forbidden"));
    let begun = server.post("/admin/rebuild", &server.admin_token(), &json!({}));
    assert_eq!(begun.status, 202, "{}", begun.body);
    testkit::process::eventually("it is built", std::time::Duration::from_secs(60), || {
        let inbox = server.get("/readyz", "").json()["inbox"].clone();
        assert_eq!(inbox["ready"], true, "{inbox}");
        (inbox["building"] == false).then_some(())
    });
}
