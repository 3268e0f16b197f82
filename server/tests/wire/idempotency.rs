//! The same `clientMessageId` yields the same message, also after a restart.

use serde_json::{Value, json};
use testkit::{Engine, Server, node};

#[test]
fn is_kept_across_a_restart_embedded() {
    is_kept_across_a_restart(Engine::Embedded);
}

#[test]
fn is_kept_across_a_restart_mongo() {
    is_kept_across_a_restart(Engine::Mongo);
}

fn is_kept_across_a_restart(engine: Engine) {
    let mut server = Server::start(engine);
    let [a, b] = server.new_users();
    let send = |server: &Server, message: &str| {
        let argument = json!({
            "url": server.url(),
            "token": server.token(&a),
            "receiver": b,
            "texts": [message],
            "clientMessageId": "0192b6c4-7a3e-7cc0-8000-000000000001",
        });
        let answer = &node::run("send.js", &argument)[0]["answer"];
        serde_json::from_str::<Value>(answer.as_str().expect("a text")).expect("an answer")
    };
    let first = send(&server, "once");
    assert_eq!(first["duplicate"], false);

    for stop in [Server::kill, |server: &mut Server| {
        assert!(server.terminate().0.success())
    }] {
        stop(&mut server);
        server.restart();
        let again = send(&server, "once");
        assert_eq!(
            again,
            json!({"ok": true, "message": first["message"], "duplicate": true})
        );
        let other = send(&server, "twice");
        assert_eq!(other["error"]["code"], "idempotency_conflict");
        assert_eq!(server.history(&a, &b), [first["message"].clone()]);
    }
}
