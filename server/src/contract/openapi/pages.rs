//! The pages for developers, and the tokens of the playground.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::{ErrorCode, Timestamp, User};

use super::super::examples::{ADA, AT, GRACE};
use super::super::payload::Payload;
use super::operation::{Access, Content, Operation, Parameter};

const TAG: &str = "pages";

/// The users of the playground.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Players {
    /// The two.
    users: Vec<Player>,
}

/// One of them.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Player {
    /// Who.
    user: User,
    /// A token of this user.
    token: String,
    /// When it ends.
    expires_at: Timestamp,
}

pub(super) fn operations() -> Vec<Operation> {
    let player = |id, name: &str, shown| {
        json!({
            "user": {"_id": id, "username": name, "isOnline": false, "externalId": name, "displayName": shown},
            "token": "eyJhbGciOiJIUzI1NiJ9.e30.x",
            "expiresAt": AT,
        })
    };
    let players = json!({"users": [player(ADA, "playground-ada", "Ada"), player(GRACE, "playground-grace", "Grace")]});
    let file = |_: &mut super::Schemas| json!({"type": "string", "pattern": "^[0-9A-Za-z_.-]+$"});
    let page = |path, id, summary| Operation {
        summary,
        access: Access::Anybody,
        answers: vec![(200, "The page", Content::Text(&["text/html"]))],
        ..Operation::new("get", path, id, TAG)
    };
    vec![
        page(
            "/docs",
            "docs",
            "A page with every event and request, to be tried with a token",
        ),
        Operation {
            more: "Where `PLAYGROUND` is on; else `not_found`, which says why.",
            codes: &[ErrorCode::NotFound],
            ..page(
                "/playground",
                "playground",
                "A page on which two users with several devices can be tried",
            )
        },
        Operation {
            summary: "The two users of the playground, and a token of each",
            more: "For the page `/playground`, and for programs; the tokens hold for 15 minutes.",
            access: Access::Anybody,
            codes: &[
                ErrorCode::NotFound,
                ErrorCode::Forbidden,
                ErrorCode::StoreUnavailable,
                ErrorCode::ShuttingDown,
            ],
            ..Operation::new("post", "/playground/tokens", "playgroundTokens", TAG)
                .answers("The users", Payload::answered::<Players>(players))
        },
        Operation {
            summary: "What the pages load",
            access: Access::Anybody,
            parameters: vec![Parameter::plain("file", "The name of a file", file, json!("style.css"))],
            answers: vec![(
                200,
                "The file",
                Content::Text(&["text/css", "text/javascript", "image/svg+xml"]),
            )],
            codes: &[ErrorCode::NotFound],
            ..Operation::new("get", "/pages/{file}", "pageFile", TAG)
        },
    ]
}
