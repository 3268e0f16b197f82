//! Tokens that end, that are refused, and that are of somebody else.

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use testkit::process::eventually;
use testkit::{Engine, Server, Setup, token};

use super::device::{Device, TIMEOUT, file, texts};
use crate::on_both_engines;

on_both_engines!(goes_on_with_fresh_tokens);

/// A token of a user that ends after so many seconds.
fn ends_in(server: &Server, user: &str, seconds: i64) -> String {
    let now = i64::try_from(token::seconds()).expect("a time of this century");
    token::sign(
        Algorithm::HS256,
        server.secret(),
        &json!({"userId": user, "iat": now - 60, "exp": now + seconds}),
    )
}

fn goes_on_with_fresh_tokens(engine: Engine) {
    let server = Setup::new(engine).env("TOKEN_EXPIRY", "live").start();
    let [me, ada] = server.new_users();
    // The first one has ended, the second one ends soon.
    let end = token::seconds() + 8;
    let tokens = [ends_in(&server, &me, -5), ends_in(&server, &me, 8), server.token(&me)];
    let mut phone = Device::new(&server.url(), &tokens, "memory").connected();
    phone.complete();
    phone.until("status", Value::Null, |status| status["asked"] == 3);
    eventually("the second token has ended", TIMEOUT, || {
        (token::seconds() > end + 1).then_some(())
    });
    phone.write(&ada, &texts("after its end", 1));
    phone.becomes(&server, &me, &[&ada], 1);
    let heard = phone.ask("heard", "status");
    let online = heard
        .as_array()
        .expect("a list")
        .iter()
        .filter(|status| status["complete"] == true);
    assert_eq!(online.count(), 1, "the connection was never lost: {heard}");
}

#[test]
fn is_refused_without_a_good_token_and_of_somebody_else() {
    let server = Server::start(Engine::Embedded);
    let [me, ada] = server.new_users();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let bad = ends_in(&server, &me, -5);
    let mut phone = Device::new(&server.url(), &[bad], "memory").connected();
    let refused = phone.until("status", Value::Null, |status| status["state"] == "refused");
    assert!(refused["asked"].as_u64().is_some_and(|asked| asked <= 4), "{refused}");
    // A good one, and it goes on.
    phone.ask("tokens", json!([server.token(&me)]));
    phone.ask("connect", Value::Null);
    phone.complete();
    // The copy of one user is not given to another.
    let path = file(&folder, "phone");
    let mut first = Device::in_file(&server.url(), server.token(&me), &path).connected();
    first.write(&ada, &texts("mine", 1));
    first.becomes(&server, &me, &[&ada], 1);
    first.kill();
    let mut second = Device::in_file(&server.url(), server.token(&ada), &path).connected();
    let refused = second.until("status", Value::Null, |status| status["state"] == "refused");
    assert_eq!(refused["error"], "other_user");
}
