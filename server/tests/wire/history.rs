//! Who may read a history, and that a long one comes whole.

use serde_json::{Value, json};
use testkit::{Engine, Server, Setup, node};

use crate::connecting::bad_tokens;
use crate::on_both_engines;

on_both_engines!(is_for_the_two_and_for_administrators);

on_both_engines!(of_thousands_of_messages_comes_whole);

/// Sends `count` messages from one user to another and returns the documents.
pub(crate) fn seed(server: &Server, from: &str, to: &str, count: usize) -> Vec<Value> {
    let argument = json!({"url": server.url(), "token": server.token(from), "receiver": to, "count": count});
    let mut reports = node::run("send.js", &argument);
    assert_eq!(reports.pop(), Some(json!({"done": true})));
    let documents = reports.iter().map(|report| {
        let answer: Value = serde_json::from_str(report["answer"].as_str().expect("a text")).expect("an answer");
        assert_eq!(answer["ok"], true, "{answer}");
        answer["message"].clone()
    });
    documents.collect()
}

fn is_for_the_two_and_for_administrators(server: &Server) {
    let [a, b, c] = server.new_users();
    let documents = seed(server, &a, &b, 3);
    let path = format!("/chat/history/{a}/{b}");
    let whole = server.get(&path, &server.token(&a));
    assert_eq!(whole.status, 200);
    assert_eq!(whole.header("content-type"), "application/json; charset=utf-8");
    assert_eq!(whole.json(), Value::from(documents));

    for (path, token) in [
        (path.clone(), server.token(&b)),
        (path.clone(), server.admin_token()),
        (format!("/chat/history/{b}/{a}"), server.token(&a)),
        (format!("/chat/history/{}/{b}", a.to_uppercase()), server.token(&a)),
    ] {
        let answer = server.get(&path, &token);
        assert_eq!((answer.status, &answer.body), (200, &whole.body), "{path}");
    }
    for path in [
        path.clone(),
        format!("/chat/history/{a}/{a}"),
        format!("{path}?limit=1"),
    ] {
        let answer = server.get(&path, &server.token(&c));
        assert_eq!((answer.status, answer.code().as_str()), (403, "forbidden"), "{path}");
        let answer = server.get(&path, "");
        assert_eq!((answer.status, answer.code().as_str()), (401, "unauthorized"), "{path}");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    let bad = bad_tokens(server, &a);
    for (what, token) in bad.as_object().expect("tokens by name") {
        if what.contains("administrator") {
            continue;
        }
        let answer = server.get(&path, token.as_str().expect("a token"));
        assert_eq!((answer.status, answer.code().as_str()), (401, "unauthorized"), "{what}");
    }
    let mut basic = server.request("GET", &path, "", Vec::new());
    let value = format!("Basic {}", server.token(&a));
    basic
        .headers_mut()
        .insert("authorization", value.parse().expect("a header value"));
    assert_eq!(testkit::http::send(basic).status, 401);
}

fn of_thousands_of_messages_comes_whole(server: &Server) {
    const COUNT: usize = 5_000;
    let [a, b] = server.new_users();
    let documents = seed(server, &a, &b, COUNT);
    assert_eq!(documents.len(), COUNT);
    let history = server.history(&b, &a);
    for (index, (heard, sent)) in history.iter().zip(&documents).enumerate() {
        assert_eq!(heard, sent, "message {index}");
    }
    assert_eq!(history.len(), COUNT);
}

#[test]
fn is_open_to_everyone_where_configured_so() {
    let server = Setup::new(Engine::Embedded).env("LEGACY_OPEN_HISTORY", "true").start();
    let [a, b] = server.new_users();
    let documents = seed(&server, &a, &b, 3);
    for path in [format!("/chat/history/{a}/{b}"), format!("/chat/history/{b}/{a}")] {
        let answer = server.get(&path, "");
        assert_eq!((answer.status, answer.json()), (200, Value::from(documents.clone())));
    }
    assert!(
        server.stderr().contains("LEGACY_OPEN_HISTORY"),
        "every start warns of it"
    );
}
