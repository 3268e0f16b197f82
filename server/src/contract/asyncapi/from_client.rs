//! The events that clients send.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::conversation::{Inbox, ListConversations, MarkUpTo, MarkedUpTo};
use shared::events::{self, Answer, SendMessage, Sent};
use shared::presence::{CurrentSettings, PresenceOf, PresentNow, SetTyping};
use shared::session::{RefreshToken, Refreshed};
use shared::sync::{SyncRequest, Synced};
use shared::{ErrorCode, MessageId, SettingsChange};

use super::super::examples::{ADA, AT, GRACE, MESSAGE, conversation, message};
use super::super::payload::Payload;
use super::super::schemas::UserRef;
use super::Request;

/// The codes that every event can be answered with.
pub(super) const ALWAYS: &[ErrorCode] = &[
    ErrorCode::InvalidRequest,
    ErrorCode::PayloadTooLarge,
    ErrorCode::RateLimited,
    ErrorCode::Overloaded,
    ErrorCode::StoreUnavailable,
    ErrorCode::ShuttingDown,
    ErrorCode::Internal,
    ErrorCode::TokenExpired,
    ErrorCode::TokenRevoked,
    ErrorCode::Banned,
    ErrorCode::Disconnected,
];

/// Nothing beside `ok`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Nothing {}

/// Every event of a client, with its answer.
pub(super) fn requests() -> Vec<Request> {
    vec![
        Request {
            event: events::SEND_MESSAGE,
            summary: "Store a message and deliver it; answered once it is durable",
            payload: Payload::asked::<SendMessage<UserRef>>(json!({
                "receiverId": "6945576383968f286a0ff5f9",
                "message": "Hello",
                "clientMessageId": "01983f6e-5c5a-7c3e-9d0e-3f1b2a4c5d6e",
            })),
            answer: answer::<Sent>(json!({"message": message(), "duplicate": false})),
            codes: &[
                ErrorCode::InvalidId,
                ErrorCode::MessageEmpty,
                ErrorCode::MessageTooLong,
                ErrorCode::UserNotFound,
                ErrorCode::IdempotencyConflict,
                ErrorCode::QuotaExceeded,
            ],
        },
        Request {
            event: events::SYNC,
            summary: "What concerns this user since a cursor; without one a fresh cursor and the inbox",
            payload: Payload::asked::<SyncRequest>(json!({"since": "AQ", "limit": 200})),
            answer: answer::<Synced>(json!({
                "events": [
                    {"type": "message", "message": message()},
                    {"type": "messages_read", "userId": ADA, "peerId": GRACE, "upTo": MESSAGE, "at": AT},
                    {"type": "settings", "settings": {"readReceipts": true, "invisible": false, "version": 3}},
                ],
                "next": "AQ",
                "hasMore": false,
            })),
            codes: &[ErrorCode::SyncReset, ErrorCode::InboxBuilding],
        },
        mark(
            events::MARK_DELIVERED,
            "Say that messages were received, up to one of them",
        ),
        mark(
            events::MARK_READ,
            "Say that messages were read, up to one of them; that implies having received them",
        ),
        Request {
            event: events::CONVERSATIONS,
            summary: "A page of the inbox, the conversation with the newest message first",
            payload: Payload::asked::<ListConversations>(json!({"limit": 50})),
            answer: answer::<Inbox>(json!({"conversations": [conversation()], "totalUnread": 2})),
            codes: &[ErrorCode::InboxBuilding],
        },
        Request {
            event: events::SUBSCRIBE_PRESENCE,
            summary: "Who of these users is there, now and whenever it changes",
            payload: Payload::asked::<PresenceOf<UserRef>>(json!({"userIds": [GRACE]})),
            answer: answer::<PresentNow>(json!({"presence": [{"userId": GRACE, "isOnline": true, "lastSeen": AT}]})),
            codes: &[ErrorCode::InvalidId, ErrorCode::Forbidden],
        },
        Request {
            event: events::UNSUBSCRIBE_PRESENCE,
            summary: "Be told no more who of these users is there",
            payload: Payload::asked::<PresenceOf<UserRef>>(json!({"userIds": [GRACE]})),
            answer: answer::<Nothing>(json!({})),
            codes: &[ErrorCode::InvalidId],
        },
        Request {
            event: events::TYPING,
            summary: "Say that one types, or stopped; never stored, and over after 6 seconds unless said again",
            payload: Payload::asked::<SetTyping<UserRef>>(json!({"receiverId": GRACE, "isTyping": true})),
            answer: answer::<Nothing>(json!({})),
            codes: &[ErrorCode::InvalidId],
        },
        Request {
            event: events::UPDATE_SETTINGS,
            summary: "Change one's settings; what is absent stays",
            payload: Payload::asked::<SettingsChange>(json!({"readReceipts": false})),
            answer: answer::<CurrentSettings>(
                json!({"settings": {"readReceipts": false, "invisible": false, "version": 4}}),
            ),
            codes: &[ErrorCode::UserNotFound],
        },
        Request {
            event: events::REFRESH_TOKEN,
            summary: "Go on with another token of the same user",
            payload: Payload::asked::<RefreshToken>(json!({"token": "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl"})),
            answer: answer::<Refreshed>(json!({"expiresAt": "2026-11-23T11:03:42.000Z"})),
            codes: &[ErrorCode::Forbidden, ErrorCode::TokenInvalid, ErrorCode::UserUnknown],
        },
    ]
}

fn mark(event: &'static str, summary: &'static str) -> Request {
    Request {
        event,
        summary,
        payload: Payload::asked::<MarkUpTo<UserRef, MessageId>>(json!({"peerId": GRACE, "upTo": MESSAGE})),
        answer: answer::<MarkedUpTo>(json!({"peerId": GRACE, "readUpTo": MESSAGE, "deliveredUpTo": MESSAGE})),
        codes: &[ErrorCode::InvalidId, ErrorCode::MessageNotFound],
    }
}

/// An answer with these fields, or an error.
fn answer<T>(mut fields: Value) -> Payload
where
    T: JsonSchema + Serialize + serde::de::DeserializeOwned + std::fmt::Debug,
{
    fields["ok"] = true.into();
    Payload::answered::<Answer<T>>(fields)
}
