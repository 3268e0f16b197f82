//! The pages for developers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::{ErrorCode, Timestamp, User};

use super::super::examples::{ADA, AT};
use super::super::payload::Payload;
use super::super::schemas::Schemas;
use super::operation::{Access, Content, Operation, Parameter};

const TAG: &str = "pages";

/// The users of the playground.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Players {
    /// Two.
    users: Vec<Player>,
}

/// A user of the playground.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Player {
    /// The user.
    user: User,
    /// A token of the user.
    token: String,
    /// When it ends.
    expires_at: Timestamp,
}

pub(super) fn operations() -> Vec<Operation> {
    let file = |_: &mut Schemas| json!({"type": "string"});
    let page = |path, id, summary, codes| Operation {
        summary,
        access: Access::Anybody,
        answers: vec![(200, "The page", Content::Text(&["text/html"]))],
        codes,
        ..Operation::new("get", path, id, TAG)
    };
    let tokens = Payload::answered::<Players>(json!({"users": [{
        "user": {"_id": ADA, "username": "playground-ada", "isOnline": false, "externalId": "playground-ada", "displayName": "Ada"},
        "token": "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl",
        "expiresAt": AT,
    }]}));
    vec![
        page("/docs", "docs", "Events and requests, to be read and tried", &[]),
        page(
            "/playground",
            "playground",
            "Two users, to try the server with; only where the playground is on",
            &[ErrorCode::NotFound],
        ),
        Operation {
            summary: "The two users of the playground, each with a token",
            more: "Only where the playground is on, and for its own page.",
            access: Access::Anybody,
            codes: &[
                ErrorCode::Forbidden,
                ErrorCode::NotFound,
                ErrorCode::StoreUnavailable,
                ErrorCode::ShuttingDown,
            ],
            ..Operation::new("post", "/playground/tokens", "playgroundTokens", TAG).answers("Both users", tokens)
        },
        Operation {
            summary: "What a page loads",
            access: Access::Anybody,
            parameters: vec![Parameter::plain("file", "The name of a file", file, json!("style.css"))],
            answers: vec![(
                200,
                "The file",
                Content::Text(&["text/javascript", "text/css", "image/svg+xml"]),
            )],
            codes: &[ErrorCode::NotFound],
            ..Operation::new("get", "/pages/{file}", "pageFile", TAG)
        },
    ]
}
