//! The answers to what fails: one for each status, which lists its codes.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use shared::ErrorCode;

/// The answers of a document, each once.
#[derive(Default)]
pub(super) struct Responses(BTreeMap<String, Value>);

impl Responses {
    /// References to the answers to these codes, by status.
    pub(super) fn of(&mut self, codes: Vec<ErrorCode>) -> Vec<(u16, Value)> {
        let mut by_status: BTreeMap<u16, Vec<ErrorCode>> = BTreeMap::new();
        for code in codes {
            by_status.entry(code.status()).or_default().push(code);
        }
        let mut references = Vec::new();
        for (status, codes) in by_status {
            let name = codes.iter().map(|code| code.as_str()).collect::<Vec<_>>().join(".");
            references.push((status, json!({"$ref": format!("#/components/responses/{name}")})));
            self.0.entry(name).or_insert_with(|| response(status, &codes));
        }
        references
    }

    pub(super) fn into_components(self) -> Map<String, Value> {
        self.0.into_iter().collect()
    }
}

fn response(status: u16, codes: &[ErrorCode]) -> Value {
    let names: Vec<&str> = codes.iter().map(|code| code.as_str()).collect();
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let mut response = json!({
        "description": quoted.join(" or "),
        "content": {"application/json": {
            "schema": {
                "allOf": [
                    {"$ref": "#/components/schemas/ErrorBody"},
                    {"type": "object", "properties": {"error": {"type": "object", "properties": {"code": {"enum": names}}}}},
                ],
            },
            "example": {"error": {"code": names[0], "message": "what was wrong, for people"}},
        }},
    });
    match status {
        401 => {
            response["headers"]["WWW-Authenticate"] =
                json!({"description": "Always `Bearer`.", "schema": {"type": "string"}})
        }
        429 | 503 => {
            response["headers"]["Retry-After"] = json!({
                "description": "`retryAfterMs` in whole seconds, where that is there.",
                "schema": {"type": "integer", "minimum": 0},
            });
        }
        _ => {}
    }
    response
}
