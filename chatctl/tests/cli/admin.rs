//! `chatctl admin`: shutting users out, and looking at and ending their connections.

use serde_json::json;

use crate::program::{Script, chatctl};
use crate::{server, users};

#[test]
fn connections_are_listed_and_ended_and_come_back_after_a_revocation() {
    let [(ada, ada_id)] = users(server());
    let none = chatctl(server(), &["admin", "connections", &ada]);
    assert!(none.stderr.contains("has no connections"), "{none:?}");
    let mut watch = Script::run(server(), &["watch", "--as", &ada, "--json"]);
    watch.event_named("connected");

    let listed = chatctl(server(), &["admin", "connections", &ada, "--json"]).json();
    let connection = &listed[0]["connections"][0];
    assert_eq!(connection["transport"], "websocket", "{listed}");
    let id = connection["id"].as_str().unwrap();
    let lines = chatctl(server(), &["admin", "connections", &ada]).output();
    assert!(lines.lines().count() == 2 && lines.contains(id), "{lines}");

    let revoked = chatctl(server(), &["admin", "revoke", &ada, "--json"]).json();
    assert_eq!(revoked["userId"], json!(ada_id), "{revoked}");
    let why = watch.event_named("disconnected")["payload"]["reason"].to_string();
    assert!(why.contains("(token_revoked)"), "{why}");
    watch.event_named("connected");
    let gone = chatctl(server(), &["admin", "disconnect", id]).complaint(1);
    assert!(gone.contains("no connection of this id"), "{gone}");

    let listed = chatctl(server(), &["admin", "connections", &ada, "--json"]).json();
    let id = listed[0]["connections"][0]["id"].as_str().unwrap();
    let ended = chatctl(server(), &["admin", "disconnect", id]).output();
    assert_eq!(ended, format!("disconnected {id}\n"));
    let why = watch.event_named("disconnected")["payload"]["reason"].to_string();
    assert!(why.contains("(disconnected)"), "{why}");
}

#[test]
fn a_ban_is_said_and_lifted() {
    let [(ada, ada_id)] = users(server());
    let banned = chatctl(server(), &["admin", "ban", &ada, "--for", "1h", "--reason", "spam"]).output();
    assert!(
        banned.contains(&ada) && banned.contains("until") && banned.ends_with(": spam\n"),
        "{banned}"
    );
    let listed = chatctl(server(), &["inbox", "--as", &ada]).complaint(1);
    assert!(listed.contains("banned until") && listed.contains("spam"), "{listed}");
    let lifted = chatctl(server(), &["admin", "unban", &ada_id, "--json"]).json();
    assert_eq!(lifted, json!({"userId": ada_id}));
    chatctl(server(), &["inbox", "--as", &ada, "--json"]).json();
    let past = chatctl(server(), &["admin", "ban", &ada, "--until", "2020-01-01T00:00:00Z"]).complaint(1);
    assert!(past.contains("is over"), "{past}");
    let unclear = chatctl(server(), &["admin", "ban", &ada, "--until", "soon"]);
    assert!(unclear.code == 2 && unclear.stderr.contains("RFC 3339"), "{unclear:?}");
}

#[test]
fn the_log_level_is_shown_and_changed_for_a_time() {
    let shown = || chatctl(server(), &["admin", "log-level"]).output();
    let configured = shown();
    let changed = chatctl(
        server(),
        &["admin", "log-level", "warn,server::auth=debug", "--for", "10m"],
    )
    .output();
    assert!(changed.starts_with("warn,server::auth=debug  until "), "{changed}");
    assert_eq!(shown(), changed);
    let wrong = chatctl(server(), &["admin", "log-level", "loud"]).complaint(1);
    assert!(wrong.contains("`loud` is no level"), "{wrong}");
    let back = chatctl(server(), &["admin", "log-level", configured.trim(), "--json"]).json();
    assert_eq!(back[0]["filter"], configured.trim(), "{back}");
    assert_eq!(back[0].get("until"), None, "{back}");
    assert_eq!(shown(), configured);
}
