//! What the server says of its own accord, read from the events of a connection.

use serde::de::DeserializeOwned;
use serde_json::Value;
use shared::events::{self, RequestFailed};
use shared::presence::Typing;
use shared::sync::{Receipt, SyncDone, SyncReset};
use shared::{Conversation, Message, Presence, Settings, UserId};

use super::event::Event;

/// One piece of news.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// A message for this user.
    Received(Message),
    /// A message that this user sent over another connection.
    SentElsewhere(Message),
    /// Somebody has received this user's messages.
    Delivered(Receipt),
    /// Somebody has read this user's messages.
    Read(Receipt),
    /// A conversation as it is now.
    Conversation(Box<Conversation>),
    /// Somebody who is followed came or left.
    Presence(Presence),
    /// Somebody types, or stopped.
    Typing(Typing),
    /// This user's settings.
    Settings(Settings),
    /// All that was missed has been sent, as far as it is sent unasked.
    SyncDone(SyncDone),
    /// The cursor can't be used.
    SyncReset(SyncReset),
    /// A request that asked for no answer failed.
    Failed(RequestFailed),
}

impl News {
    /// Reads an event on a connection of `me`; none for one that this program does not know.
    pub fn read(me: UserId, event: &Event) -> Option<Self> {
        let Event { name, payload, .. } = event;
        if *name == events::receive_message(me) {
            return decode(payload).map(Self::Received);
        }
        match name.as_str() {
            events::MESSAGE_SENT => decode(payload).map(Self::SentElsewhere),
            events::MESSAGES_DELIVERED => decode(payload).map(Self::Delivered),
            events::MESSAGES_READ => decode(payload).map(Self::Read),
            events::CONVERSATION_UPDATED => {
                decode(payload).map(|conversation| Self::Conversation(Box::new(conversation)))
            }
            events::PRESENCE => decode(payload).map(Self::Presence),
            events::TYPING => decode(payload).map(Self::Typing),
            events::SETTINGS_UPDATED => decode(payload).map(Self::Settings),
            events::SYNC_DONE => decode(payload).map(Self::SyncDone),
            events::SYNC_RESET => decode(payload).map(Self::SyncReset),
            events::REQUEST_FAILED => decode(payload).map(Self::Failed),
            _ => None,
        }
    }
}

fn decode<T: DeserializeOwned>(payload: &Value) -> Option<T> {
    T::deserialize(payload).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ME: UserId = UserId::from_bytes([1; 12]);

    fn event(name: &str, payload: Value) -> Event {
        let (name, cursor) = (name.to_owned(), None);
        Event { name, payload, cursor }
    }

    #[test]
    fn only_what_is_for_this_user_is_read() {
        let message = json!({"_id": "6b040f7eb209ada4add1c867", "receiver": ME});
        let mine = event(&events::receive_message(ME), message.clone());
        assert!(matches!(News::read(ME, &mine), Some(News::Received(_))));
        let other = event(&events::receive_message(UserId::from_bytes([2; 12])), message);
        assert_eq!(News::read(ME, &other), None);
        assert_eq!(News::read(ME, &event(events::TYPING, json!({"userId": 7}))), None);
    }
}
