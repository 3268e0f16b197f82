//! Administration, which is served at a place of its own.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::ErrorCode;
use shared::admin::{BanUser, Disconnected, LogLevel, SetLogLevel, UserAccess, UserConnections};
use shared::diagnosis::Diagnosis;
use shared::trace::Trace;

use super::super::examples::{ADA, AT};
use super::super::payload::Payload;
use super::super::schemas::Schemas;
use super::about::InboxState;
use super::operation::{Access, Content, Operation, Parameter};

pub(super) const TAG: &str = "administration";

/// Answer of `POST /admin/rebuild`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Rebuilding {
    /// How far it is.
    inbox: InboxState,
}

pub(super) fn operations() -> Vec<Operation> {
    let access = |fields| Payload::answered::<UserAccess>(fields);
    let who = || vec![Parameter::user("id", "Who")];
    let of_user: &[ErrorCode] = &[ErrorCode::InvalidId, ErrorCode::UserNotFound];
    let connection = |_: &mut Schemas| json!({"type": "string", "minLength": 1});
    let all = vec![
        Operation {
            summary: "Build all inboxes anew, in the background",
            more: "`GET /readyz` shows how far that is.",
            answers: vec![(
                202,
                "It has begun",
                Content::Json(Payload::answered::<Rebuilding>(
                    json!({"inbox": {"ready": true, "building": true, "done": 0, "total": 2_000}}),
                )),
            )],
            ..Operation::new("post", "/admin/rebuild", "rebuild", TAG)
        },
        Operation {
            summary: "Refuse the user's tokens that were made before now, and end the connections",
            parameters: who(),
            codes: of_user,
            ..Operation::new("post", "/admin/users/{id}/revoke", "revokeTokens", TAG).answers(
                "How it stands with the user now",
                access(json!({"userId": ADA, "revokedBefore": AT})),
            )
        },
        Operation {
            summary: "Shut the user out",
            more: "The user is shown `until` and `reason`. A body is not needed.",
            parameters: who(),
            body: Some((
                false,
                Payload::asked::<BanUser>(json!({"until": "2099-12-01T00:00:00Z", "reason": "spam"})),
            )),
            codes: of_user,
            ..Operation::new("post", "/admin/users/{id}/ban", "ban", TAG).answers(
                "How it stands with the user now",
                access(
                    json!({"userId": ADA, "ban": {"at": AT, "until": "2099-12-01T00:00:00.000Z", "reason": "spam"}}),
                ),
            )
        },
        Operation {
            summary: "Lift the user's ban, if there is one",
            parameters: who(),
            codes: of_user,
            ..Operation::new("post", "/admin/users/{id}/unban", "unban", TAG)
                .answers("How it stands with the user now", access(json!({"userId": ADA})))
        },
        Operation {
            summary: "The user's connections to the node that answers, oldest first",
            parameters: who(),
            codes: of_user,
            ..Operation::new("get", "/admin/users/{id}/connections", "connectionsOfUser", TAG).answers(
                "The connections",
                Payload::answered::<UserConnections>(json!({
                    "node": "host:4711",
                    "connections": [{
                        "id": "host:4711:7",
                        "since": AT,
                        "address": "127.0.0.1",
                        "transport": "websocket",
                        "userAgent": "node",
                        "tokenExpiresAt": "2026-11-23T11:03:42.000Z",
                        "lastEvent": {"name": "send_message", "at": AT},
                    }],
                })),
            )
        },
        Operation {
            summary: "End a connection to the node that answers",
            parameters: vec![Parameter::plain(
                "id",
                "As `connections` has it",
                connection,
                json!("host:4711:7"),
            )],
            codes: &[ErrorCode::InvalidId, ErrorCode::NotFound],
            ..Operation::new("delete", "/admin/connections/{id}", "endConnection", TAG).answers(
                "It ends in a moment",
                Payload::answered::<Disconnected>(json!({"id": "host:4711:7"})),
            )
        },
        Operation {
            summary: "What the node that answers logs",
            ..Operation::new("get", "/admin/log-level", "logLevel", TAG).answers(
                "The level",
                Payload::answered::<LogLevel>(json!({"filter": "info", "configured": "info"})),
            )
        },
        Operation {
            summary: "Log more, or less, for a time or until the process ends",
            more: "What is no filter is refused, with what may be written.",
            body: Some((
                true,
                Payload::asked::<SetLogLevel>(json!({"filter": "info,server::transport=debug", "for": 600})),
            )),
            ..Operation::new("put", "/admin/log-level", "setLogLevel", TAG).answers(
                "The level",
                Payload::answered::<LogLevel>(
                    json!({"filter": "info,server::transport=debug", "configured": "info", "until": AT}),
                ),
            )
        },
        Operation {
            summary: "How the server stands: store, indexes, files, keys. Without secrets",
            ..Operation::new("get", "/admin/doctor", "doctor", TAG).answers(
                "How it stands",
                Payload::answered::<Diagnosis>(json!({
                    "node": "host:4711",
                    "version": "0.1.0",
                    "now": AT,
                    "stopping": false,
                    "storeReachable": true,
                    "store": {
                        "engine": "embedded",
                        "durability": "synchronous=FULL",
                        "missingIndexes": [],
                        "backlog": 0,
                    },
                    "inbox": {"ready": true, "building": false, "done": 0, "total": 0},
                    "files": {"open": 40, "limit": 100_000},
                    "maxConnections": 20_000,
                    "lostLogLines": 0,
                    "riskySettings": [],
                    "tokens": {"ownKeys": 1, "mustEnd": true},
                })),
            )
        },
        Operation {
            summary: "What became of a message, as the node that answers remembers and as it is stored. Without its text",
            more: "A message that nobody knows is answered without `stored` and without `steps`.",
            parameters: vec![Parameter::plain(
                "id",
                "The id of a message, or its `clientMessageId`",
                connection,
                json!("6945577083968f286a0ff5fb"),
            )],
            codes: &[ErrorCode::InvalidId],
            ..Operation::new("get", "/admin/trace/{id}", "traceMessage", TAG).answers(
                "What is known",
                Payload::answered::<Trace>(json!({
                    "node": "host:4711",
                    "messageId": "6945577083968f286a0ff5fb",
                    "steps": [{"at": AT, "what": "received"}, {"at": AT, "what": "sent", "connection": "0a1b2c3d-7"}],
                    "more": false,
                    "stored": {"sender": ADA, "receiver": ADA, "createdAt": AT, "deliveredAt": AT},
                })),
            )
        },
    ];
    let mut all: Vec<Operation> = all
        .into_iter()
        .map(|operation| Operation {
            access: Access::Administrator,
            ..operation
        })
        .collect();
    all.push(Operation {
        summary: "What the process counts, for Prometheus",
        more: "Without a token, but where administration is served only. As OpenMetrics 1.0 for those that accept it.",
        access: Access::Anybody,
        answers: vec![(
            200,
            "All families",
            Content::Text(&["text/plain", "application/openmetrics-text"]),
        )],
        ..Operation::new("get", "/metrics", "metrics", TAG)
    });
    all
}
