//! What is written is sent once, also if it was written without a connection; and what can't be sent says why.

use serde_json::{Value, json};
use testkit::process::eventually;
use testkit::{Engine, Server};

use super::device::{Device, TIMEOUT, file, history_of, texts};
use crate::on_both_engines;

on_both_engines!(
    sends_what_was_written_offline,
    says_what_became_of_a_message,
    waits_as_long_as_the_server_says
);

fn sends_what_was_written_offline(engine: Engine) {
    let mut server = Server::start(engine);
    let [me, ada] = server.new_users();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut phone = Device::in_file(&server.url(), server.token(&me), &file(&folder, "phone"));
    let words = texts("offline", 10);
    phone.write(&ada, &words);
    let shown = phone.ask("messages", ada.as_str());
    let states = |shown: &Value, state: &str| {
        shown
            .as_array()
            .expect("a list")
            .iter()
            .all(|one| one["state"] == state)
    };
    assert!(states(&shown, "queued"), "{shown}");
    // Killed before it ever connected; and the server dies while it sends.
    phone.restart();
    server.restart();
    eventually("all is stored", TIMEOUT, || {
        (history_of(&server, &me, &ada).len() >= words.len()).then_some(())
    });
    assert_eq!(history_of(&server, &me, &ada), words);
    let sent = phone.until("messages", ada.as_str(), |shown| states(shown, "sent"));
    let keys = |shown: &Value| {
        shown
            .as_array()
            .expect("a list")
            .iter()
            .map(|one| one["key"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(keys(&sent), keys(&shown), "an app shows the same messages as before");
}

fn says_what_became_of_a_message(engine: Engine) {
    let server = Server::start(engine);
    let [me, ada] = server.new_users();
    let mut phone = Device::new(&server.url(), &[server.token(&me)], "memory").connected();
    let mut other = Device::with(
        json!({"url": server.url(), "tokens": [server.token(&ada)], "store": "memory", "options": {"confirm": false}}),
    )
    .connected();
    phone.complete();
    other.complete();
    phone.write(&ada, &texts("hello", 1));
    let state = |state: &'static str| move |shown: &Value| shown[0]["state"] == state;
    phone.until("messages", ada.as_str(), state("sent"));
    let here = other.until("messages", me.as_str(), |shown| shown[0]["text"] == "hello 0");
    assert_eq!(
        phone.ask("messages", ada.as_str())[0]["state"],
        "sent",
        "nobody said that it was delivered"
    );
    assert_eq!(other.until("unread", Value::Null, |unread| *unread == 1), 1);
    other.ask("delivered", here[0].clone());
    phone.until("messages", ada.as_str(), state("delivered"));
    other.ask("read", me.as_str());
    phone.until("messages", ada.as_str(), state("read"));
    other.until("unread", Value::Null, |unread| *unread == 0);

    // Nobody has this id; nothing that comes after it waits for it.
    let nobody = "ffffffffffffffffffffffff";
    let lost = phone.ask("send", json!({"peer": nobody, "text": "hello"}));
    let failed = phone.until("messages", nobody, state("failed"));
    assert_eq!(failed[0]["error"]["code"], "user_not_found");
    phone.ask("retry", lost["key"].clone());
    phone.until("messages", nobody, state("failed"));
    phone.ask("discard", lost["key"].clone());
    assert_eq!(phone.ask("messages", nobody), json!([]));
    phone.write(&ada, &["x".repeat(20_000), "after it".to_owned()]);
    phone.until("messages", ada.as_str(), |shown| {
        let long = shown
            .as_array()
            .expect("a list")
            .iter()
            .find(|one| one["state"] == "failed");
        long.is_some_and(|long| long["error"]["code"] == "message_too_long")
    });
    eventually("the next one is stored", TIMEOUT, || {
        (history_of(&server, &me, &ada) == ["hello 0", "after it"]).then_some(())
    });
    // What waits is bounded.
    let mut small = Device::with(json!({
        "url": server.url(), "tokens": [server.token(&me)], "store": "memory", "options": {"outbox": {"messages": 2}}
    }));
    small.write(&ada, &texts("fits", 2));
    let more = small.attempt("send", json!({"peer": ada, "text": "one more"}));
    assert_eq!(more, Err("outbox_full".to_owned()));
}

fn waits_as_long_as_the_server_says(engine: Engine) {
    let server = Server::start(engine);
    let [me, ada] = server.new_users();
    let mut phone = Device::new(&server.url(), &[server.token(&me)], "memory").connected();
    // More than a user may send at once.
    let words = texts("hurry", 130);
    phone.write(&ada, &words);
    eventually("all is stored", TIMEOUT, || {
        (history_of(&server, &me, &ada).len() >= words.len()).then_some(())
    });
    assert_eq!(history_of(&server, &me, &ada), words);
}
