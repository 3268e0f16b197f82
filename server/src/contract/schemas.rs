//! JSON Schemas of the wire types: of what clients send as the server reads it, of what it answers as it writes it.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::transform::RemoveRefSiblings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::{Map, Value};
use shared::schema::NO_CONTROL_CHARACTERS;
use shared::{ErrorCode, limits};

use crate::routes::EVENTS;

/// The schemas of one document, each type once.
pub(super) struct Schemas {
    asked: SchemaGenerator,
    answered: SchemaGenerator,
}

impl Schemas {
    /// For AsyncAPI, whose schemas are of draft 7.
    pub(super) fn draft_7() -> Self {
        Self::new(SchemaSettings::draft07())
    }

    /// For OpenAPI 3.1.
    pub(super) fn draft_2020_12() -> Self {
        // Many tools take what stands beside a reference for nothing, though this draft has it count.
        Self::new(SchemaSettings::draft2020_12().with_transform(RemoveRefSiblings::default()))
    }

    fn new(settings: SchemaSettings) -> Self {
        let settings = settings.with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        });
        Self {
            asked: settings.clone().for_deserialize().into_generator(),
            answered: settings.for_serialize().into_generator(),
        }
    }

    /// The schema of what a client sends.
    pub(super) fn asked<T: JsonSchema>(&mut self) -> Value {
        self.asked.subschema_for::<T>().into()
    }

    /// The schema of what the server sends.
    pub(super) fn answered<T: JsonSchema>(&mut self) -> Value {
        self.answered.subschema_for::<T>().into()
    }

    /// All schemas that were asked for, by name.
    ///
    /// # Panics
    /// If one name has two meanings.
    pub(super) fn into_components(mut self) -> Map<String, Value> {
        let mut all = self.asked.take_definitions(true);
        for (name, mut schema) in self.answered.take_definitions(true) {
            remove_null(&mut schema);
            if let Some(other) = all.insert(name.clone(), schema.clone()) {
                assert_eq!(other, schema, "{name} is not the same in requests and in answers");
            }
        }
        for schema in all.values_mut() {
            reword(schema);
        }
        all.sort_keys();
        all
    }
}

/// What is not there is missing in what the server writes, and never `null`.
fn remove_null(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            let required = fields.get("required").cloned().unwrap_or_default();
            let is_required = |name: &String| {
                required
                    .as_array()
                    .is_some_and(|names| names.iter().any(|one| one == name))
            };
            if let Some(Value::Object(properties)) = fields.get_mut("properties") {
                for (_, property) in properties.iter_mut().filter(|(name, _)| !is_required(name)) {
                    let Value::Object(property) = property else { continue };
                    remove_null_from(property);
                }
            }
            for value in fields.values_mut() {
                remove_null(value);
            }
        }
        Value::Array(values) => {
            for value in values {
                remove_null(value);
            }
        }
        _ => {}
    }
}

fn remove_null_from(property: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = property.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = &types[..] {
            let only = only.clone();
            property.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(mut choices)) = property.remove("anyOf") {
        choices.retain(|choice| choice["type"] != "null");
        let kind = if choices.len() == 1 { "allOf" } else { "anyOf" };
        property.insert(kind.to_owned(), choices.into());
    }
}

/// Comments are for those who read the source; here is what they link to instead.
fn reword(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                match value {
                    Value::String(text) if name == "description" => *text = words(text),
                    _ => reword(value),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(reword),
        _ => {}
    }
}

/// A comment as a sentence for readers of the document: limits as their numbers, events and types by their names.
fn words(comment: &str) -> String {
    let mut pieces = comment.split("[`");
    let mut text = in_camel_case(pieces.next().unwrap_or_default());
    for piece in pieces {
        let Some((path, rest)) = piece.split_once("`]") else {
            panic!("a link that does not end: {comment}");
        };
        let name = path.rsplit("::").next().unwrap_or_default();
        match limit(name) {
            Some(limit) => text.push_str(&limit),
            None if name.chars().any(char::is_lowercase) => text.push_str(&in_camel_case(&format!("`{name}`"))),
            None => text.push_str(&format!("`{}`", name.to_lowercase())),
        }
        text.push_str(&in_camel_case(rest));
    }
    let paragraphs: Vec<String> = text.split("\n\n").map(|part| part.replace('\n', " ")).collect();
    paragraphs.join("\n\n")
}

/// A text with the names of fields, which stand in backticks, as the wire has them. Events and codes are as they are.
fn in_camel_case(text: &str) -> String {
    let is_other = |name: &str| {
        EVENTS.iter().any(|(event, ..)| *event == name) || ErrorCode::ALL.iter().any(|code| code.as_str() == name)
    };
    let parts = text.split('`').enumerate().map(|(place, part)| {
        let is_name = place % 2 == 1 && part.chars().all(|sign| sign.is_ascii_lowercase() || sign == '_');
        if !is_name || part.starts_with('_') || is_other(part) {
            return part.to_owned();
        }
        let mut words = part.split('_');
        let mut name = words.next().unwrap_or_default().to_owned();
        for word in words {
            let (first, rest) = word.split_at(1);
            name += &(first.to_ascii_uppercase() + rest);
        }
        name
    });
    parts.collect::<Vec<String>>().join("`")
}

/// The number behind a constant of [`limits`] that a comment names.
fn limit(name: &str) -> Option<String> {
    let number = match name {
        "MESSAGE_BYTES" => limits::MESSAGE_BYTES,
        "CLIENT_MESSAGE_ID_CHARS" => limits::CLIENT_MESSAGE_ID_CHARS,
        "BAN_REASON_CHARS" => limits::BAN_REASON_CHARS,
        "USERS_PER_REQUEST" => limits::USERS_PER_REQUEST,
        "MAX_PAGE" => limits::MAX_PAGE,
        "DEFAULT_PAGE" => limits::DEFAULT_PAGE,
        "MAX_UNREAD" => limits::MAX_UNREAD as usize,
        "PRESENCE_SUBSCRIPTIONS" => limits::PRESENCE_SUBSCRIPTIONS,
        "TYPING_TIMEOUT" => return Some(format!("{} seconds", limits::TYPING_TIMEOUT.as_secs())),
        "PROTOCOL_VERSION" => return Some("The version of the protocol".to_owned()),
        _ => return None,
    };
    Some(number.to_string())
}

/// The id of a user, as clients may write it.
#[derive(Deserialize)]
#[serde(transparent)]
#[expect(dead_code, reason = "examples are read as it; nothing else is")]
pub(super) struct UserRef(String);

impl JsonSchema for UserRef {
    fn schema_name() -> Cow<'static, str> {
        "UserRef".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The id of a user as a client may write it: 24 hexadecimal digits. Where the server runs with \
                            USER_IDS=external, the user's `externalId` as well, any text without control characters; \
                            elsewhere that is `invalid_id`.",
            "type": "string",
            "minLength": 1,
            "maxLength": limits::EXTERNAL_ID_CHARS,
            "pattern": NO_CONTROL_CHARACTERS,
            "examples": ["6945576383968f286a0ff5f9"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_become_sentences() {
        let comment =
            "1 to [`crate::limits::MAX_PAGE`], of\n[`crate::sync::SyncDone`].\n\nAs [`crate::events::TYPING`].";
        assert_eq!(words(comment), "1 to 200, of `SyncDone`.\n\nAs `typing`.");
        let comment = "See [`Settings::read_receipts`] and `created_at` of `_id`; `mark_read`, `user_not_found`.";
        let wanted = "See `readReceipts` and `createdAt` of `_id`; `mark_read`, `user_not_found`.";
        assert_eq!(words(comment), wanted);
    }
}
