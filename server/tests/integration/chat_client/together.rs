//! Two devices of one user, and the two people of a conversation: unread numbers, presence, typing and settings.

use serde_json::{Value, json};
use testkit::{Engine, Server};

use super::device::{Device, texts};
use crate::on_both_engines;

on_both_engines!(two_devices_agree, people_see_each_other);

fn two_devices_agree(engine: Engine) {
    let server = Server::start(engine);
    let [me, ada] = server.new_users();
    let [mut phone, mut page] =
        ["memory", "indexeddb"].map(|store| Device::new(&server.url(), &[server.token(&me)], store).connected());
    let mut other = Device::new(&server.url(), &[server.token(&ada)], "memory").connected();
    other.write(&me, &texts("to both", 3));
    for device in [&mut phone, &mut page] {
        device.until("unread", Value::Null, |unread| *unread == 3);
        device.becomes(&server, &me, &[&ada], 3);
    }
    page.ask("read", ada.as_str());
    for device in [&mut phone, &mut page] {
        device.until("unread", Value::Null, |unread| *unread == 0);
    }
    other.until("messages", me.as_str(), |shown| shown[2]["state"] == "read");
    phone.write(&ada, &texts("from the phone", 2));
    other.becomes(&server, &ada, &[&me], 5);
    page.becomes(&server, &me, &[&ada], 5);
    let list = page.until("conversations", Value::Null, |list| {
        list[0]["lastMessage"]["message"] == "from the phone 1"
    });
    assert_eq!(list[0]["peerId"], ada);
    phone.ask("settings", json!({"readReceipts": false}));
    page.until("settings", Value::Null, |settings| settings["readReceipts"] == false);
}

fn people_see_each_other(engine: Engine) {
    let server = Server::start(engine);
    let [me, ada] = server.new_users();
    let mut phone = Device::new(&server.url(), &[server.token(&me)], "memory").connected();
    let mut other = Device::new(&server.url(), &[server.token(&ada)], "memory").connected();
    phone.complete();
    other.complete();
    assert_eq!(
        phone.attempt("follow", json!([ada])),
        Err("forbidden".to_owned()),
        "strangers"
    );
    other.write(&me, &texts("hello", 1));
    phone.becomes(&server, &me, &[&ada], 1);
    assert_eq!(phone.ask("follow", json!([ada]))[0]["isOnline"], true);
    other.ask("typing", json!({"peer": me, "isTyping": true}));
    phone.until("heard", "typing", |heard| {
        *heard == json!([{"userId": ada, "isTyping": true}])
    });
    other.ask("typing", json!({"peer": me, "isTyping": false}));
    phone.until("heard", "typing", |heard| {
        heard[1] == json!({"userId": ada, "isTyping": false})
    });
    other.kill();
    phone.until("heard", "presence", |heard| {
        let last = heard.as_array().and_then(|heard| heard.last());
        last.is_some_and(|last| last["userId"] == ada && last["isOnline"] == false)
    });
}
