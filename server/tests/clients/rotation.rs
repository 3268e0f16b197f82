//! Keys that change while the server runs: nobody who is connected notices, and an old key lets nobody in.

use std::fs;
use std::path::Path;

use jsonwebtoken::Algorithm::HS256;
use serde_json::{Value, json};
use testkit::node::Script;
use testkit::process::eventually;
use testkit::token::{seconds, sign};
use testkit::{Engine, Server, Setup};

use crate::provider::Provider;
use crate::{TIMEOUT, logged};

fn is_taken(server: &Server, token: &str) -> bool {
    server.get("/users/me", token).status == 200
}

/// As editors and Kubernetes do it: there is never half a file.
fn replace(path: &Path, text: &str) {
    let draft = path.with_extension("draft");
    fs::write(&draft, text).expect("the folder is writable");
    fs::rename(draft, path).expect("the folder is writable");
}

#[test]
fn secrets_rotate_without_a_restart() {
    let [old, new] = ["old ", "new "].map(|name| name.repeat(12).trim().to_owned());
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("secrets");
    replace(&file, &format!("{old}\n"));
    let server = Setup::new(Engine::Embedded)
        .env("JWT_SECRET", "")
        .env("JWT_SECRET_FILE", file.display())
        .start();
    let admin = sign(
        HS256,
        &old,
        &json!({"userId": "0".repeat(24), "role": "admin", "exp": seconds() + 600}),
    );
    let made = server.post("/users", &admin, &json!({"username": "ada"}));
    let user = made.json()["users"][0]["_id"].clone();
    let token = |secret: &str| sign(HS256, secret, &json!({"userId": user, "exp": seconds() + 600}));
    let [of_old, of_new] = [token(&old), token(&new)];
    assert_eq!((is_taken(&server, &of_old), is_taken(&server, &of_new)), (true, false));
    replace(&file, &format!("{new}\n{old}\n"));
    eventually("the file is read again", TIMEOUT, || {
        is_taken(&server, &of_new).then_some(())
    });
    assert!(is_taken(&server, &of_old), "both are taken");
    // A file that can't be used changes nothing.
    replace(&file, "\n");
    server.signal("HUP");
    logged(&server, "can't be read again");
    assert!(is_taken(&server, &of_new) && is_taken(&server, &of_old));
    replace(&file, &format!("{new}\n"));
    server.signal("HUP");
    eventually("the old one is gone", TIMEOUT, || {
        (!is_taken(&server, &of_old)).then_some(())
    });
    assert!(is_taken(&server, &of_new));
    assert!(!server.stderr().contains("new new"), "the log holds no secret");
}

#[test]
fn several_secrets_of_the_environment_are_taken() {
    let [old, new] = ["old", "new"].map(|name| name.repeat(12));
    let server = Setup::new(Engine::Embedded)
        .env("JWT_SECRET", format!("{new}, {old}"))
        .start();
    let admin = |secret: &str| {
        sign(
            HS256,
            secret,
            &json!({"userId": "0".repeat(24), "role": "admin", "exp": seconds() + 600}),
        )
    };
    for (secret, status) in [
        (&*new, 200),
        (&old, 200),
        (&format!("{new}, {old}"), 200),
        ("new", 401),
        ("", 401),
    ] {
        assert_eq!(server.get("/users?limit=1", &admin(secret)).status, status, "{secret}");
    }
}

/// A key set in a file, and public keys likewise.
#[test]
fn files_of_public_keys_are_read_again() {
    let mut provider = Provider::start(&["ES256", "EdDSA"]);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("keys.pem");
    replace(&file, provider.public["ES256"].as_str().expect("a PEM"));
    let server = Setup::new(Engine::Embedded)
        .env("JWT_PUBLIC_KEY", file.display())
        .start();
    let [user] = server.new_users();
    let [first, second] = ["ES256", "EdDSA"].map(|kid| provider.token(kid, &user));
    assert_eq!((is_taken(&server, &first), is_taken(&server, &second)), (true, false));
    replace(&file, provider.public["EdDSA"].as_str().expect("a PEM"));
    eventually("the file is read again", TIMEOUT, || {
        is_taken(&server, &second).then_some(())
    });
    assert!(!is_taken(&server, &first));
}

#[test]
fn a_rotation_under_load_ends_no_connection_and_lets_nobody_in_by_an_old_key() {
    const ROUNDS: usize = 4;
    let mut provider = Provider::start(&["RS256"]);
    let server = provider.setup().env("JWT_JWKS_REFRESH", "1").start();
    let users: [String; 8] = server.new_users();
    let clients: Vec<Value> = (0..users.len())
        .map(|index| {
            let token = provider.token("RS256", &users[index]);
            json!({"token": token, "receiver": users[(index + 1) % users.len()]})
        })
        .collect();
    let mut script = Script::start("rotation.js", &json!({"url": server.url(), "clients": clients}));
    assert_eq!(script.report().expect("it connects")["ready"], true);
    let mut connects = |token: &str| {
        script.tell(&json!({"token": token}));
        script.report().expect("an answer")["let_in"]
            .as_bool()
            .expect("whether")
    };
    let mut current = "RS256".to_owned();
    for (round, algorithm) in ["ES256", "EdDSA", "PS256", "ES384"]
        .into_iter()
        .enumerate()
        .take(ROUNDS)
    {
        let next = format!("key {round}");
        provider.make(algorithm, &next);
        provider.publish(&[&current, &next]);
        let [of_current, of_next] = [&current, &next].map(|kid| provider.token(kid, &users[0]));
        eventually("the new key is known", TIMEOUT, || {
            is_taken(&server, &of_next).then_some(())
        });
        assert!(
            connects(&of_current) && connects(&of_next),
            "{algorithm}: both are taken"
        );
        provider.publish(&[&next]);
        eventually("the old key is gone", TIMEOUT, || {
            (!is_taken(&server, &of_current)).then_some(())
        });
        for _ in 0..3 {
            assert!(!connects(&of_current), "{algorithm}: the old key lets nobody in");
        }
        assert!(connects(&of_next));
        current = next;
    }
    let reports = script.finish();
    let end = reports
        .iter()
        .find(|report| report["ended"].is_number())
        .expect("a report");
    assert_eq!(end["ended"], 0, "{end}");
    assert_eq!(end["sent"], end["acknowledged"], "{end}");
    assert!(end["sent"].as_u64().is_some_and(|sent| sent > 50), "{end}");
}
