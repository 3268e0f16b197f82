//! What stands in the examples of both documents.

use serde_json::{Value, json};

pub(super) const ADA: &str = "6945577083968f286a0ff5fb";
pub(super) const GRACE: &str = "6945576383968f286a0ff5f9";
pub(super) const MESSAGE: &str = "6b040f7eb209ada4add1c867";
pub(super) const AT: &str = "2026-11-23T10:03:42.886Z";

/// A message, for examples.
pub(super) fn message() -> Value {
    json!({
        "_id": MESSAGE, "sender": ADA, "receiver": GRACE, "message": "Hello", "createdAt": AT, "updatedAt": AT, "__v": 0,
    })
}

/// A conversation, for examples.
pub(super) fn conversation() -> Value {
    json!({
        "peerId": GRACE,
        "peer": {"username": "grace", "isOnline": true, "lastSeen": AT},
        "lastMessage": message(),
        "unread": 2,
        "readUpTo": MESSAGE,
        "deliveredUpTo": MESSAGE,
    })
}
