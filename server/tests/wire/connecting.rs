//! Who is let in.

use jsonwebtoken::Algorithm::{HS256, HS384, HS512};
use jsonwebtoken::Header;
use serde_json::{Value, json};
use testkit::Server;
use testkit::token::{NOBODY, seconds, sign, with_header};

use crate::{on_both_engines, run_checks};

on_both_engines!(lets_in_who_has_a_good_token_and_nobody_else: polling, websocket, upgrade);

fn lets_in_who_has_a_good_token_and_nobody_else(server: &Server, transport: &str) {
    let [user] = server.new_users();
    let claims = json!({"userId": user, "exp": seconds() + 3_600});
    let good = [HS384, HS512].map(|algorithm| sign(algorithm, server.secret(), &claims));
    run_checks(
        "connecting.js",
        &json!({
            "url": server.url(),
            "transport": transport,
            "user": user,
            "token": server.token(&user),
            "good": good,
            "bad": bad_tokens(server, &user),
        }),
    );
}

/// Tokens that must be refused, by what is wrong with them.
pub(crate) fn bad_tokens(server: &Server, user: &str) -> Value {
    let secret = server.secret();
    let now = seconds();
    let claims = json!({"userId": user, "exp": now + 3_600});
    let good = server.token(user);
    let (head, signature) = good.rsplit_once('.').expect("a token has three parts");
    let (_, payload) = head.split_once('.').expect("a token has three parts");
    // {"alg":"none","typ":"JWT"} and {"alg":"RS256","typ":"JWT"}, signed in the ways that have fooled verifiers.
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    let rs256 = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9";
    let mut critical = Header::new(HS256);
    critical.crit = Some(vec!["https://example.com/extension".to_owned()]);
    json!({
        "garbage": "garbage",
        "two dots": "..",
        "alg none without a signature": format!("{none}.{payload}."),
        "alg none with a signature": format!("{none}.{payload}.{signature}"),
        "alg RS256 with an HMAC": format!("{rs256}.{payload}.{signature}"),
        "alg HS384 with another secret": sign(HS384, "another secret of 32 bytes and some more", &claims),
        "another secret": sign(HS256, "another secret of 32 bytes and some more", &claims),
        "an empty secret": sign(HS256, "", &claims),
        "no signature": format!("{head}."),
        "expired": sign(HS256, secret, &json!({"userId": user, "exp": now - 3_600})),
        "exp as a text": sign(HS256, secret, &json!({"userId": user, "exp": (now + 3_600).to_string()})),
        "no exp": sign(HS256, secret, &json!({"userId": user})),
        "not valid yet": sign(HS256, secret, &json!({"userId": user, "exp": now + 7_200, "nbf": now + 3_600})),
        "expired this second": sign(HS256, secret, &json!({"userId": user, "exp": now})),
        "exp in milliseconds": sign(HS256, secret, &json!({"userId": user, "exp": (now + 3_600) * 1_000})),
        "nbf in milliseconds": sign(HS256, secret, &json!({"userId": user, "exp": now + 3_600, "nbf": now * 1_000})),
        "iat in milliseconds": sign(HS256, secret, &json!({"userId": user, "exp": now + 3_600, "iat": now * 1_000})),
        "nbf as a text": sign(HS256, secret, &json!({"userId": user, "exp": now + 3_600, "nbf": now.to_string()})),
        "a critical extension": with_header(&critical, secret, &claims),
        "no userId": sign(HS256, secret, &json!({"exp": now + 3_600})),
        "a userId that is none": sign(HS256, secret, &json!({"userId": "me", "exp": now + 3_600})),
        "a userId that is a number": sign(HS256, secret, &json!({"userId": 7, "exp": now + 3_600})),
        "a user that does not exist": sign(HS256, secret, &json!({"userId": "ffffffffffffffffffffffff", "exp": now + 3_600})),
        "an administrator who is no user": server.admin_token(),
        "nobody": server.token(NOBODY),
    })
}
