//! Each kind of break is found, and nothing that PROTOCOL allows is taken for one.

use serde_json::{Value, json};

use super::documents::{asyncapi_breaks, openapi_breaks};
use crate::contract::{asyncapi, openapi};

/// What breaks after a change to a document.
fn after(
    document: fn() -> Value,
    breaks: fn(&Value, &Value) -> Vec<String>,
    change: impl Fn(&mut Value),
) -> Vec<String> {
    let old = document();
    let mut new = old.clone();
    change(&mut new);
    assert_ne!(old, new, "nothing was changed");
    breaks(&old, &new)
}

fn events(change: impl Fn(&mut Value)) -> Vec<String> {
    after(asyncapi::document, asyncapi_breaks, change)
}

fn requests(change: impl Fn(&mut Value)) -> Vec<String> {
    after(openapi::document, openapi_breaks, change)
}

fn remove(value: &mut Value, name: &str) {
    value
        .as_object_mut()
        .expect("an object")
        .remove(name)
        .expect("it is there");
}

fn require(schema: &mut Value, name: &str) {
    let required = schema
        .as_object_mut()
        .expect("an object")
        .entry("required")
        .or_insert(json!([]));
    required.as_array_mut().expect("a list").push(name.into());
}

#[track_caller]
fn assert_found(found: &[String], wanted: &str) {
    assert!(found.iter().any(|one| one.contains(wanted)), "{wanted}: {found:#?}");
}

#[test]
fn what_is_gone_is_found() {
    let found = events(|new| {
        remove(&mut new["operations"], "typing");
        remove(&mut new["channels"], "presence");
    });
    assert_found(&found, "typing: is gone");
    assert_found(&found, "presence: is gone");
    assert_found(
        &requests(|new| remove(&mut new["paths"], "/users/me")),
        "GET /users/me: is gone",
    );
    assert_found(
        &requests(|new| remove(&mut new["paths"]["/users"], "post")),
        "POST /users: is gone",
    );
    let found = requests(|new| remove(&mut new["paths"]["/readyz"]["get"]["responses"], "503"));
    assert_found(&found, "GET /readyz, 503: is gone");
    let parameters = "/paths/~1chat~1sync/get/parameters";
    let found = requests(|new| {
        drop(
            new.pointer_mut(parameters)
                .and_then(Value::as_array_mut)
                .map(|all| all.remove(0)),
        )
    });
    assert_found(&found, "GET /chat/sync, since: is gone");
}

#[test]
fn fields_that_go_away_are_found_in_both_directions() {
    let field = |schema: &'static str, name: &'static str| {
        move |new: &mut Value| remove(&mut new["components"]["schemas"][schema]["properties"], name)
    };
    assert_found(&events(field("Message", "createdAt")), "createdAt: is gone");
    assert_found(
        &events(field("SendMessage", "clientMessageId")),
        "send_message, request, clientMessageId: is gone",
    );
    assert_found(&events(field("Resume", "cursor")), "cursor: is gone");
    assert_found(&requests(field("Inbox", "totalUnread")), "totalUnread: is gone");
    assert_found(&requests(field("BanUser", "reason")), "reason: is gone");
}

#[test]
fn codes_that_go_away_are_found() {
    let code = |new: &mut Value| {
        let codes = new["components"]["schemas"]["ErrorCode"]["oneOf"]
            .as_array_mut()
            .expect("codes");
        codes.retain(|code| code["const"] != "overloaded");
    };
    assert_found(&events(code), "\"overloaded\" is gone");
    assert_found(&requests(code), "\"overloaded\" is gone");
    let found = events(|new| {
        let codes = new["operations"]["send_message"]["x-error-codes"]
            .as_array_mut()
            .expect("codes");
        codes.retain(|code| code != "user_not_found");
    });
    assert_found(&found, "send_message: the code user_not_found is gone");
}

#[test]
fn what_has_to_be_sent_now_is_found() {
    let found = events(|new| require(&mut new["components"]["schemas"]["SendMessage"], "clientMessageId"));
    assert_found(&found, "clientMessageId is required now");
    let found = events(|new| {
        let schema = &mut new["components"]["schemas"]["SetTyping"];
        schema["properties"]["device"] = json!({"type": "string"});
        require(schema, "device");
    });
    assert_found(&found, "typing, request: device is required now");
    let parameter = json!({"name": "since", "in": "query", "required": true, "schema": {"type": "string"}});
    let found = requests(|new| new["paths"]["/users/me"]["get"]["parameters"] = json!([parameter]));
    assert_found(&found, "GET /users/me, since: is required now");
    let found = requests(|new| new["paths"]["/admin/users/{id}/ban"]["post"]["requestBody"]["required"] = true.into());
    assert_found(&found, "the body is required now");
    let found = requests(|new| remove(&mut new["paths"]["/healthz"]["get"], "security"));
    assert_found(&found, "GET /healthz: needs another token");
}

#[test]
fn types_that_change_are_found() {
    let property = |schema: &'static str, name: &'static str, kind: Value| {
        move |new: &mut Value| new["components"]["schemas"][schema]["properties"][name] = kind.clone()
    };
    let number = json!({"type": "integer"});
    assert_found(
        &events(property("SendMessage", "message", number.clone())),
        "{\"string\"} is {\"integer\"} now",
    );
    assert_found(
        &events(property("SyncDone", "next", number)),
        "next: {\"string\"} is {\"integer\"} now",
    );
    // Wider where the server sends it, narrower where a client does.
    let both = json!({"type": ["string", "null"]});
    assert_found(&events(property("SyncDone", "next", both)), "next: {\"string\"} is");
    let short = json!({"type": "string", "maxLength": 10});
    assert_found(
        &events(property("SendMessage", "message", short)),
        "maxLength was nothing and is 10",
    );
    let found = events(|new| new["components"]["schemas"]["UserId"]["pattern"] = ".*".into());
    assert_found(&found, "pattern was");
    let found = requests(|new| new["paths"]["/users"]["get"]["parameters"][1]["schema"]["maximum"] = 100.into());
    assert_found(&found, "maximum was 200 and is 100");
}

#[test]
fn answers_that_may_lack_what_they_had_are_found() {
    let found = events(|new| new["components"]["schemas"]["Synced"]["required"] = json!(["events", "hasMore"]));
    assert_found(&found, "next can be missing now");
    let found = events(|new| {
        let events = new["components"]["schemas"]["SyncEvent"]["oneOf"]
            .as_array_mut()
            .expect("choices");
        events.pop();
    });
    assert_found(&found, "sync, answer");
    let found = events(|new| {
        let choices = new["components"]["schemas"]["SentAnswer"]["oneOf"]
            .as_array_mut()
            .expect("choices");
        choices.push(json!({"type": "string"}));
    });
    assert_found(&found, "is one of other choices now");
}

#[test]
fn what_the_protocol_allows_is_no_break() {
    let found = events(|new| {
        new["channels"]["nudge"] = json!({"address": "nudge"});
        new["operations"]["nudge"] = json!({"action": "receive"});
        let schemas = &mut new["components"]["schemas"];
        schemas["Message"]["properties"]["editedAt"] = json!({"type": "string"});
        schemas["SendMessage"]["properties"]["silent"] = json!({"type": "boolean"});
        schemas["SendMessage"]["properties"]["message"]["type"] = json!(["string", "number"]);
        let codes = schemas["ErrorCode"]["oneOf"].as_array_mut().expect("codes");
        codes.push(json!({"const": "too_loud", "type": "string"}));
        let events = schemas["SyncEvent"]["oneOf"].as_array_mut().expect("choices");
        events.push(json!({"type": "object", "properties": {"type": {"const": "nudge"}}, "required": ["type"]}));
        schemas["Message"]["description"] = "In other words.".into();
    });
    assert_eq!(found, [""; 0]);
    let found = requests(|new| {
        new["paths"]["/nudges"] = json!({"get": {}});
        let limit = &mut new["paths"]["/users"]["get"]["parameters"][1]["schema"];
        limit["maximum"] = 1_000.into();
        new["paths"]["/users/me"]["get"]["parameters"] = json!([{"name": "x", "in": "query", "schema": {}}]);
        new["paths"]["/users/me"]["get"]["responses"]["418"] = json!({"description": "a teapot"});
    });
    assert_eq!(found, [""; 0]);
}
