//! Inputs that are wrong, each with the code that it has to get: more than 200 of them, in tables by where they arrive. The stock
//! client, a plain WebSocket and plain HTTP send them; none is passed over in silence, and afterwards the server is as it was.

mod events;
mod handshakes;
mod requests;
mod settings;
mod tokens;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::process::eventually;
use testkit::server::command;
use testkit::{Engine, Server, http, node};

use crate::history::seed;

/// What a part of a row is, in the order in which rows have them: the input, then what it has to get.
fn split(table: &Value) -> Vec<(Value, String)> {
    let rows = table.as_array().expect("a table").iter();
    rows.map(|row| {
        let (expected, input) = row.as_array().expect("a row").split_last().expect("columns");
        let expected = expected.as_str().map_or_else(|| expected.to_string(), str::to_owned);
        (Value::from(input), expected)
    })
    .collect()
}

/// Whether this is what was expected; some things are called in one way or another.
fn fits(expected: &str, got: &str) -> bool {
    expected.split('|').any(|one| one == got)
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What the clients of the script were answered that they should not have been, and how many answers there were.
fn through_clients(server: &Server, a: &str, b: &str) -> (usize, Vec<String>) {
    let [stranger] = server.new_users();
    let token = server.token(a);
    let tables = BTreeMap::from([
        ("events", split(&events::all(b, &stranger))),
        ("options", split(&handshakes::options(&server.url(), &token))),
        ("handshakes", split(&handshakes::requests())),
        ("packets", split(&handshakes::packets())),
        ("tokens", split(&tokens::all(server, a))),
    ]);
    let mut argument = json!({"url": server.url(), "token": token});
    for (part, table) in &tables {
        argument[part] = table.iter().map(|(input, _)| input.clone()).collect();
    }
    let mut reports = node::run("bad_inputs.js", &argument);
    assert_eq!(reports.pop(), Some(json!({"done": true})));
    let mut wrong = Vec::new();
    let mut answered: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for report in &reports {
        let (part, by) = (report["part"].as_str().expect("a part"), &report["by"]);
        let row = usize::try_from(report["row"].as_u64().expect("a row")).expect("a small number");
        let got = text(&report["got"]);
        if part == "good" {
            assert_eq!(got, "true", "what is right, beside it: {by}");
            continue;
        }
        answered.entry(part).or_default().push(row);
        let (input, expected) = match part {
            "http" => &tables["tokens"][row],
            part => &tables[part][row],
        };
        let expected = match (part, &*text(&input[0])) {
            // An operator's tool may name a user who does not exist.
            ("http", "an administrator who is no user") => "404 user_not_found",
            ("http", _) => "401 unauthorized",
            _ => expected,
        };
        if !fits(expected, &got) {
            let input = input.to_string();
            wrong.push(format!("{part}, by {by}: {input:.120} got {got}, not {expected}"));
        }
    }
    for (part, table) in &tables {
        let rows = answered.get(part).map(Vec::as_slice).unwrap_or_default();
        assert!(
            (0..table.len()).all(|row| rows.contains(&row)),
            "{part}: all were tried"
        );
    }
    (reports.len(), wrong)
}

fn over_http(server: &Server, a: &str, b: &str, message: &str) -> (usize, Vec<String>) {
    let [other] = server.new_users();
    let table = requests::all(a, b, message);
    let rows = table.as_array().expect("a table");
    let mut wrong = Vec::new();
    for row in rows {
        let (method, path) = (text(&row[0]), text(&row[1]));
        let token = match row[2].as_str() {
            Some("user") => server.token(a),
            Some("other") => server.token(&other),
            Some("admin") => server.admin_token(),
            _ => String::new(),
        };
        let body = match &row[3] {
            Value::Null => None,
            body => Some(text(body).into_bytes()),
        };
        let is_json = body.is_some();
        let mut request = server.request(&method, &path, &token, body.unwrap_or_default());
        if is_json {
            let json = "application/json".parse().expect("a header value");
            request.headers_mut().insert("content-type", json);
        }
        let answer = http::send(request);
        let got = (answer.status, answer.code());
        if row[4] != got.0 || !fits(&text(&row[5]), &got.1) {
            let body = row[3].to_string();
            wrong.push(format!(
                "{method} {path:.80} {body:.80}: {got:?}, not {} {}",
                row[4], row[5]
            ));
        }
    }
    (rows.len(), wrong)
}

#[test]
fn each_gets_its_code_on_the_embedded_store() {
    each_gets_its_code(Engine::Embedded);
}

#[test]
fn each_gets_its_code_on_mongodb() {
    each_gets_its_code(Engine::Mongo);
}

fn each_gets_its_code(engine: Engine) {
    let mut server = Server::start(engine);
    let [a, b] = server.new_users();
    let message = seed(&server, &a, &b, 1)[0]["_id"].as_str().expect("an id").to_owned();
    let history = server.history(&a, &b);
    let connections = |user: &str| {
        let path = format!("/admin/users/{user}/connections");
        let answer = server.get(&path, &server.admin_token()).json();
        answer["connections"].as_array().expect("a list").len()
    };
    let files = server.open_files();

    let (by_clients, mut wrong) = through_clients(&server, &a, &b);
    let (by_http, more) = over_http(&server, &a, &b, &message);
    wrong.extend(more);
    let count = wrong.len();
    let tried = by_clients + by_http;
    assert!(wrong.is_empty(), "{count} of {tried}:\n{}", wrong.join("\n"));

    eventually("every connection is given back", Duration::from_secs(60), || {
        (connections(&a) == 0 && server.open_files() <= files).then_some(())
    });
    assert_eq!(server.history(&a, &b), history, "nothing was stored");
    assert_eq!(seed(&server, &a, &b, 2).len(), 2, "it serves as before");
    let log = server.stderr();
    for word in ["panic", "ERROR"] {
        assert!(!log.contains(word), "{word}: {log}");
    }
    assert!(server.terminate().0.success());
}

#[test]
fn there_are_more_than_two_hundred() {
    let count = |table: Value| table.as_array().expect("a table").len();
    let counts = [
        count(events::all("", "")),
        count(handshakes::options("", "")),
        count(handshakes::requests()),
        count(handshakes::packets()),
        count(requests::all("", "", "")),
        settings::ALL.len(),
    ];
    assert!(counts.iter().sum::<usize>() > 200, "{counts:?}");
}

#[test]
fn each_setting_that_makes_no_sense_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut values: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, value) in settings::ALL {
        values.entry(name).or_default().push(value);
    }
    let mut wrong = Vec::new();
    let rounds = values.values().map(Vec::len).max().unwrap_or_default();
    for round in 0..rounds {
        let now: Vec<(&str, &str)> = values
            .iter()
            .filter_map(|(name, values)| Some((*name, *values.get(round)?)))
            .collect();
        let output = command(folder.path())
            .arg("--check-config")
            .envs(now.iter().copied())
            .output();
        let output = output.expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{now:?}: {said}");
        assert!(!said.contains("hunter2") && !said.contains("panic"), "{said}");
        let problems: Vec<&str> = said.lines().filter(|line| line.contains(" is wrong")).collect();
        for (name, value) in &now {
            let named = |line: &&str| {
                line.contains(&format!("{name}={value} is wrong")) || line.contains(&format!("{name} is wrong"))
            };
            let count = problems.iter().copied().filter(named).count();
            if count != 1 {
                wrong.push(format!("{name}={value} is named {count} times: {said}"));
            }
        }
        assert_eq!(problems.len(), now.len(), "nothing else is wrong: {said}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let left = std::fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(left, 0, "nothing was begun");
}
