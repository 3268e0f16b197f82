//! Tokens as clients send them: what can only be a good one is taken, and the log says why another one is not.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::raw::Raw;
use testkit::server::SECRET;
use testkit::token::{seconds, sign, user};
use testkit::{Engine, Server, Setup};

use crate::{logged, run_checks};

/// Handshakes that are refused, each with the code that the client is sent and a word of the reason, for it and for the log.
fn refused(server: &testkit::Server, id: &str) -> Value {
    let now = seconds();
    let good = server.token(id);
    let (_, rest) = good.split_once('.').expect("a token has three parts");
    // {"alg":"RS256","typ":"JWT"}
    let rs256 = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9";
    json!([
        ["nothing", {}, "token_invalid", "a token is missing"],
        ["another name", {"auth": {"jwt": good}}, "token_invalid", "a token is missing"],
        ["an empty text", {"auth": {"token": " "}}, "token_invalid", "auth.token is empty"],
        ["a number", {"auth": {"token": 7}}, "token_invalid", "auth.token is no text"],
        ["another scheme", {"extraHeaders": {"authorization": format!("Basic {good}")}}, "token_invalid", "Bearer <token>"],
        ["the address", {"query": {"token": good}}, "token_invalid", "ALLOW_QUERY_TOKEN=true"],
        ["garbage", {"auth": {"token": "garbage"}}, "token_invalid", "not a JSON Web Token"],
        ["another secret", {"auth": {"token": user("another secret of thirty-two bytes", id)}}, "token_invalid", "JWT_SECRET"],
        ["another algorithm", {"auth": {"token": format!("{rs256}.{rest}")}}, "token_invalid", "its algorithm (alg)"],
        ["expired", {"auth": {"token": sign(jsonwebtoken::Algorithm::HS256, SECRET, &json!({"userId": id, "exp": now - 60}))}}, "token_expired", "it has expired"],
        ["nobody", {"auth": {"token": server.token("ffffffffffffffffffffffff")}}, "user_unknown", "the token's user does not exist"],
    ])
}

#[test]
fn why_a_handshake_is_refused_is_in_the_log() {
    let server = Setup::new(Engine::Embedded).start();
    let [id] = server.new_users();
    let refused = refused(&server, &id);
    let token = server.token(&id);
    run_checks(
        "handshakes.js",
        &json!({"url": server.url(), "user": id, "refused": refused, "taken": []}),
    );
    for handshake in refused.as_array().expect("a list") {
        let word = match handshake[3].as_str().expect("a word of the reason") {
            // The log says more, to whoever runs the server.
            "the token's user does not exist" => "no user has the token's userId",
            word => word,
        };
        let lines = logged(&server, word);
        let about: Vec<&String> = lines
            .iter()
            .filter(|line| line.contains("connections were refused"))
            .collect();
        assert_eq!(about.len(), 1, "{word}: once a minute: {lines:#?}");
        assert!(about[0].contains("INFO"), "{}", about[0]);
    }
    let signature = token.rsplit('.').next().expect("a token has three parts");
    assert!(!server.stderr().contains(signature), "the log holds no token");
}

#[test]
fn what_can_only_be_a_good_token_is_taken() {
    let server = Setup::new(Engine::Embedded)
        .env("ALLOW_QUERY_TOKEN", "true")
        .env("JWT_SECRET", format!("  {SECRET}\t"))
        .start();
    let [id] = server.new_users();
    let good = server.token(&id);
    let of_role = |role: &Value| {
        let claims = json!({"userId": id, "exp": seconds() + 600, "role": role});
        sign(jsonwebtoken::Algorithm::HS256, SECRET, &claims)
    };
    run_checks(
        "handshakes.js",
        &json!({"url": server.url(), "user": id, "refused": [], "taken": [
            ["with the word of the header", {"auth": {"token": format!("Bearer {good}")}}, ""],
            ["with white space", {"auth": {"token": format!(" {good}\n")}}, ""],
            ["in the address", {"query": {"token": good}}, ""],
            ["of a program that has other roles", {"auth": {"token": of_role(&json!(3))}}, ""],
            ["of a program that has lists of roles", {"auth": {"token": of_role(&json!(["admin", "editor"]))}}, ""],
            ["with protocols of its own", {"auth": {"token": good}, "protocols": ["chat", "v2"]}, ""],
            ["beside a cursor that is a number", {"auth": {"token": good, "since": 7}}, "sync_reset"],
            ["beside a cursor that is an object", {"auth": {"token": good, "since": {"at": 1}}}, "sync_reset"],
            ["beside a cursor that is null", {"auth": {"token": good, "since": null}}, ""],
        ]}),
    );
    assert_eq!(logged(&server, "white space around JWT_SECRET").len(), 1);
    let listed = server.get("/users?limit=1", &of_role(&json!(["admin"])));
    assert_eq!(listed.code(), "forbidden", "only the text makes an administrator");
}

/// Clients of Python give up after that, and would not hear why. On a machine that is busy one of some is enough.
#[test]
fn whoever_is_refused_hears_of_it_within_a_second() {
    let server = Server::shared(Engine::Embedded);
    let soon = (0..5).any(|_| {
        let mut client = Raw::connect(server);
        let session = client.begin_polling();
        let begun = Instant::now();
        client.post(&session, "40{\"token\":\"garbage\"}").expect("it is open");
        assert_eq!(client.answer().expect("an answer").status, 200);
        let mut heard = String::new();
        // A ping can come first.
        while !heard.contains("Authentication error") {
            client.get(&session, "").expect("it is open");
            let answer = client.answer().expect("an answer");
            assert_eq!(answer.status, 200, "{}", answer.body);
            heard += &answer.body;
        }
        begun.elapsed() < Duration::from_secs(1)
    });
    assert!(soon);
}
