//! JSON Schemas of the wire types that write and read themselves by hand; the others derive theirs.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use serde_json::{Value, json};

use crate::events::Answer;
use crate::{ExternalId, MessageId, Timestamp, UserId, WireError, limits};

/// The schema of a type that is a text on the wire.
macro_rules! text_schema {
    ($name:ident, $schema:expr) => {
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

text_schema!(
    UserId,
    json_schema!({
        "description": "The id of a user: 24 hexadecimal digits.",
        "type": "string",
        "pattern": "^[0-9a-fA-F]{24}$",
        "examples": ["6945577083968f286a0ff5fb"],
    })
);
text_schema!(
    MessageId,
    json_schema!({
        "description": "The id of a message: 24 hexadecimal digits.",
        "type": "string",
        "pattern": "^[0-9a-fA-F]{24}$",
        "examples": ["6b040f7eb209ada4add1c867"],
    })
);
text_schema!(
    ExternalId,
    json_schema!({
        "description": "What another system calls a user: any text without control characters. It is compared as it is.",
        "type": "string",
        "minLength": 1,
        "maxLength": limits::EXTERNAL_ID_CHARS,
        "pattern": NO_CONTROL_CHARACTERS,
        "examples": ["auth0|7"],
    })
);
text_schema!(
    Timestamp,
    json_schema!({
        "description": "A moment: RFC 3339. The server writes UTC with milliseconds, and reads every time zone.",
        "type": "string",
        "format": "date-time",
        "examples": ["2026-11-23T10:03:42.886Z"],
    })
);

/// The pattern of a text without control characters.
pub const NO_CONTROL_CHARACTERS: &str = r"^[^\u0000-\u001f\u007f-\u009f]*$";

/// The pattern of a name: besides, one of its characters can be seen.
const NAME: &str = r"^[^\s\u0000-\u001f\u007f-\u009f]([^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f])?$";

/// One of the three fields that say whom to create.
pub(crate) fn one_way_to_create(schema: &mut Schema) {
    let name = json!({"type": "string", "minLength": 1, "maxLength": limits::USERNAME_CHARS, "pattern": NAME});
    let many =
        |items: Value| json!({"type": "array", "minItems": 1, "maxItems": limits::USERS_PER_REQUEST, "items": items});
    let users = many(
        json!({"$ref": schema.pointer("/properties/users/items/$ref").or(schema.pointer("/properties/users/anyOf/0/items/$ref"))}),
    );
    one_of(
        schema,
        &[("username", name.clone()), ("usernames", many(name)), ("users", users)],
    );
}

/// Either the name of a new user or the id of one who is here.
pub(crate) fn one_way_to_name(schema: &mut Schema) {
    for (field, limit, pattern) in [
        ("username", limits::USERNAME_CHARS, NAME),
        ("displayName", limits::DISPLAY_NAME_CHARS, NAME),
        ("avatarUrl", limits::AVATAR_URL_BYTES, AVATAR_URL),
        ("externalId", limits::EXTERNAL_ID_CHARS, NO_CONTROL_CHARACTERS),
    ] {
        if let Some(Value::Object(field)) = schema.pointer_mut(&format!("/properties/{field}")) {
            field.insert("minLength".to_owned(), 1.into());
            field.insert("maxLength".to_owned(), limit.into());
            field.insert("pattern".to_owned(), pattern.into());
        }
    }
    let id = json!({"type": "string", "pattern": "^[0-9a-fA-F]{24}$"});
    one_of(schema, &[("username", json!({"type": "string"})), ("_id", id)]);
}

/// The pattern of the address of a picture.
const AVATAR_URL: &str = r#"^https?://[^\s"<>\\\u0000-\u001f\u007f-\u009f]+$"#;

/// One of these fields is there, and the others are not.
fn one_of(schema: &mut Schema, fields: &[(&str, Value)]) {
    let choices = fields.iter().map(|(name, value)| {
        let others = fields.iter().filter(|(other, _)| other != name);
        let mut properties: serde_json::Map<String, Value> = others
            .map(|(other, _)| ((*other).to_owned(), json!({"type": "null"})))
            .collect();
        properties.insert((*name).to_owned(), value.clone());
        json!({"required": [name], "properties": properties})
    });
    let choices: Vec<Value> = choices.collect();
    schema.insert("oneOf".to_owned(), choices.into());
}

/// An answer that is an error.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "what is written by `Answer` itself; this is its schema")]
struct Failed {
    /// Always false.
    #[schemars(extend("const" = false))]
    ok: bool,
    /// Why.
    error: WireError,
}

impl<T: JsonSchema> JsonSchema for Answer<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}Answer", T::schema_name()).into()
    }

    fn schema_id() -> Cow<'static, str> {
        format!("Answer<{}>", T::schema_id()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let fields = generator.subschema_for::<T>();
        let failed = generator.subschema_for::<Failed>();
        json_schema!({
            "description": "Done, with its fields beside `ok`; or refused, or failed.",
            "oneOf": [
                {
                    "allOf": [
                        {"type": "object", "properties": {"ok": {"type": "boolean", "const": true}}, "required": ["ok"]},
                        fields,
                    ],
                },
                failed,
            ],
        })
    }
}
