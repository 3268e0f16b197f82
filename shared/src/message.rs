//! The stored message, as every client sees it.

use serde::{Deserialize, Serialize};

use crate::{MessageId, Timestamp, UserId};

/// One message, in the field order that existing clients rely on.
///
/// Messages of the program that this server replaced can lack fields; what is missing in the database is missing
/// here and on the wire, never `null`. Messages written by this server have all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// The message's own id.
    #[serde(rename = "_id")]
    pub id: MessageId,
    /// Who wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<UserId>,
    /// Whom it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiver: Option<UserId>,
    /// The text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When the server took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// When it last changed; equal to `created_at` for one that never did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
    /// Mongoose's version key.
    #[serde(rename = "__v", default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"{"_id":"6b040f7eb209ada4add1c867","sender":"6945577083968f286a0ff5fb","receiver":"6945576383968f286a0ff5f9","message":"Hello","createdAt":"2026-11-23T10:03:42.886Z","updatedAt":"2026-11-23T10:03:42.886Z","__v":0}"#;
    const HOLED: &str = r#"{"_id":"6b040f80b209ada4add1c8b9","sender":"6945576383968f286a0ff5f9","createdAt":"2026-11-23T10:03:44.550Z","__v":0}"#;

    #[test]
    fn golden() {
        for text in [WHOLE, HOLED] {
            let message: Message = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&message).unwrap(), text);
        }
    }
}
