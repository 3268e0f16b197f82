//! Who is there, who is typing, and what a user lets others know of it.

use serde::{Deserialize, Serialize};

use crate::{Timestamp, UserId};

/// Payload of [`crate::events::SUBSCRIBE_PRESENCE`] and [`crate::events::UNSUBSCRIBE_PRESENCE`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "PresenceOf"))]
#[serde(rename_all = "camelCase")]
pub struct PresenceOf<I = UserId> {
    /// Whose: 1 to [`crate::limits::PRESENCE_SUBSCRIPTIONS`].
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = crate::limits::PRESENCE_SUBSCRIPTIONS)))]
    pub user_ids: Vec<I>,
}

/// The answer to [`crate::events::SUBSCRIBE_PRESENCE`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PresentNow {
    /// One entry for each user asked for.
    pub presence: Vec<Presence>,
}

/// Whether somebody is there. Also the payload of [`crate::events::PRESENCE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Presence {
    /// Who.
    pub user_id: UserId,
    /// Whether they have a connection; false for one who is invisible.
    pub is_online: bool,
    /// When their first connection began or the last one ended; absent if there never was one, or they are invisible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Timestamp>,
}

/// Payload of [`crate::events::TYPING`] from a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "SetTyping"))]
#[serde(rename_all = "camelCase")]
pub struct SetTyping<I = UserId> {
    /// Who is to know.
    pub receiver_id: I,
    /// Whether one types. True is to be repeated: it expires after [`crate::limits::TYPING_TIMEOUT`].
    pub is_typing: bool,
}

/// Payload of [`crate::events::TYPING`] to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Typing {
    /// Who types, or stopped.
    pub user_id: UserId,
    /// Which of the two.
    pub is_typing: bool,
}

/// What a user lets others know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// Whether others learn what one has read. Off, one does not learn it of others either.
    pub read_receipts: bool,
    /// Whether one seems offline to everybody.
    pub invisible: bool,
    /// Grows with every change; 0 if there was none. Of two the greater one holds, whichever came last.
    #[serde(default)]
    pub version: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            read_receipts: true,
            invisible: false,
            version: 0,
        }
    }
}

/// Payload of [`crate::events::UPDATE_SETTINGS`] and body of `PATCH /users/me/settings`: what is absent stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SettingsChange {
    /// See [`Settings::read_receipts`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_receipts: Option<bool>,
    /// See [`Settings::invisible`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invisible: Option<bool>,
}

impl SettingsChange {
    /// The settings after the change, of the version before.
    pub fn apply(self, settings: Settings) -> Settings {
        Settings {
            read_receipts: self.read_receipts.unwrap_or(settings.read_receipts),
            invisible: self.invisible.unwrap_or(settings.invisible),
            version: settings.version,
        }
    }
}

/// The answer to [`crate::events::UPDATE_SETTINGS`], and the body of `/users/me/settings`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CurrentSettings {
    /// As they are now.
    pub settings: Settings,
}
