//! A type of the wire with an example of it, which is read as that type.

use std::fmt::Debug;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::schemas::Schemas;

/// What is sent, in either direction.
pub(super) struct Payload {
    schema: fn(&mut Schemas) -> Value,
    pub(super) example: Value,
}

impl Payload {
    /// What a client sends.
    ///
    /// # Panics
    /// If the example is none.
    pub(super) fn asked<T: JsonSchema + DeserializeOwned>(example: Value) -> Self {
        if let Err(error) = serde_json::from_value::<T>(example.clone()) {
            panic!("{error}: {example}");
        }
        Self {
            schema: Schemas::asked::<T>,
            example,
        }
    }

    /// What the server sends.
    ///
    /// # Panics
    /// If the example is not what the server would write.
    pub(super) fn answered<T: JsonSchema + DeserializeOwned + Serialize + Debug>(example: Value) -> Self {
        let read = serde_json::from_value::<T>(example.clone());
        let read = read.unwrap_or_else(|error| panic!("{error}: {example}"));
        let written = serde_json::to_value(&read).expect("a type of the wire is JSON");
        assert_eq!(written, example);
        Self {
            schema: Schemas::answered::<T>,
            example,
        }
    }

    /// What the server sends, of which no more is said than that it is an object.
    pub(super) fn of_any_object() -> Self {
        Self {
            schema: |_| json!({"type": "object"}),
            example: json!({}),
        }
    }

    /// Its schema, in a document of these.
    pub(super) fn schema(&self, schemas: &mut Schemas) -> Value {
        (self.schema)(schemas)
    }
}
