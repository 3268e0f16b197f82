//! What the server is, whether it is ready, and its documents.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::{ErrorCode, PROTOCOL_VERSION};

use super::super::payload::Payload;
use super::operation::{Access, Content, Operation, Parameter};
use crate::transport::client_files::NAMES;

const TAG: &str = "server";

/// What this server is.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct About {
    /// In words.
    server: String,
    /// The version of the protocol.
    protocol: u32,
    /// Where Socket.IO listens.
    socket_io: String,
    /// Where to read on.
    documents: Vec<String>,
    /// Where to ask whether it is ready.
    health: String,
}

/// That the process answers.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Health {
    /// Always `ok`.
    status: String,
}

/// Whether the server does its work, and why not.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Readiness {
    /// Whether it does.
    ready: bool,
    /// Whether it is stopping.
    stopping: bool,
    /// The database.
    store: StoreState,
    /// The inboxes, which an old database gets on the first start.
    inbox: InboxState,
    /// The log.
    log: LogState,
}

/// The state of the database.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct StoreState {
    /// Whether it takes writes.
    reachable: bool,
}

/// How far the inboxes are built.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct InboxState {
    /// Whether they can be asked for.
    ready: bool,
    /// Whether they are being built.
    building: bool,
    /// How many messages were looked at.
    done: u64,
    /// Of how many.
    total: u64,
}

/// The state of the log.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct LogState {
    /// Lines that could not be written.
    lost_lines: u64,
}

pub(super) fn operations() -> Vec<Operation> {
    let about = Payload::answered::<About>(json!({
        "server": "a one-to-one chat server",
        "protocol": PROTOCOL_VERSION,
        "socketIo": "/socket.io/",
        "documents": ["README.md", "shared/PROTOCOL.md"],
        "health": "/readyz",
    }));
    let readiness = |ready: bool| {
        Payload::answered::<Readiness>(json!({
            "ready": ready,
            "stopping": false,
            "store": {"reachable": ready},
            "inbox": {"ready": true, "building": false, "done": 0, "total": 0},
            "log": {"lostLines": 0},
        }))
    };
    let file = |_: &mut super::Schemas| json!({"type": "string", "enum": NAMES});
    vec![
        Operation {
            summary: "What this server is",
            access: Access::Anybody,
            answers: vec![(200, "What it is", Content::JsonOrPage(about))],
            ..Operation::new("get", "/", "about", TAG)
        },
        Operation {
            summary: "Whether the process answers",
            more: "It does not look at the database.",
            access: Access::Anybody,
            is_probe: true,
            ..Operation::new("get", "/healthz", "healthz", TAG)
                .answers("It does", Payload::answered::<Health>(json!({"status": "ok"})))
        },
        Operation {
            summary: "Whether the server does its work",
            more: "The database is asked once a second at most.",
            access: Access::Anybody,
            is_probe: true,
            answers: vec![
                (200, "It does", Content::Json(readiness(true))),
                (
                    503,
                    "It stops, or the database can't be reached",
                    Content::Json(readiness(false)),
                ),
            ],
            ..Operation::new("get", "/readyz", "readyz", TAG)
        },
        Operation {
            summary: "The Socket.IO client for browsers",
            more: "Where `CLIENT_DIST` names its folder; else `not_found`, which says where to get it.",
            access: Access::Anybody,
            parameters: vec![Parameter::plain(
                "file",
                "The name of a file",
                file,
                json!("socket.io.js"),
            )],
            answers: vec![(
                200,
                "The file",
                Content::Text(&["application/javascript", "application/json"]),
            )],
            codes: &[ErrorCode::NotFound],
            ..Operation::new("get", "/socket.io/{file}", "clientFile", TAG)
        },
        document("/openapi.json", "openapi", "This document", "application/json"),
        document(
            "/asyncapi.json",
            "asyncapi",
            "The events of Socket.IO: AsyncAPI 3",
            "application/json",
        ),
        document(
            "/llms.txt",
            "llms",
            "Where a language model finds what it needs",
            "text/plain",
        ),
        document(
            "/assistants.md",
            "assistants",
            "The whole contract on a few pages, for coding assistants",
            "text/markdown",
        ),
    ]
}

fn document(path: &'static str, id: &'static str, summary: &'static str, kind: &'static str) -> Operation {
    let content = match kind {
        "application/json" => Content::Json(Payload::of_any_object()),
        "text/plain" => Content::Text(&["text/plain"]),
        _ => Content::Text(&["text/markdown"]),
    };
    Operation {
        summary,
        access: Access::Anybody,
        answers: vec![(200, "The document", content)],
        ..Operation::new("get", path, id, TAG)
    }
}
