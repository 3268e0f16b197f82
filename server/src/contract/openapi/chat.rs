//! History, inbox and catching up.

use serde_json::json;
use shared::conversation::Inbox;
use shared::events::Answer;
use shared::sync::Synced;
use shared::{ErrorCode, Message, MessageId, Timestamp};

use super::super::examples::{AT, GRACE, MESSAGE, conversation, message};
use super::super::payload::Payload;
use super::operation::{Operation, Parameter};

const TAG: &str = "chat";

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation {
            summary: "The messages between two users, either direction, oldest first",
            more: "For one of the two or an administrator. Without parameters the whole conversation is streamed; any parameter asks for a \
                   page instead, which is read forwards if `after` is given, or `from` without `before`, and else is the newest part of \
                   what is asked for. With `LEGACY_OPEN_HISTORY=true` it needs no token.",
            parameters: vec![
                Parameter::user("user1", "One of the two"),
                Parameter::user("user2", "The other one; the same one for notes to oneself"),
                Parameter::limit("Messages in the page; 50 if another parameter is given without it"),
                Parameter::of::<MessageId>("before", "The messages directly before this one"),
                Parameter::of::<MessageId>("after", "The messages directly after this one"),
                Parameter::of::<MessageId>(
                    "around",
                    "This message in the middle; not together with `before` or `after`",
                ),
                Parameter::of::<Timestamp>("from", "Not before this moment"),
                Parameter::of::<Timestamp>("to", "Not after this moment"),
            ],
            codes: &[ErrorCode::InvalidId, ErrorCode::Forbidden, ErrorCode::MessageNotFound],
            ..Operation::new("get", "/chat/history/{user1}/{user2}", "history", TAG)
                .answers("The messages", Payload::answered::<Vec<Message>>(json!([message()])))
        },
        Operation {
            summary: "The bearer's conversations, the one with the newest message first",
            more: "A page also ends before the conversation with which it would be longer than 512 KiB: go by `next`.",
            parameters: vec![
                Parameter::cursor("cursor", "`next` of the page before"),
                Parameter::limit("Conversations in the page; 50 without it"),
            ],
            codes: &[ErrorCode::UserNotFound, ErrorCode::InboxBuilding],
            ..Operation::new("get", "/chat/conversations", "conversations", TAG).answers(
                "A page; `next` is missing on the last one",
                Payload::answered::<Inbox>(json!({"conversations": [conversation()], "totalUnread": 2})),
            )
        },
        Operation {
            summary: "What changed for the bearer since a cursor",
            more: "Without `since` it answers no events but a fresh cursor and, as `inbox`, the first page of conversations.",
            parameters: vec![
                Parameter::cursor("since", "The last cursor that the client was given"),
                Parameter::limit("Changes in the page; 200 without it"),
            ],
            codes: &[ErrorCode::UserNotFound, ErrorCode::SyncReset, ErrorCode::InboxBuilding],
            ..Operation::new("get", "/chat/sync", "sync", TAG).answers(
                "A page, as the event `sync` is answered; while `hasMore` is true there is more now",
                Payload::answered::<Answer<Synced>>(json!({
                    "ok": true,
                    "events": [
                        {"type": "message", "message": message()},
                        {"type": "messages_delivered", "userId": GRACE, "peerId": GRACE, "upTo": MESSAGE, "at": AT},
                    ],
                    "next": "AQ",
                    "hasMore": false,
                })),
            )
        },
    ]
}
