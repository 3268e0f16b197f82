//! The events that the server sends.

use serde_json::json;
use shared::admin::SessionEnded;
use shared::events::{self, DevHint, RequestFailed};
use shared::presence::Typing;
use shared::session::TokenEnd;
use shared::sync::{Receipt, SyncDone, SyncReset};
use shared::{Conversation, Message, PROTOCOL_VERSION, Presence, Settings};

use super::super::examples::{ADA, AT, GRACE, MESSAGE, conversation, message};
use super::super::payload::Payload;
use super::Event;

/// The name of the event [`events::receive_message`] in the document; its address has the id.
pub(super) const RECEIVE_MESSAGE: &str = "receive_message";

/// Every event of the server.
pub(super) fn events() -> Vec<Event> {
    let receipt = || Payload::answered::<Receipt>(json!({"userId": GRACE, "upTo": MESSAGE, "at": AT}));
    let token_end = || Payload::answered::<TokenEnd>(json!({"expiresAt": AT}));
    let with_cursor = |event, summary, payload| Event {
        event,
        address: None,
        summary,
        payload,
        has_cursor: true,
    };
    let plain = |event, summary, payload| Event {
        has_cursor: false,
        ..with_cursor(event, summary, payload)
    };
    vec![
        Event {
            address: Some("receive_message_{userId}"),
            ..with_cursor(
                RECEIVE_MESSAGE,
                "A message for this user: to all connections of the receiver",
                Payload::answered::<Message>(message()),
            )
        },
        with_cursor(
            events::MESSAGE_SENT,
            "A message of this user: to the connections that did not send it",
            Payload::answered::<Message>(message()),
        ),
        with_cursor(
            events::MESSAGES_DELIVERED,
            "Somebody has received this user's messages, up to one of them",
            receipt(),
        ),
        with_cursor(
            events::MESSAGES_READ,
            "Somebody has read this user's messages, up to one of them",
            receipt(),
        ),
        with_cursor(
            events::CONVERSATION_UPDATED,
            "A conversation of this user as it is now; it replaces what was known of it",
            Payload::answered::<Conversation>(conversation()),
        ),
        with_cursor(
            events::SETTINGS_UPDATED,
            "This user's settings as they are now",
            Payload::answered::<Settings>(json!({"readReceipts": false, "invisible": false, "version": 4})),
        ),
        plain(
            events::PRESENCE,
            "Somebody whom this connection follows came or left",
            Payload::answered::<Presence>(json!({"userId": GRACE, "isOnline": true, "lastSeen": AT})),
        ),
        plain(
            events::TYPING,
            "Somebody types to this user, or stopped",
            Payload::answered::<Typing>(json!({"userId": ADA, "isTyping": true})),
        ),
        plain(
            events::SYNC_DONE,
            "All that was missed was sent; with `hasMore` go on with `sync` from `next`",
            Payload::answered::<SyncDone>(json!({"next": "AQ", "hasMore": false, "protocol": PROTOCOL_VERSION})),
        ),
        plain(
            events::SYNC_RESET,
            "The cursor can't be used: begin without one",
            Payload::answered::<SyncReset>(json!({"message": "the cursor is of another database"})),
        ),
        plain(
            events::TOKEN_EXPIRING,
            "The connection's token ends soon: send `refresh_token` with a new one",
            token_end(),
        ),
        plain(
            events::TOKEN_EXPIRED,
            "The connection's token has ended, and the connection is closed in a moment",
            token_end(),
        ),
        plain(
            events::SESSION_ENDED,
            "The connection ends in a moment: its user is shut out, or an administrator ends it",
            Payload::answered::<SessionEnded>(
                json!({"code": "banned", "message": "an administrator has banned this user", "until": AT}),
            ),
        ),
        plain(
            events::DEV_HINT,
            "A mistake in how this client uses the server, once for each kind; while developing (`DEV_HINTS`)",
            Payload::answered::<DevHint>(json!({
                "code": "no_acknowledgement",
                "message": "send_message asked for no acknowledgement, so this client can't know whether its message is stored",
            })),
        ),
        plain(
            events::REQUEST_FAILED,
            "An event failed that asked for no acknowledgement",
            Payload::answered::<RequestFailed>(json!({
                "event": "send_message",
                "clientMessageId": "01983f6e-5c5a-7c3e-9d0e-3f1b2a4c5d6e",
                "error": {
                    "code": "overloaded",
                    "message": "too many messages or marks wait to be stored; try again",
                    "retryAfterMs": 250,
                },
            })),
        ),
    ]
}
