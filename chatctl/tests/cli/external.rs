//! A server whose users have the ids of another system.

use serde_json::json;
use testkit::{Engine, Server, Setup};

use crate::program::{Script, chatctl};

/// Such a server, and `chatctl` in its folder, which reads the same settings.
fn external() -> Server {
    let server = Setup::new(Engine::Embedded).env("USER_IDS", "external").start();
    std::fs::write(server.folder().join(".env"), "USER_IDS=external\n").expect("the file is written");
    server
}

#[test]
fn users_of_another_system_are_found_by_its_ids() {
    let server = external();
    let seeded = chatctl(
        &server,
        &["seed", "users", "ada", "--external-id", "auth0|7/é?", "--json"],
    )
    .json();
    assert_eq!(seeded[0]["externalId"], "auth0|7/é?");
    chatctl(&server, &["seed", "users", "grace"]).output();
    let listed = chatctl(&server, &["users"]).output();
    assert!(
        listed.contains("  auth0|7/é?") && listed.contains("  grace"),
        "{listed}"
    );

    let mut script = Script::connected(&server, "auth0|7/é?", "grace", &[]);
    script.line("from another system");
    script.close();
    assert_eq!(script.end().0, 0);
    let inbox = chatctl(&server, &["inbox", "--as", "grace", "--json"]).json();
    assert_eq!(inbox[0]["lastMessage"]["message"], "from another system", "{inbox}");
    let history = chatctl(&server, &["history", "auth0|7/é?", "grace"]).output();
    assert!(history.contains("from another system"), "{history}");

    let token = chatctl(&server, &["token", "ada"]).output();
    let me = server.get("/users/me", token.trim()).json();
    assert_eq!(
        (&me["externalId"], &me["_id"]),
        (&json!("auth0|7/é?"), &seeded[0]["_id"])
    );
    let nobody = chatctl(&server, &["inbox", "--as", "me"]).complaint(1);
    assert!(nobody.contains("there is no user \"me\""), "{nobody}");
    let two = chatctl(&server, &["seed", "users", "--external-id", "x"]).complaint(2);
    assert!(two.contains("--external-id"), "{two}");
}
