//! The adapters: what a screen of either kit is given, from a real conversation.

use serde_json::{Value, json};
use testkit::{Engine, Server};

use super::device::{Device, texts};

/// A conversation in which the other side wrote once; both devices of it.
fn conversation() -> (Server, [String; 2], Device, Device) {
    let server = Server::start(Engine::Embedded);
    let [me, ada] = server.new_users();
    let mut phone = Device::new(&server.url(), &[server.token(&me)], "memory").connected();
    let mut other = Device::new(&server.url(), &[server.token(&ada)], "memory").connected();
    other.write(&me, &texts("<b>hello</b>", 1));
    phone.becomes(&server, &me, &[&ada], 1);
    (server, [me, ada], phone, other)
}

#[test]
fn gifted_chat_shows_and_sends() {
    let (_server, [me, ada], mut phone, _other) = conversation();
    let screen = phone.ask("gifted", json!({"peer": ada, "text": "hi"}));
    assert_eq!(screen["user"], json!({"_id": me}));
    let first = &screen["before"][0];
    assert_eq!(
        (&first["text"], &first["user"]),
        (&json!("<b>hello</b> 0"), &json!({"_id": ada, "name": "Ada"}))
    );
    let after = screen["after"].as_array().expect("a list");
    assert_eq!(after.len(), 2);
    // The newest one is first.
    let sent = &after[0];
    assert_eq!((&sent["text"], &sent["user"]), (&json!("hi"), &json!({"_id": me})));
    assert_eq!(
        [&sent["pending"], &sent["sent"], &sent["received"]],
        [&json!(false), &json!(true), &json!(true)]
    );
}

#[test]
fn chatscope_shows_and_sends() {
    let (_server, [_me, ada], mut phone, _other) = conversation();
    phone.until("unread", Value::Null, |unread| *unread == 1);
    let screen = phone.ask("chatscope", json!({"peer": ada, "text": "hi"}));
    assert_eq!(screen["list"][0]["unreadCnt"], 1);
    assert_eq!(screen["list"][0]["info"], "<b>hello</b> 0");
    let [first, sent] = [&screen["after"][0], &screen["after"][1]];
    assert_eq!(first["model"]["direction"], "incoming");
    assert_eq!(
        first["model"]["type"], "text",
        "what somebody wrote is never shown as HTML"
    );
    assert_eq!(
        (&sent["model"]["message"], &sent["footer"]),
        (&json!("hi"), &json!("✓✓"))
    );
    let html = screen["html"].as_str().expect("a text");
    for part in [
        "&lt;b&gt;hello&lt;/b&gt; 0",
        "<div class=\"cs-message__sent-time\">✓✓</div>",
        "cs-conversation__unread",
    ] {
        assert!(html.contains(part), "{part} in {html}");
    }
}
