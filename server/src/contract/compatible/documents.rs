//! What breaks between two documents: paths, operations, parameters, statuses, events, messages and codes.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::schema::{Direction, compare, target};

/// What breaks for clients that know the older of two OpenAPI documents.
pub(super) fn openapi_breaks(old: &Value, new: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (path, methods) in fields(&old["paths"]) {
        for (method, operation) in fields(methods) {
            let what = format!("{} {path}", method.to_uppercase());
            match new["paths"].get(path).and_then(|methods| methods.get(method)) {
                Some(now) => Pair { old, new }.operation(&what, operation, now, &mut found),
                None => found.push(format!("{what}: is gone")),
            }
        }
    }
    found
}

/// What breaks for clients that know the older of two AsyncAPI documents.
pub(super) fn asyncapi_breaks(old: &Value, new: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let pair = Pair { old, new };
    for (name, channel) in fields(&old["channels"]) {
        match new["channels"].get(name) {
            None => found.push(format!("{name}: is gone")),
            Some(now) if now["address"] != channel["address"] => found.push(format!("{name}: has another name")),
            Some(_) => {}
        }
    }
    for (name, operation) in fields(&old["operations"]) {
        let Some(now) = new["operations"].get(name) else {
            found.push(format!("{name}: is gone"));
            continue;
        };
        if operation["action"] != now["action"] {
            found.push(format!("{name}: goes the other way"));
            continue;
        }
        let direction = match operation["action"] == "receive" {
            true => Direction::Asked,
            false => Direction::Answered,
        };
        pair.messages(name, direction, &operation["messages"], &now["messages"], &mut found);
        let (reply, reply_now) = (&operation["reply"]["messages"], &now["reply"]["messages"]);
        pair.messages(
            &format!("{name}, answer"),
            Direction::Answered,
            reply,
            reply_now,
            &mut found,
        );
        let (codes, codes_now) = (texts(&operation["x-error-codes"]), texts(&now["x-error-codes"]));
        let gone = codes.difference(&codes_now);
        found.extend(gone.map(|code| format!("{name}: the code {code} is gone")));
    }
    found
}

/// Two documents, for their references.
struct Pair<'a> {
    old: &'a Value,
    new: &'a Value,
}

impl Pair<'_> {
    fn operation(&self, what: &str, old: &Value, new: &Value, found: &mut Vec<String>) {
        self.parameters(what, &old["parameters"], &new["parameters"], found);
        let (body, body_now) = (&old["requestBody"], &new["requestBody"]);
        if body.is_null() != body_now.is_null() && (body.is_object() || body_now["required"] == true) {
            found.push(format!(
                "{what}: the body is {}",
                if body.is_object() { "gone" } else { "required now" }
            ));
        }
        if body.is_object() && body["required"] != true && body_now["required"] == true {
            found.push(format!("{what}: the body is required now"));
        }
        if body.is_object() && body_now.is_object() {
            self.content(what, Direction::Asked, body, body_now, found);
        }
        for (status, response) in fields(&old["responses"]) {
            let what = format!("{what}, {status}");
            match new["responses"].get(status) {
                Some(now) => {
                    let (response, now) = (target(self.old, response), target(self.new, now));
                    self.content(&what, Direction::Answered, response, now, found);
                }
                None => found.push(format!("{what}: is gone")),
            }
        }
        if old.get("security") != new.get("security") {
            found.push(format!("{what}: needs another token, or needs one now"));
        }
    }

    fn parameters(&self, what: &str, old: &Value, new: &Value, found: &mut Vec<String>) {
        let all = |list: &Value| list.as_array().cloned().unwrap_or_default();
        let named = |list: &[Value], one: &Value| {
            list.iter()
                .find(|other| other["name"] == one["name"] && other["in"] == one["in"])
                .cloned()
        };
        let (old, new) = (all(old), all(new));
        for one in &old {
            let what = format!("{what}, {}", one["name"].as_str().unwrap_or_default());
            match named(&new, one) {
                None => found.push(format!("{what}: is gone")),
                Some(now) => {
                    if one["required"] != true && now["required"] == true {
                        found.push(format!("{what}: is required now"));
                    }
                    let schemas = (self.old, &one["schema"], self.new, &now["schema"]);
                    compare(&what, Direction::Asked, schemas, found);
                }
            }
        }
        for now in new
            .iter()
            .filter(|now| now["required"] == true && named(&old, now).is_none())
        {
            found.push(format!(
                "{what}, {}: is required now",
                now["name"].as_str().unwrap_or_default()
            ));
        }
    }

    fn content(&self, what: &str, direction: Direction, old: &Value, new: &Value, found: &mut Vec<String>) {
        for (kind, content) in fields(&old["content"]) {
            match new["content"].get(kind) {
                Some(now) => compare(
                    what,
                    direction,
                    (self.old, &content["schema"], self.new, &now["schema"]),
                    found,
                ),
                None => found.push(format!("{what}: {kind} is gone")),
            }
        }
    }

    fn messages(&self, what: &str, direction: Direction, old: &Value, new: &Value, found: &mut Vec<String>) {
        let list = |list: &Value| list.as_array().cloned().unwrap_or_default();
        for reference in list(old) {
            let what = format!(
                "{what}, {}",
                reference["$ref"]
                    .as_str()
                    .and_then(|path| path.rsplit('/').next())
                    .unwrap_or_default()
            );
            if !list(new).contains(&reference) {
                found.push(format!("{what}: is gone"));
                continue;
            }
            let (message, now) = (target(self.old, &reference), target(self.new, &reference));
            compare(
                &what,
                direction,
                (self.old, &message["payload"], self.new, &now["payload"]),
                found,
            );
            match (message.get("headers"), now.get("headers")) {
                (Some(headers), Some(headers_now)) => {
                    compare(&what, direction, (self.old, headers, self.new, headers_now), found)
                }
                (Some(_), None) => found.push(format!("{what}: the second argument is gone")),
                (None, _) => {}
            }
        }
    }
}

fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn texts(list: &Value) -> BTreeSet<&str> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}
