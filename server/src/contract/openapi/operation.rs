//! One request: what it takes, what it answers, and with which codes it fails.

use schemars::JsonSchema;
use serde_json::{Value, json};
use shared::ErrorCode;

use super::super::payload::Payload;
use super::super::schemas::{Schemas, UserRef};

/// Who may ask.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Whoever reaches the server.
    Anybody,
    /// Who has a token.
    User,
    /// Who has a token that makes an administrator.
    Administrator,
}

/// What an answer holds.
pub(super) enum Content {
    Json(Payload),
    /// JSON, or a page for whoever asks for one.
    JsonOrPage(Payload),
    /// A text of one of these kinds.
    Text(&'static [&'static str]),
}

/// A parameter of a path or a query.
pub(super) struct Parameter {
    name: &'static str,
    what: &'static str,
    schema: fn(&mut Schemas) -> Value,
    example: Option<Value>,
}

impl Parameter {
    /// One whose values are those of a type.
    pub(super) fn of<T: JsonSchema>(name: &'static str, what: &'static str) -> Self {
        Self {
            name,
            what,
            schema: Schemas::asked::<T>,
            example: None,
        }
    }

    /// The id of a user.
    pub(super) fn user(name: &'static str, what: &'static str) -> Self {
        Self::of::<UserRef>(name, what)
    }

    /// One of texts or numbers that a schema describes.
    pub(super) fn plain(
        name: &'static str,
        what: &'static str,
        schema: fn(&mut Schemas) -> Value,
        example: Value,
    ) -> Self {
        Self {
            name,
            what,
            schema,
            example: Some(example),
        }
    }

    /// A cursor. There is no example: none can be made up.
    pub(super) fn cursor(name: &'static str, what: &'static str) -> Self {
        Self::of::<String>(name, what)
    }

    /// The size of a page.
    pub(super) fn limit(what: &'static str) -> Self {
        let schema = |_: &mut Schemas| json!({"type": "integer", "minimum": 1, "maximum": shared::limits::MAX_PAGE});
        Self::plain("limit", what, schema, json!(50))
    }

    pub(super) fn describe(&self, path: &str, schemas: &mut Schemas) -> Value {
        let in_path = path.contains(&format!("{{{}}}", self.name));
        let mut described = json!({
            "name": self.name,
            "in": if in_path { "path" } else { "query" },
            "required": in_path,
            "description": self.what,
            "schema": (self.schema)(schemas),
        });
        if let Some(example) = &self.example {
            described["example"] = example.clone();
        }
        described
    }
}

/// One request.
pub(super) struct Operation {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    /// Its name for programs that are made from the document.
    pub(super) id: &'static str,
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    /// More about it.
    pub(super) more: &'static str,
    pub(super) access: Access,
    pub(super) parameters: Vec<Parameter>,
    /// Whether there must be a body, and which.
    pub(super) body: Option<(bool, Payload)>,
    /// What it answers when all is well: status, what that means, and what is in it.
    pub(super) answers: Vec<(u16, &'static str, Content)>,
    /// What it fails with beside what all of its kind fail with.
    pub(super) codes: &'static [ErrorCode],
    /// Whether it is answered while the server has no place for another connection.
    pub(super) is_probe: bool,
}

impl Operation {
    /// A request without parameters that answers 200.
    pub(super) fn new(method: &'static str, path: &'static str, id: &'static str, tag: &'static str) -> Self {
        Self {
            method,
            path,
            id,
            tag,
            summary: "",
            more: "",
            access: Access::User,
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
            codes: &[],
            is_probe: false,
        }
    }

    /// What it answers.
    pub(super) fn answers(mut self, what: &'static str, payload: Payload) -> Self {
        self.answers.push((200, what, Content::Json(payload)));
        self
    }

    pub(super) fn description(&self) -> String {
        let who = match self.access {
            Access::Anybody => "Needs no token.",
            Access::User => "",
            Access::Administrator => "Administrators only.",
        };
        [self.more, who]
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Every code that it can be answered with.
    pub(super) fn codes(&self) -> Vec<ErrorCode> {
        use ErrorCode as Code;
        let mut codes = vec![
            Code::InvalidRequest,
            Code::ExpectationFailed,
            Code::RateLimited,
            Code::Internal,
            Code::NotImplemented,
        ];
        if !self.is_probe {
            codes.push(Code::Overloaded);
        }
        if self.access != Access::Anybody {
            codes.extend([Code::Unauthorized, Code::Banned, Code::StoreUnavailable]);
        }
        if self.access == Access::Administrator {
            codes.push(Code::Forbidden);
        }
        if self.body.is_some() {
            codes.extend([Code::InvalidJson, Code::PayloadTooLarge, Code::UnsupportedMediaType]);
        }
        if self.access != Access::Anybody && self.method != "get" {
            codes.push(Code::ShuttingDown);
        }
        codes.extend(self.codes);
        // In the order of the list of codes, each once.
        ErrorCode::ALL
            .iter()
            .copied()
            .filter(|code| codes.contains(code))
            .collect()
    }
}
