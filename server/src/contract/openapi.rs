//! The document of what is asked over HTTP: OpenAPI 3.1, with every route, parameter, answer, status and code.

mod about;
mod administration;
mod chat;
mod operation;
mod pages;
mod responses;
#[cfg(test)]
mod tests;
mod users;

use serde_json::{Map, Value, json};
use shared::PROTOCOL_VERSION;
use shared::error::ErrorBody;

use super::schemas::Schemas;
use operation::{Access, Content, Operation};

const INTRODUCTION: &str = "\
What a one-to-one chat server answers over HTTP: history, users, settings and administration. Chatting itself is Socket.IO: \
`asyncapi.json`. `PROTOCOL.md` is the same in prose.

Errors are `{\"error\":{\"code\":…,\"message\":…}}`; each status lists its codes. New routes, fields and error codes are added within a \
version: ignore what you do not know. Wherever the id of a user is asked for, a server with `USER_IDS=external` takes the user's \
`externalId` as well. With `BASE_PATH` all paths are below that.

`/admin/…` is served at the server's `ADMIN_LISTEN` alone, port 5100 of its own machine unless that is set; elsewhere there is no such route.";

/// Every operation, in the order of the document.
fn operations() -> Vec<Operation> {
    let all = [
        about::operations(),
        chat::operations(),
        users::operations(),
        administration::operations(),
        pages::operations(),
    ];
    all.into_iter().flatten().collect()
}

/// The document.
pub(super) fn document() -> Value {
    let mut schemas = Schemas::draft_2020_12();
    schemas.answered::<ErrorBody>();
    let mut responses = responses::Responses::default();
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations() {
        let (path, method) = (operation.path, operation.method);
        let described = describe(operation, &mut schemas, &mut responses);
        let methods = paths.entry(path).or_insert_with(|| json!({}));
        assert!(methods.get(method).is_none(), "{method} {path} is described twice");
        methods[method] = described;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Chat: HTTP",
            "version": PROTOCOL_VERSION.to_string(),
            "summary": "History, users, settings and administration of a one-to-one chat server",
            "description": INTRODUCTION,
            "license": {"name": "MIT", "url": "https://opensource.org/license/mit"},
        },
        "servers": [{"url": "http://127.0.0.1:5000", "description": "A server with default settings on this machine"}],
        "security": [{"token": []}],
        "tags": [
            {"name": "administration", "description": "For administrators, at `ADMIN_LISTEN`"},
            {"name": "chat", "description": "History, inbox and catching up"},
            {"name": "pages", "description": "Pages for developers"},
            {"name": "server", "description": "What this is, and whether it is ready"},
            {"name": "users", "description": "Users, and one's own settings"},
        ],
        "paths": paths,
        "components": {
            "schemas": schemas.into_components(),
            "responses": responses.into_components(),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "A JWT with the claims `userId` and `exp`, which a key of the server has signed; an administrator's has \
                                    `\"role\":\"admin\"`.",
                },
            },
        },
    })
}

fn describe(operation: Operation, schemas: &mut Schemas, responses: &mut responses::Responses) -> Value {
    let mut described = json!({
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.description(),
    });
    match operation.access {
        Access::Anybody => described["security"] = json!([]),
        Access::User | Access::Administrator => {}
    }
    if operation.tag == administration::TAG {
        described["servers"] = json!([{"url": "http://127.0.0.1:5100", "description": "ADMIN_LISTEN"}]);
    }
    if !operation.parameters.is_empty() {
        let parameters = operation
            .parameters
            .iter()
            .map(|parameter| parameter.describe(operation.path, schemas));
        described["parameters"] = parameters.collect();
    }
    if let Some((is_required, body)) = &operation.body {
        let content = json!({"schema": body.schema(schemas), "example": body.example});
        described["requestBody"] = json!({"required": is_required, "content": {"application/json": content}});
    }
    for (status, what, content) in &operation.answers {
        let content = match content {
            Content::Json(payload) => {
                json!({"application/json": {"schema": payload.schema(schemas), "example": payload.example}})
            }
            Content::JsonOrPage(payload) => json!({
                "application/json": {"schema": payload.schema(schemas), "example": payload.example},
                "text/html": {"schema": {}},
            }),
            Content::Text(kinds) => {
                let text = |kind: &&str| ((*kind).to_owned(), json!({"schema": {}}));
                Value::Object(kinds.iter().map(text).collect())
            }
        };
        described["responses"][status.to_string()] = json!({"description": what, "content": content});
    }
    for (status, response) in responses.of(operation.codes()) {
        described["responses"][status.to_string()] = response;
    }
    described
}
