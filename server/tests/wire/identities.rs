//! Users of another system: `USER_IDS=external` and `AUTO_PROVISION=true`.

use jsonwebtoken::Algorithm::HS256;
use serde_json::{Value, json};
use testkit::server::fresh_database;
use testkit::token::{seconds, sign};
use testkit::{Engine, Server, Setup};

use crate::run_checks;

const ENGINES: [Engine; 2] = [Engine::Embedded, Engine::Mongo];

/// A token with these claims, which holds for an hour.
fn token(server: &Server, mut claims: Value) -> String {
    claims["exp"] = json!(seconds() + 3_600);
    sign(HS256, server.secret(), &claims)
}

fn create(server: &Server, users: &Value) -> Vec<Value> {
    let answer = server.post("/users", &server.admin_token(), &json!({"users": users}));
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["users"].as_array().expect("users").clone()
}

#[test]
fn of_another_system_chat_by_its_ids() {
    for engine in ENGINES {
        let server = Setup::new(engine).env("USER_IDS", "external").start();
        for transport in ["polling", "websocket"] {
            let run = fresh_database();
            // One that looks like an id of this chat; one with all that a path has to escape; one that differs in case.
            let hex = sign(HS256, "x", &json!({"run": run}));
            let hex: String = hex.bytes().rev().take(12).map(|byte| format!("{byte:02x}")).collect();
            let external = [hex, format!("auth0|{run}/é ?#%"), format!("me {run}")];
            let users = json!([
                {"username": format!("a {run}"), "externalId": external[0]},
                {"username": format!("b {run}"), "externalId": external[1]},
                {"username": format!("c {run}"), "externalId": external[2]},
            ]);
            let made = create(&server, &users);
            let of = |index: usize| token(&server, json!({"userId": external[index]}));
            let pair = |index: usize| json!([external[index], made[index]["_id"]]);
            run_checks(
                "external.js",
                &json!({
                    "url": server.url(),
                    "transport": transport,
                    "ids": {"a": pair(0), "b": pair(1), "c": pair(2)},
                    "tokens": {"a": of(0), "b": of(1), "c": of(2)},
                    "foreign": {
                        "nobody": token(&server, json!({"userId": "nobody"})),
                        "by the id here": token(&server, json!({"userId": made[1]["_id"]})),
                    },
                }),
            );
        }
    }
}

#[test]
fn are_created_when_they_come() {
    for engine in ENGINES {
        let server = Setup::new(engine)
            .env("USER_IDS", "external")
            .env("AUTO_PROVISION", "true")
            .start();
        let taken = create(&server, &json!([{"username": "Ada", "externalId": "taken"}]));
        let taken_id = taken[0]["_id"].as_str().expect("an id").to_owned();
        let of = |claims: Value| token(&server, claims);
        for transport in ["polling", "websocket"] {
            let ada = format!("auth0|{transport}");
            run_checks(
                "provisioned.js",
                &json!({
                    "url": server.url(),
                    "transport": transport,
                    "ada": ada,
                    "tokens": {
                        "ada": of(json!({"userId": ada, "name": " Ada ", "picture": "https://example.com/a.png"})),
                        "later": of(json!({"userId": ada, "name": "Ada L.", "picture": "javascript:alert(1)"})),
                        "odd": of(json!({"userId": format!("odd {transport}"), "name": "\u{200b}\n", "picture": 7})),
                        "long": of(json!({"userId": format!("long {transport}"), "name": "é".repeat(1_000)})),
                        "plain": of(json!({"userId": format!("plain {transport}")})),
                    },
                    // Others would reach the user of this id by it.
                    "squatter": of(json!({"userId": taken_id})),
                    "tool": of(json!({"userId": "0".repeat(24)})),
                    "admin": of(json!({"userId": format!("admin {transport}"), "role": "admin"})),
                }),
            );
        }
        assert_eq!(
            server.get("/users/taken", &server.admin_token()).json()["username"],
            "Ada"
        );
    }
}

/// Ids of another system that has the same kind of ids.
#[test]
fn are_created_with_the_ids_that_they_have() {
    for engine in ENGINES {
        let server = Setup::new(engine).env("AUTO_PROVISION", "true").start();
        let id = "6945576383968f286a0ff5f9";
        let answers: Vec<_> = std::thread::scope(|scope| {
            let me = || server.get("/users/me", &token(&server, json!({"userId": id, "name": "Ada"})));
            let asking: Vec<_> = (0..8).map(|_| scope.spawn(me)).collect();
            asking.into_iter().map(|one| one.join().expect("an answer")).collect()
        });
        for answer in answers {
            assert_eq!(answer.status, 200, "{}", answer.body);
            let user = answer.json();
            assert_eq!(
                (&user["_id"], &user["username"], &user["displayName"]),
                (&json!(id), &json!("Ada"), &json!("Ada"))
            );
        }
        let listed = server.get("/users", &server.admin_token()).json();
        assert_eq!(
            listed["users"].as_array().map(Vec::len),
            Some(1),
            "an operator's tool is no user"
        );
    }
}
