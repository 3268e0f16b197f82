//! Rates: what is done too often is refused with its code and when to try again, each request gets one answer, and nothing is
//! lost by it.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::raw::Raw;
use testkit::{Engine, Server, Setup};

/// A server with its rates on, for which this machine is an address like any other.
fn limited(settings: &[(&str, &str)]) -> Server {
    let setup = Setup::new(Engine::Embedded)
        .env("RATE_LIMITS", "on")
        .env("UNLIMITED_ADDRESSES", "none");
    let set = |setup: Setup, (name, value): &(&str, &str)| setup.env(name, value);
    settings.iter().fold(setup, set).start()
}

/// A connection of a user.
pub(crate) fn connected(server: &Server, user: &str) -> Raw {
    let mut client = Raw::connect(server);
    client.authenticate(&server.token(user));
    client
}

/// Sends an event and asks for an answer of this number.
pub(crate) fn ask(client: &mut Raw, number: usize, event: &str, payload: &Value) {
    let sent = client.say(&format!("42{number}[\"{event}\",{payload}]"));
    sent.expect("it is open");
}

/// The next answer and its number. Events are passed over.
pub(crate) fn answer(client: &mut Raw) -> (usize, Value) {
    loop {
        let text = client.text().expect("the server goes on");
        if let Some(rest) = text.strip_prefix("43") {
            let (number, answer) = rest.split_once('[').expect("an answer is a list");
            let answer = serde_json::from_str(answer.trim_end_matches(']')).expect("an answer is JSON");
            return (number.parse().expect("a number"), answer);
        }
    }
}

pub(crate) fn code(answer: &Value) -> &str {
    answer["error"]["code"].as_str().unwrap_or("ok")
}

fn wait_as_asked(answer: &Value) {
    let pause = answer["error"]["retryAfterMs"].as_u64().expect("it says when");
    assert!(pause > 0);
    sleep(Duration::from_millis(pause));
}

#[test]
fn of_messages_is_told_and_nothing_is_lost_or_stored_twice() {
    let server = limited(&[("RATE_MESSAGES", "40/s:10")]);
    let [ada, bob] = server.new_users();
    let mut client = connected(&server, &ada);
    let message = |number: usize| json!({"receiverId": bob, "message": format!("{number}"), "clientMessageId": format!("id-{number}")});
    let mut refused = 0;
    for number in 0..40 {
        ask(&mut client, number, "send_message", &message(number));
    }
    let mut again: Vec<usize> = Vec::new();
    let mut last = Value::Null;
    for _ in 0..40 {
        let (number, answer) = answer(&mut client);
        if code(&answer) != "ok" {
            assert_eq!(code(&answer), "rate_limited", "{answer}");
            refused += 1;
            again.push(number);
            last = answer;
        }
    }
    assert!((20..=30).contains(&refused), "{refused}");
    for number in again {
        while code(&last) != "ok" {
            wait_as_asked(&last);
            ask(&mut client, number, "send_message", &message(number));
            last = answer(&mut client).1;
        }
        last = json!({"error": {"code": "next", "retryAfterMs": 1}});
    }
    // A message that is stored already is found again, when its turn comes.
    let mut found = json!({"error": {"code": "next", "retryAfterMs": 1}});
    while code(&found) != "ok" {
        wait_as_asked(&found);
        ask(&mut client, 99, "send_message", &message(0));
        found = answer(&mut client).1;
    }
    assert_eq!(found["duplicate"], true, "{found}");
    let texts: Vec<Value> = server
        .history(&ada, &bob)
        .iter()
        .map(|one| one["message"].clone())
        .collect();
    assert_eq!(texts.len(), 40);
    assert!((0..40).all(|number| texts.contains(&json!(number.to_string()))));
}

#[test]
fn of_a_user_are_for_all_connections_and_for_nobody_else() {
    let server = limited(&[
        ("RATE_MESSAGES", "1/h:3"),
        ("RATE_TYPING", "1/h:2"),
        ("RATE_EVENTS", "1/h:4"),
        ("RATE_READS", "1/h:2"),
    ]);
    let [ada, bob] = server.new_users();
    let (mut phone, mut laptop) = (connected(&server, &ada), connected(&server, &ada));
    let mut codes = |event: &str, payload: Value, times: usize| -> Vec<String> {
        let mut codes = Vec::new();
        for number in 0..times {
            let client = if number % 2 == 0 { &mut phone } else { &mut laptop };
            ask(client, number, event, &payload);
            let (answered, answer) = answer(client);
            assert_eq!(answered, number);
            assert_eq!(
                answer["error"]["retryAfterMs"].is_u64(),
                code(&answer) == "rate_limited",
                "{answer}"
            );
            codes.push(code(&answer).to_owned());
        }
        codes
    };
    let message = json!({"receiverId": bob, "message": "x"});
    assert_eq!(
        codes("send_message", message.clone(), 4),
        ["ok", "ok", "ok", "rate_limited"]
    );
    assert_eq!(
        codes("typing", json!({"receiverId": bob, "isTyping": true}), 3),
        ["ok", "ok", "rate_limited"]
    );
    assert_eq!(codes("no_such_event", json!({}), 2), ["unknown_event", "unknown_event"]);
    assert_eq!(codes("update_settings", json!({}), 3), ["ok", "ok", "rate_limited"]);
    // A page is a page, however it is asked for.
    assert_eq!(codes("conversations", json!({}), 1), ["ok"]);
    assert_eq!(server.get("/chat/conversations", &server.token(&ada)).status, 200);
    assert_eq!(codes("sync", json!({}), 1), ["rate_limited"]);
    let mut other = connected(&server, &bob);
    ask(&mut other, 1, "send_message", &message);
    assert_eq!(code(&answer(&mut other).1), "ok");
    // Leaving and coming back changes nothing.
    drop((phone, laptop));
    let mut back = connected(&server, &ada);
    ask(&mut back, 1, "send_message", &message);
    assert_eq!(code(&answer(&mut back).1), "rate_limited");
}

#[test]
fn whoever_asks_for_no_answer_is_told_as_well() {
    let server = limited(&[("RATE_MESSAGES", "1/h:1")]);
    let [ada, bob] = server.new_users();
    let mut client = connected(&server, &ada);
    for id in ["first", "second"] {
        let message = json!({"receiverId": bob, "message": "x", "clientMessageId": id});
        client
            .say(&format!("42[\"send_message\",{message}]"))
            .expect("it is open");
    }
    let failed = loop {
        let text = client.text().expect("the server goes on");
        if text.contains("request_failed") {
            break text;
        }
    };
    assert!(
        failed.contains("rate_limited") && failed.contains("send_message"),
        "{failed}"
    );
}

#[test]
fn a_client_that_goes_on_and_on_gets_each_answer_and_is_read_more_slowly() {
    let server = limited(&[("RATE_MESSAGES", "10/s:100")]);
    let [ada, bob] = server.new_users();
    let mut client = connected(&server, &ada);
    let message = json!({"receiverId": bob, "message": "x"});
    let most = 2_500;
    for number in 0..most {
        ask(&mut client, number, "send_message", &message);
    }
    let mut answered = vec![0; most];
    let mut stored = 0;
    for _ in 0..most {
        let (number, answer) = answer(&mut client);
        answered[number] += 1;
        match code(&answer) {
            "ok" => stored += 1,
            other => assert_eq!(other, "rate_limited", "{answer}"),
        }
    }
    assert!(answered.iter().all(|times| *times == 1));
    assert!((100..1_000).contains(&stored), "{stored}");
    assert_eq!(server.history(&ada, &bob).len(), stored);
    // A polling body of many is answered, too, and whoever else is there is not slowed.
    let mut other = connected(&server, &bob);
    ask(&mut other, 1, "send_message", &message);
    assert_eq!(code(&answer(&mut other).1), "ok");
}

#[test]
fn whoever_is_read_more_slowly_is_so_over_a_new_session_too() {
    let server = limited(&[("RATE_EVENTS", "1/h:1")]);
    let [ada, bob] = server.new_users();
    let address = format!("http://127.0.0.1:{}/socket.io/?EIO=4&transport=polling", server.port());
    let opened = testkit::http::send(http::Request::get(&address).body(Vec::new()).expect("a request"));
    let opened: Value = serde_json::from_str(opened.body[1..].trim()).expect("JSON");
    let address = format!("{address}&sid={}", opened["sid"].as_str().expect("an id"));
    let post = |body: String| {
        let request = http::Request::post(&address).body(body.into_bytes());
        assert_eq!(testkit::http::send(request.expect("a request")).status, 200);
    };
    post(format!("40{}", json!({"token": server.token(&ada)})));
    // All of one body is taken, however many events it holds: 2,000 more than at full speed.
    post(vec!["42[\"x\",{}]"; 3_000].join("\u{1e}"));

    let waits = |user: &str| {
        let mut client = connected(&server, user);
        let begun = Instant::now();
        ask(&mut client, 1, "sync", &json!({}));
        answer(&mut client);
        begun.elapsed()
    };
    assert!(waits(&bob) < Duration::from_millis(900), "nobody else");
    assert!(waits(&ada) > Duration::from_secs(1));
}

#[test]
fn of_reads_is_told_with_429() {
    let server = limited(&[("RATE_READS", "1/h:3")]);
    let [ada, bob] = server.new_users();
    let ask = |user: &str| server.get("/users/me", &server.token(user));
    assert!((0..3).all(|_| ask(&ada).status == 200));
    let refused = ask(&ada);
    assert_eq!(refused.status, 429, "{}", refused.body);
    let error = &refused.json()["error"];
    assert_eq!(error["code"], "rate_limited");
    assert!(
        error["retryAfterMs"].as_u64().is_some_and(|ms| ms > 1_000_000),
        "{error}"
    );
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|text| text.contains("1 in an hour, 3 at once")),
        "{error}"
    );
    let request = server.request("GET", "/users/me", &server.token(&ada), Vec::new());
    assert!(!testkit::http::send(request).header("retry-after").is_empty());
    assert_eq!(ask(&bob).status, 200);
    let admin = server.admin_token();
    assert!(
        (0..20).all(|_| server.get("/users?limit=1", &admin).status == 200),
        "an administrator"
    );
}

#[test]
fn a_quota_is_told_with_its_own_code() {
    let server = limited(&[("MESSAGE_QUOTA", "64KiB/day")]);
    let [ada, bob] = server.new_users();
    let mut client = connected(&server, &ada);
    let message = json!({"receiverId": bob, "message": "x".repeat(16_000)});
    let codes: Vec<String> = (0..6)
        .map(|number| {
            ask(&mut client, number, "send_message", &message);
            let (_, answer) = answer(&mut client);
            assert_eq!(
                answer["error"]["retryAfterMs"].is_u64(),
                code(&answer) != "ok",
                "{answer}"
            );
            code(&answer).to_owned()
        })
        .collect();
    assert_eq!(codes[..4], ["ok"; 4]);
    assert_eq!(codes[4..], ["quota_exceeded"; 2]);
    ask(
        &mut client,
        9,
        "send_message",
        &json!({"receiverId": bob, "message": "short"}),
    );
    assert_eq!(code(&answer(&mut client).1), "ok", "what is left of it can be used");
}

#[test]
fn of_requests_of_an_address_is_told_and_ends_the_connection() {
    let server = limited(&[("RATE_REQUESTS", "1/h:5")]);
    let mut client = Raw::connect(&server);
    for _ in 0..6 {
        // The server was asked once whether it has started, or not at all.
        client
            .get("/users/me", "Origin: https://a.example\r\n")
            .expect("it is open");
        let Some(answer) = client.answer() else { break };
        // Or a page could read neither why nor until when.
        assert!(
            answer.head.to_lowercase().contains("access-control-allow-origin: *"),
            "{}",
            answer.head
        );
        if answer.status == 429 {
            assert!(
                answer.body.contains("\"rate_limited\"") && answer.body.contains("retryAfterMs"),
                "{}",
                answer.body
            );
            assert!(client.is_ended(), "the next one needs another connection");
            return;
        }
        assert_eq!(answer.status, 401);
    }
    panic!("more than five requests were answered");
}

#[test]
fn tokens_are_not_looked_at_after_too_many_bad_ones() {
    let server = limited(&[("RATE_FAILED_TOKENS", "1/h:3")]);
    let [ada] = server.new_users();
    let good = server.token(&ada);
    let mut bad = good.clone();
    bad.replace_range(good.len() - 4.., "AAAA");
    assert_eq!(server.get("/users/me", &good).status, 200);
    // Without a token there is nothing to look at.
    assert!((0..10).all(|_| server.get("/users/me", "").status == 401));
    assert!((0..3).all(|_| server.get("/users/me", &bad).status == 401));
    for token in [&bad, &good] {
        let refused = server.get("/users/me", token);
        assert_eq!(refused.status, 429, "{}", refused.body);
        assert_eq!(refused.json()["error"]["code"], "rate_limited");
    }
    let mut client = Raw::connect(&server);
    client.upgrade();
    client.say(&format!("40{{\"token\":\"{good}\"}}")).expect("it is open");
    let refused = client.text().expect("an answer");
    assert!(
        refused.starts_with("44") && refused.contains("Too many failed tokens"),
        "{refused}"
    );
}

#[test]
fn of_connections_of_an_address_is_kept() {
    let server = limited(&[("MAX_CONNECTIONS_PER_ADDRESS", "3")]);
    let is_served = |client: &mut Raw| client.get("/healthz", "").is_ok() && client.answer().is_some();
    let mut open: Vec<Raw> = (0..3).map(|_| Raw::connect(&server)).collect();
    assert!(open.iter_mut().all(is_served));
    assert!(!is_served(&mut Raw::connect(&server)), "one too many");
    assert!(open.iter_mut().all(is_served), "the others are not disturbed");
    open.pop().expect("three").close();
    testkit::process::eventually("the place is free again", Duration::from_secs(60), || {
        is_served(&mut Raw::connect(&server)).then_some(())
    });
}

#[test]
fn of_new_connections_of_an_address_is_kept() {
    let server = limited(&[("RATE_CONNECTIONS", "1/h:3")]);
    let is_served = |_: &usize| {
        let mut client = Raw::connect(&server);
        client.get("/healthz", "").is_ok() && client.answer().is_some()
    };
    assert_eq!((0..10).filter(is_served).count(), 3);
}

#[test]
fn this_machine_is_not_limited_unless_that_is_asked_for() {
    let server = Setup::new(Engine::Embedded)
        .env("RATE_LIMITS", "on")
        .env("RATE_REQUESTS", "1/h:1")
        .env("RATE_CONNECTIONS", "1/h:1")
        .env("MAX_CONNECTIONS_PER_ADDRESS", 1)
        .start();
    let mut clients: Vec<Raw> = (0..5).map(|_| Raw::connect(&server)).collect();
    assert!(clients.iter_mut().all(|client| {
        client.get("/healthz", "").expect("it is open");
        client.answer().is_some_and(|answer| answer.status == 200)
    }));
}
