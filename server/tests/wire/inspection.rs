//! `GET /admin/doctor` and `GET /admin/trace/{id}`: what administrators are told, and nobody else; never a secret, never a text.

use serde_json::{Value, json};
use testkit::{Server, node};

use crate::on_both_engines;

on_both_engines!(administrators_are_told_how_it_stands);
on_both_engines!(a_message_is_found_by_both_its_names);

/// The answer of administration to an administrator.
fn admin(server: &Server, path: &str) -> Value {
    let answer = server.get(path, &server.admin_token());
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(!answer.body.contains(server.secret()), "{}", answer.body);
    answer.json()
}

fn administrators_are_told_how_it_stands(server: &Server) {
    let told = admin(server, "/admin/doctor");
    assert_eq!(
        (&told["storeReachable"], &told["stopping"]),
        (&json!(true), &json!(false)),
        "{told}"
    );
    assert_eq!(told["store"]["missingIndexes"], json!([]), "{told}");
    assert_eq!(told["tokens"]["ownKeys"], 1, "{told}");
    assert!(
        told["files"]["limit"].as_u64() > told["files"]["open"].as_u64(),
        "{told}"
    );
    let engine = if server.mongo_uri().is_some() {
        "mongodb"
    } else {
        "embedded"
    };
    assert_eq!(told["store"]["engine"], engine, "{told}");
    let [ada] = server.new_users();
    for path in ["/admin/doctor", "/admin/trace/x"] {
        assert_eq!(server.get(path, &server.token(&ada)).status, 403, "{path}");
        assert_eq!(server.get(path, "").status, 401, "{path}");
    }
}

fn a_message_is_found_by_both_its_names(server: &Server) {
    const TEXT: &str = "for two only";
    let [ada, bob] = server.new_users();
    let key = format!("key-of-{ada}");
    let argument = json!({
        "url": server.url(), "token": server.token(&ada), "receiver": bob, "texts": [TEXT], "clientMessageId": key,
    });
    let answer = node::run("send.js", &argument).remove(0);
    let answer: Value = serde_json::from_str(answer["answer"].as_str().expect("a text")).expect("JSON");
    let id = answer["message"]["_id"].as_str().expect("an id");
    for name in [id, &key] {
        let told = admin(server, &format!("/admin/trace/{name}"));
        assert_eq!(
            (&told["messageId"], &told["stored"]["receiver"]),
            (&json!(id), &json!(bob)),
            "{told}"
        );
        let steps = told["steps"].as_array().expect("steps").iter();
        let steps: Vec<&Value> = steps.map(|step| &step["what"]).collect();
        assert_eq!(steps, ["received", "committed", "nobody_here"], "{told}");
        assert!(!told.to_string().contains(TEXT), "{told}");
    }
    // Sent again: stored once, and that is told.
    node::run("send.js", &argument);
    let told = admin(server, &format!("/admin/trace/{id}"));
    assert_eq!(told["steps"][3]["what"], "repeated", "{told}");
    let unknown = admin(server, "/admin/trace/no-such-key");
    assert!(
        unknown["stored"].is_null() && unknown["messageId"].is_null(),
        "{unknown}"
    );
    assert_eq!(unknown["steps"], json!([]), "{unknown}");
}
