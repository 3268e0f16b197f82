//! The copy is exact: through a bad network, restarts of server and device, more than is pushed, and another state of the database.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::node::Script;
use testkit::process::eventually;
use testkit::proxy::{Direction, Link, Proxy};
use testkit::{Engine, Server, Setup};

use super::device::{Device, TIMEOUT, file, history_of, texts};
use crate::on_both_engines;

/// More than what is pushed to a client that connects: the rest it must ask for.
const MANY: usize = shared::limits::MAX_SYNC_PUSH + 300;
/// Messages of one sender in a round.
const ROUND: usize = 60;

on_both_engines!(
    stays_exact_through_a_bad_network_and_restarts,
    has_what_was_there_before_and_more_than_is_pushed
);

fn unlimited(engine: Engine) -> Server {
    Setup::new(engine).env("RATE_LIMITS", "off").start()
}

fn stays_exact_through_a_bad_network_and_restarts(engine: Engine) {
    let mut server = unlimited(engine);
    let [me, ada, bob] = server.new_users();
    let network = Proxy::to(server.port());
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let token = server.token(&me);
    let mut phone = Device::in_file(&network.url(), token.clone(), &file(&folder, "phone")).connected();
    let mut page = Device::new(&network.url(), &[token], "indexeddb").connected();
    let mut other = Device::new(&network.url(), &[server.token(&ada)], "memory").connected();
    let mut written: [Vec<String>; 3] = Default::default();
    for round in 0..4 {
        let words = ["phone", "page", "other"].map(|name| texts(&format!("{name} {round}"), ROUND));
        phone.write(&ada, &words[0]);
        page.write(&bob, &words[1]);
        other.write(&me, &words[2]);
        for (all, new) in written.iter_mut().zip(words) {
            all.extend(new);
        }
        match round {
            0 => network.set(Link::Delay {
                fixed: Duration::from_millis(20),
                jitter: Duration::from_millis(60),
            }),
            1 => network.set(Link::Swallow(Direction::ToClient)),
            _ => network.set(Link::Reset),
        }
        // Until something is under way, and something is lost.
        let (tried, lost) = (network.attempts(), network.swallowed());
        eventually("a bad network", TIMEOUT, || match round {
            0 => (history_of(&server, &me, &ada).len() > 1).then_some(()),
            1 => (network.swallowed() > lost).then_some(()),
            _ => (network.attempts() > tried).then_some(()),
        });
        network.cut();
        if round > 0 {
            server.restart();
            phone.restart();
        }
        network.heal();
        network.cut();
    }
    for (texts, (sender, receiver)) in written.iter().zip([(&me, &ada), (&me, &bob), (&ada, &me)]) {
        eventually("all that was written is stored", TIMEOUT, || {
            (history_of(&server, sender, receiver).len() >= texts.len()).then_some(())
        });
        assert_eq!(
            &history_of(&server, sender, receiver),
            texts,
            "each once, in the order of writing"
        );
    }
    for device in [&mut phone, &mut page] {
        device.complete();
        device.becomes(&server, &me, &[&ada, &bob], 3 * 4 * ROUND);
    }
    other.becomes(&server, &ada, &[&me], 2 * 4 * ROUND);
    // Nothing but the file is needed.
    phone.restart();
    phone.becomes(&server, &me, &[&ada, &bob], 3 * 4 * ROUND);
}

fn has_what_was_there_before_and_more_than_is_pushed(engine: Engine) {
    let server = unlimited(engine);
    let [me, ada, bob] = server.new_users();
    // More than a page of history, and a note to oneself.
    send(&server, &ada, &me, 450);
    send(&server, &me, &me, 1);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut phone = Device::in_file(&server.url(), server.token(&me), &file(&folder, "phone")).connected();
    phone.becomes(&server, &me, &[&ada, &me], 451);
    assert_eq!(phone.until("unread", Value::Null, |unread| *unread == 450), 450);

    phone.kill();
    send(&server, &bob, &me, MANY);
    send(&server, &me, &ada, 1);
    phone.restart();
    phone.becomes(&server, &me, &[&ada, &bob, &me], 452 + MANY);
    // That stands for so many or more; and who has answered has read.
    phone.until("unread", Value::Null, |unread| *unread == shared::limits::MAX_UNREAD);

    // Pages of the copy; a part of the history only, and the rest when it is asked for.
    let last = |value: &Value, number: usize| value[number]["text"].clone();
    let newest = phone.ask("page", json!({"peer": bob, "limit": 100}));
    let before = phone.ask("page", json!({"peer": bob, "limit": 100, "before": newest[0]}));
    assert_eq!(before.as_array().map(Vec::len), Some(100));
    let all = phone.ask("messages", bob.as_str());
    assert_eq!(
        (last(&before, 0), last(&before, 99)),
        (last(&all, MANY - 200), last(&all, MANY - 101))
    );
    let mut part = Device::with(
        json!({"url": server.url(), "tokens": [server.token(&me)], "store": "memory", "options": {"history": 20}}),
    )
    .connected();
    part.until("copy", Value::Null, |copy| {
        copy.as_array().is_some_and(|copy| copy.len() == 20 + 20 + 1)
    });
    let older = part.ask("page", json!({"peer": bob, "limit": 300}));
    assert_eq!(older.as_array().map(Vec::len), Some(300));
    assert_eq!(last(&older, 0), last(&all, MANY - 300));
}

#[test]
fn begins_anew_with_an_older_state_of_the_database() {
    let mut server = unlimited(Engine::Embedded);
    let [me, ada] = server.new_users();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (data, backup) = (server.folder().join("data"), folder.path().join("backup"));
    send(&server, &ada, &me, 5);
    server.terminate();
    copy(&data, &backup);
    server.restart();
    let mut phone = Device::in_file(&server.url(), server.token(&me), &file(&folder, "phone")).connected();
    // So that these come with cursors, which are then beyond the state that comes back.
    phone.complete();
    send(&server, &ada, &me, 50);
    phone.becomes(&server, &me, &[&ada], 55);

    server.terminate();
    std::fs::remove_dir_all(&data).expect("the data can be removed");
    copy(&backup, &data);
    // Written while nobody is there; it is not lost with the copy.
    phone.write(&ada, &texts("kept", 3));
    server.restart();
    phone.until("heard", "reset", |heard| {
        heard.as_array().is_some_and(|heard| !heard.is_empty())
    });
    eventually("what was written is stored", TIMEOUT, || {
        (history_of(&server, &me, &ada).len() == 3).then_some(())
    });
    phone.complete();
    let expected = server.history(&me, &ada);
    phone.until("copy", Value::Null, |copy| *copy == Value::from(expected.clone()));
}

#[test]
fn skips_nothing_when_its_store_fails() {
    let server = unlimited(Engine::Embedded);
    let [me, ada] = server.new_users();
    let mut phone = Device::new(&server.url(), &[server.token(&me)], "full").connected();
    phone.complete();
    phone.ask("full", true);
    send(&server, &ada, &me, 3);
    let refused = phone.until("status", Value::Null, |status| status["state"] == "refused");
    assert_eq!(refused["error"], "store");
    assert!(
        phone
            .attempt("send", json!({"peer": ada, "text": "nowhere to keep it"}))
            .is_err()
    );
    phone.ask("full", false);
    phone.ask("connect", Value::Null);
    phone.becomes(&server, &me, &[&ada], 3);
}

/// Sends so many messages from one user to another with the stock client.
fn send(server: &Server, from: &str, to: &str, count: usize) {
    let argument = json!({"url": server.url(), "token": server.token(from), "receiver": to, "count": count});
    Script::start("send.js", &argument).finish();
}

/// Copies a folder of files.
fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).expect("it can be made");
    for entry in std::fs::read_dir(from).expect("it is a folder") {
        let entry = entry.expect("it can be listed");
        if entry.file_type().expect("it is a file").is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).expect("it can be copied");
        }
    }
}
