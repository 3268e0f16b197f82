//! Who is shut out: revoked tokens, bans, connections that an administrator ends.

use serde_json::json;
use testkit::{Engine, Server, Setup};

use crate::{on_both_engines, run_checks};

on_both_engines!(users_are_shut_out: polling, websocket);

fn users_are_shut_out(server: &Server, transport: &str) {
    check(server, server, transport);
}

#[test]
fn users_are_shut_out_on_every_node() {
    let one = Server::start(Engine::Mongo);
    let two = Setup::on(one.mongo_uri().expect("it has one")).start();
    check(&one, &two, "websocket");
}

fn check(one: &Server, two: &Server, transport: &str) {
    let [a, b, c, d] = one.new_users();
    run_checks(
        "access.js",
        &json!({
            "urls": {
                "one": one.url(),
                "two": two.url(),
                "administration": one.admin_url(),
                "administrationOfTwo": two.admin_url(),
            },
            "transport": transport,
            "users": {"a": a, "b": b, "c": c, "d": d},
            "secret": one.secret(),
            "admin": one.admin_token(),
        }),
    );
}
