//! Tokens that are refused, beside those of `connecting.rs`: a name, the token, and the code.

use jsonwebtoken::Algorithm::{HS256, HS512};
use jsonwebtoken::Header;
use serde_json::{Value, json};
use testkit::Server;
use testkit::token::{seconds, sign, with_header};

use crate::connecting::bad_tokens;

/// The code of one of `bad_tokens`, by its name.
fn code(name: &str) -> &'static str {
    match name {
        "expired" | "expired this second" => "token_expired",
        "a user that does not exist" | "an administrator who is no user" | "nobody" => "user_unknown",
        _ => "token_invalid",
    }
}

pub(crate) fn all(server: &Server, user: &str) -> Value {
    let (secret, now) = (server.secret(), seconds());
    let exp = now + 3_600;
    let signed = |claims: Value| sign(HS256, secret, &claims);
    let typed = |typ: &str| {
        let header = Header {
            typ: Some(typ.to_owned()),
            ..Header::new(HS256)
        };
        with_header(&header, secret, &json!({"userId": {}, "exp": exp}))
    };
    let good = server.token(user);
    let parts: Vec<&str> = good.split('.').collect();
    let [head, payload, signature] = parts[..] else {
        panic!("a token has three parts")
    };
    let known = bad_tokens(server, user);
    let known = known.as_object().expect("by their names");
    let mut rows: Vec<Value> = known
        .iter()
        .map(|(name, token)| json!([name, token, code(name)]))
        .collect();
    let more = json!([
        ["one part", head, "token_invalid"],
        ["two parts", format!("{head}.{payload}"), "token_invalid"],
        ["four parts", format!("{good}.{signature}"), "token_invalid"],
        ["parts in another order", format!("{payload}.{head}.{signature}"), "token_invalid"],
        ["half a signature", &good[..good.len() - 20], "token_invalid"],
        ["another's claims under this signature", format!("{head}.{}.{signature}", server.token("ffffffffffffffffffffffff").split('.').nth(1).expect("claims")), "token_invalid"],
        ["padding", format!("{head}=.{payload}=.{signature}="), "token_invalid"],
        ["claims that are no base64", format!("{head}.***.{signature}"), "token_invalid"],
        ["100,000 letters", {"$times": [12_000, "a"]}, "token_invalid"],
        ["12,000 dots", {"$times": [12_000, "."]}, "token_invalid"],
        ["claims that are a list", signed(json!([user])), "token_invalid"],
        ["claims that are a text", signed(json!(user)), "token_invalid"],
        ["claims that are null", signed(json!(null)), "token_invalid"],
        ["no claims", signed(json!({})), "token_invalid"],
        ["a userId that is null", signed(json!({"userId": null, "exp": exp})), "token_invalid"],
        ["a userId that is a list", signed(json!({"userId": [user], "exp": exp})), "token_invalid"],
        ["a userId that is a query", signed(json!({"userId": {"$ne": null}, "exp": exp})), "token_invalid"],
        ["a userId that is empty", signed(json!({"userId": "", "exp": exp})), "token_invalid"],
        ["a userId with a blank", signed(json!({"userId": format!("{user} "), "exp": exp})), "token_invalid"],
        ["a userId of 25 digits", signed(json!({"userId": format!("{user}0"), "exp": exp})), "token_invalid"],
        ["another name for userId", signed(json!({"sub": user, "exp": exp})), "token_invalid"],
        ["an exp before 1970", signed(json!({"userId": user, "exp": -1})), "token_expired"],
        ["an exp that is null", signed(json!({"userId": user, "exp": null})), "token_invalid"],
        ["an exp that is true", signed(json!({"userId": user, "exp": true})), "token_invalid"],
        ["an exp beyond all numbers", signed(json!({"userId": user, "exp": 1e300})), "token_invalid"],
        ["an exp of zero", signed(json!({"userId": user, "exp": 0})), "token_expired"],
        ["an nbf that is an object", signed(json!({"userId": user, "exp": exp, "nbf": {}})), "token_invalid"],
        ["an iat that is a text", signed(json!({"userId": user, "exp": exp, "iat": "now"})), "token_invalid"],
        ["expired long ago, of an administrator", signed(json!({"userId": user, "role": "admin", "exp": 1_000})), "token_expired"],
        ["HS512 with half of the secret", sign(HS512, &secret[..20], &json!({"userId": user, "exp": exp})), "token_invalid"],
        ["another type, without a user", typed("at+jwt"), "token_invalid"],
        ["a name of 2,000 letters as its type", typed(&"x".repeat(2_000)), "token_invalid"],
    ]);
    rows.extend(more.as_array().expect("a list").iter().cloned());
    Value::Array(rows)
}
