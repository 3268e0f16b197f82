//! Requests that wait for their turn because their client does not read.

use std::collections::BTreeSet;

use serde_json::json;
use testkit::raw::Raw;
use testkit::{Engine, Server};

use crate::unread::{large, send};

#[test]
fn requests_that_wait_behind_an_unread_answer_are_bounded_in_bytes() {
    const ASKED: usize = 1_000;
    let server = Server::start(Engine::Embedded);
    let [a, b, c] = server.new_users();
    let since = server.get("/chat/sync", &server.token(&a)).json()["next"].clone();
    let mut client = Raw::connect(&server);
    client.authenticate(&server.token(&a));
    assert_eq!(send(&mut client, &b, &large(), 10), 10);
    assert_eq!(send(&mut client, &b, "short", 1), 1);
    drop(client);
    let mut client = Raw::connect(&server);
    client.authenticate(&server.token(&c));
    assert_eq!(send(&mut client, &b, "short", 1), 1);
    drop(client);
    let ask = |client: &mut Raw, user: &str| {
        client.authenticate(&server.token(user));
        // More than the kernel takes of an answer; the others wait until it is read.
        let page = json!(["sync", {"since": since}]);
        let others = (1..ASKED).map(|number| format!("42{number}[\"conversations\",{{}}]"));
        std::iter::once(format!("420{page}"))
            .chain(others)
            .try_for_each(|request| client.say(&request))
    };
    let before = server.resident_bytes();
    let mut stalled: Vec<Raw> = (0..24).map(|_| Raw::narrow(&server)).collect();
    for client in &mut stalled {
        // The pages of all are more than may wait for their user, so some are ended.
        let _ = ask(client, &a);
    }
    // Whoever reads is answered each of them once, be it that it is one too many.
    let mut reader = Raw::connect(&server);
    ask(&mut reader, &c).expect("it is open");
    let mut answered = BTreeSet::new();
    while answered.len() < ASKED {
        let heard = reader.text().expect("it is not ended");
        if let Some((number, _)) = heard.strip_prefix("43").and_then(|answer| answer.split_once('[')) {
            assert!(answered.insert(number.to_owned()), "{number} was answered twice");
        }
    }
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 100 << 20, "{grown} bytes");
    drop(stalled);
}
