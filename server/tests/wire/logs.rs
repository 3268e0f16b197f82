//! Lines of the log as programs read them: documented fields, one id for each connection, its begin and its end, and a level that
//! can be changed.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::process::eventually;
use testkit::raw::Raw;
use testkit::{Engine, Server, Setup, http};

use crate::run_checks;

const LONG: Duration = Duration::from_secs(60);

/// The fields that OPERATIONS lists.
fn documented() -> BTreeSet<String> {
    let path = testkit::workspace().join("server/OPERATIONS.md");
    let text = std::fs::read_to_string(path).expect("OPERATIONS can be read");
    let (_, section) = text.split_once("## Log lines\n").expect("it has this section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let names = rows.filter_map(|row| row.split(" | ").next());
    names
        .flat_map(|cell| cell.split(", ").map(|name| name.trim_matches('`').to_owned()))
        .collect()
}

fn lines(server: &Server) -> Vec<Value> {
    let all = server.stderr() + &server.stdout();
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    all.lines().map(parse).collect()
}

fn put_level(server: &Server, body: &Value) -> http::Answer {
    let mut request = server.request(
        "PUT",
        "/admin/log-level",
        &server.admin_token(),
        body.to_string().into_bytes(),
    );
    let json = "application/json".parse().expect("a header value");
    request.headers_mut().insert("content-type", json);
    http::send(request)
}

/// The id of the one connection of a user.
fn only_connection(server: &Server, user: &str) -> String {
    eventually("it has one connection", LONG, || {
        let answer = server
            .get(&format!("/admin/users/{user}/connections"), &server.admin_token())
            .json();
        let connections = answer["connections"].as_array()?;
        (connections.len() == 1).then(|| connections[0]["id"].as_str().map(str::to_owned))?
    })
}

#[test]
fn of_a_busy_server_have_documented_fields_on_the_embedded_store() {
    have_documented_fields(Engine::Embedded);
}

#[test]
fn of_a_busy_server_have_documented_fields_on_mongodb() {
    have_documented_fields(Engine::Mongo);
}

fn have_documented_fields(engine: Engine) {
    let mut server = Setup::new(engine)
        .env("LOG_LEVEL", "debug")
        .env("LOG_FORMAT", "json")
        .env("RATE_LIMITS", "on")
        .env("RATE_TYPING", "1/m:1")
        .start();
    let [c] = server.new_users();
    for script in ["metrics.js", "presence.js"] {
        let [a, b] = server.new_users();
        run_checks(
            script,
            &json!({
                "url": server.url(),
                "administration": server.admin_url(),
                "transport": "websocket",
                "users": {"a": a, "b": b},
                "tokens": {"a": server.token(&a), "b": server.token(&b)},
                "store": match engine {
                    Engine::Embedded => "embedded",
                    Engine::Mongo => "mongodb",
                },
            }),
        );
    }

    // One that leaves, one that an administrator ends, and one that polls.
    let mut left = Raw::connect(&server);
    left.authenticate(&server.token(&c));
    let left_id = only_connection(&server, &c);
    left.say("421[\"nonsense\"]").expect("it is open");
    assert!(left.text().expect("an answer").contains("unknown_event"));
    left.say("41").expect("it is open");
    eventually("its end is logged", LONG, || {
        let mut all = lines(&server).into_iter();
        all.find(|line| line["message"] == "disconnected" && line["connection"] == *left_id)
    });
    let mut polling = Raw::connect(&server);
    let path = polling.authenticate_polling(&server.token(&c));
    let ended_id = only_connection(&server, &c);
    assert_ne!(left_id, ended_id);
    let ended = server.request(
        "DELETE",
        &format!("/admin/connections/{ended_id}"),
        &server.admin_token(),
        Vec::new(),
    );
    assert_eq!(http::send(ended).status, 200);
    eventually("its end is logged", LONG, || {
        let mut all = lines(&server).into_iter();
        all.find(|line| line["message"] == "disconnected" && line["connection"] == *ended_id)
    });
    assert!(server.terminate().0.success());

    let lines = lines(&server);
    let documented = documented();
    for line in &lines {
        let target = line["target"].as_str().expect("a line has a target");
        let fields = line.as_object().expect("a line is an object");
        for always in ["timestamp", "level", "message", "target"] {
            assert!(fields.contains_key(always), "{line}");
        }
        // Libraries have fields of their own.
        if target == "panic" || target.split("::").next() == Some("server") {
            let unknown: Vec<&String> = fields.keys().filter(|name| !documented.contains(*name)).collect();
            assert!(unknown.is_empty(), "OPERATIONS does not list {unknown:?}: {line}");
        }
    }
    let of = |id: &str| -> Vec<(&str, &str)> {
        let lines = lines.iter().filter(|line| line["connection"] == *id);
        lines
            .map(|line| {
                let what = line["message"].as_str().unwrap_or_default();
                (
                    what,
                    line["reason"].as_str().or(line["code"].as_str()).unwrap_or_default(),
                )
            })
            .collect()
    };
    assert_eq!(
        of(&left_id),
        [
            ("connected", ""),
            ("request: failed", "unknown_event"),
            ("disconnected", "client_left")
        ]
    );
    assert_eq!(
        of(&ended_id),
        [
            ("connected", ""),
            ("connect: a connection is ended", "disconnected"),
            ("disconnected", "disconnected")
        ]
    );
    // Each that began has ended, and is named with its user.
    let count = |what: &str| {
        lines
            .iter()
            .filter(|line| line["message"] == what && line["user"].is_string())
            .count()
    };
    assert!(count("connected") >= 5, "{}", count("connected"));
    assert_eq!(count("connected"), count("disconnected"));
    // By this id anybody could send in the name of the user.
    let session = path.rsplit("sid=").next().expect("a path has it");
    assert!(!server.stderr().contains(session));
}

#[test]
fn are_more_or_fewer_as_an_administrator_says_for_a_time() {
    let server = Setup::new(Engine::Embedded).env("LOG_FORMAT", "json").start();
    let [user] = server.new_users();
    let level = || server.get("/admin/log-level", &server.admin_token());
    assert_eq!(level().json(), json!({"filter": "info", "configured": "info"}));
    let connects = || {
        let mut raw = Raw::connect(&server);
        raw.authenticate(&server.token(&user));
        only_connection(&server, &user)
    };
    let is_logged = |id: &str| lines(&server).iter().any(|line| line["connection"] == *id);

    let quiet = connects();
    let changed = put_level(&server, &json!({"filter": "info,server::transport=debug"}));
    assert_eq!(changed.status, 200, "{}", changed.body);
    assert_eq!(
        changed.json(),
        json!({"filter": "info,server::transport=debug", "configured": "info"})
    );
    eventually("connections are logged", LONG, || {
        let id = connects();
        is_logged(&id).then_some(())
    });
    assert!(!is_logged(&quiet), "what came before is not");

    let changed = put_level(&server, &json!({"filter": "trace", "for": 1}));
    assert_eq!(changed.status, 200, "{}", changed.body);
    assert!(changed.json()["until"].is_string(), "{}", changed.body);
    eventually("it is as configured by itself", LONG, || {
        (level().json() == json!({"filter": "info", "configured": "info"})).then_some(())
    });
    let quiet = connects();
    server.get("/healthz", "");
    assert!(!is_logged(&quiet));

    for (wrong, named) in [
        (json!({"filter": "loud"}), "`loud` is no level"),
        (json!({"filter": "info", "for": 0}), "for: 1 to 604800"),
        (json!({"filter": "info", "for": 604_801}), "for: 1 to 604800"),
        (json!({"level": "info"}), "level"),
        (json!({"filter": "x".repeat(2_000)}), "at most 1000 bytes"),
    ] {
        let refused = put_level(&server, &wrong);
        assert_eq!(
            (refused.status, refused.code()),
            (400, "invalid_request".to_owned()),
            "{wrong}"
        );
        assert!(refused.body.contains(named), "{wrong}: {}", refused.body);
        assert!(refused.body.len() < 600, "{}", refused.body);
    }
    let elsewhere = format!("{}/admin/log-level", server.url());
    let asked = ::http::Request::get(elsewhere).header("authorization", format!("Bearer {}", server.admin_token()));
    assert_eq!(
        http::send(asked.body(Vec::new()).expect("a request")).code(),
        "not_found"
    );
    assert_eq!(server.get("/admin/log-level", &server.token(&user)).code(), "forbidden");
    assert_eq!(level().json(), json!({"filter": "info", "configured": "info"}));
}
