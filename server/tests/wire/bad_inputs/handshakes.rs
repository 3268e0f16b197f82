//! Handshakes: what clients ask to connect with, requests that no client of Engine.IO makes, and first frames of a WebSocket.

use serde_json::{Value, json};

/// A name, options of the stock client, and the code with which it is refused.
pub(crate) fn options(url: &str, token: &str) -> Value {
    json!([
        ["no auth", {}, "token_invalid"],
        ["auth without a token", {"auth": {"since": ""}}, "token_invalid"],
        ["a token that is null", {"auth": {"token": null}}, "token_invalid"],
        ["a token that is a number", {"auth": {"token": 7}}, "token_invalid"],
        ["a token that is a list", {"auth": {"token": [token]}}, "token_invalid"],
        ["a token that is an object", {"auth": {"token": {"$ne": ""}}}, "token_invalid"],
        ["a token that is a query", {"auth": {"token": {"$gt": token}}}, "token_invalid"],
        ["a token under another name", {"auth": {"Token": token}}, "token_invalid"],
        ["brackets", {"auth": {"token": {"$deep": 1_000}}}, "token_invalid"],
        ["a token in the address", {"query": {"token": token}}, "token_invalid"],
        ["another scheme", {"extraHeaders": {"authorization": format!("Token {token}")}}, "token_invalid"],
        ["the scheme alone", {"extraHeaders": {"authorization": "Bearer "}}, "token_invalid"],
        ["another path", {"auth": {"token": token}, "path": "/other/"}, "websocket error|xhr poll error"],
        ["the address of a namespace", {"auth": {"token": token}, "url": format!("{url}/chat")}, "invalid_namespace"],
    ])
}

/// A method, the query, headers, a body, and the status.
pub(crate) fn requests() -> Value {
    let polling = "?EIO=4&transport=polling";
    let websocket = "?EIO=4&transport=websocket";
    json!([
        ["GET", "", {}, null, 400],
        ["GET", "?EIO=4", {}, null, 400],
        ["GET", "?transport=polling", {}, null, 400],
        ["GET", "?EIO=3&transport=polling", {}, null, 400],
        ["GET", "?EIO=5&transport=polling", {}, null, 400],
        ["GET", "?EIO=&transport=polling", {}, null, 400],
        ["GET", "?EIO=four&transport=polling", {}, null, 400],
        ["GET", "?EIO=4&transport=", {}, null, 400],
        ["GET", "?EIO=4&transport=flashsocket", {}, null, 400],
        ["GET", "?EIO=4&transport=webtransport", {}, null, 400],
        ["GET", format!("{polling}&sid="), {}, null, 400],
        ["GET", format!("{polling}&sid=nobody"), {}, null, 400],
        ["GET", format!("{polling}&sid=..%2f..%2fetc"), {}, null, 400],
        ["GET", format!("{polling}&sid={}", "A".repeat(5_000)), {}, null, 400],
        ["GET", websocket, {}, null, 400],
        ["GET", format!("{websocket}&sid=nobody"), {}, null, 400],
        ["POST", polling, {}, "40", 400],
        ["POST", format!("{polling}&sid=nobody"), {}, "40", 400],
        ["POST", format!("{polling}&sid=nobody"), {"content-type": "application/json"}, "{}", 400],
        ["POST", websocket, {}, "40", 400],
        ["PUT", polling, {}, "40", 400],
        ["DELETE", format!("{polling}&sid=nobody"), {}, null, 400],
        ["PATCH", polling, {}, null, 400],
    ])
}

/// The frames that a WebSocket opens with, and the code, or `closed`.
pub(crate) fn packets() -> Value {
    json!([
        [["40{\"token\":"], "token_invalid"],
        [["40[]"], "token_invalid"],
        [["40null"], "token_invalid"],
        [["40\"TOKEN\""], "token_invalid"],
        [["40"], "token_invalid"],
        [["40/,{\"token\":\"TOKEN\"}", "41"], "closed"],
        [["40/chat,{\"token\":\"TOKEN\"}"], "invalid_namespace"],
        [["40/%00,"], "invalid_namespace"],
        [[format!("40/{},", "a".repeat(129))], "closed"],
        [["42[\"send_message\",{}]"], "closed"],
        [["41"], "closed"],
        [["43[]"], "closed"],
        [["44{}"], "closed"],
        [["45-[\"x\"]"], "closed"],
        [["451-[\"x\",{\"_placeholder\":true,\"num\":0}]"], "closed"],
        [["49"], "closed"],
        [["4"], "closed"],
        [[""], "closed"],
        [["x"], "closed"],
        [["7"], "closed"],
        [["0{}"], "closed"],
        [["2{}"], "closed"],
        [["1"], "closed"],
        [["\u{0}"], "closed"],
        [[{"$bytes": "40"}], "closed"],
        [[{"$times": [20_000, "4"]}], "closed"],
        [["40{\"token\":\"TOKEN\"}", "42"], "closed"],
        [["40{\"token\":\"TOKEN\"}", "42{}"], "closed"],
        [["40{\"token\":\"TOKEN\"}", "42[]"], "closed"],
        [["40{\"token\":\"TOKEN\"}", "42["], "closed"],
        [["40{\"token\":\"TOKEN\"}", "4299999999999999999999[\"ping\"]"], "closed"],
        [["40{\"token\":\"TOKEN\"}", "451-[\"x\",{\"_placeholder\":true,\"num\":9}]", {"$bytes": "x"}], "closed"],
        [["40{\"token\":\"TOKEN\"}", "4565-[\"x\"]"], "closed"],
        [["40{\"token\":\"TOKEN\"}", {"$bytes": "nobody announced it"}], "closed"],
        [["40{\"token\":\"TOKEN\"}", "46"], "closed"],
    ])
}
