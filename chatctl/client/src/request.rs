//! What a client asks of the server over its connection, and the answers.

use serde::de::DeserializeOwned;
use serde_json::Value;
use shared::conversation::{Inbox, ListConversations, MarkUpTo};
use shared::events::{self, Answer, SendMessage, Sent};
use shared::presence::{PresenceOf, PresentNow, SetTyping};
use shared::session::RefreshToken;
use shared::sync::{SyncRequest, Synced};
use shared::{ErrorCode, UserId, WireError};

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Store and deliver a message.
    Send(SendMessage),
    /// A page of what was missed.
    Sync(SyncRequest),
    /// A page of the inbox.
    Inbox(ListConversations),
    /// To be told of somebody's presence.
    Follow(UserId),
    /// To be told no more.
    Unfollow(UserId),
    /// Messages were received.
    Delivered(MarkUpTo),
    /// Messages were read.
    Read(MarkUpTo),
    /// One types, or stopped.
    Typing(SetTyping),
    /// To go on with another token.
    Refresh(RefreshToken),
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// To [`Request::Send`] of this `clientMessageId`.
    Sent(String, Answer<Sent>),
    /// To [`Request::Sync`].
    Synced(Answer<Synced>),
    /// To [`Request::Inbox`].
    Inbox(Answer<Inbox>),
    /// To [`Request::Follow`] of this user.
    Following(UserId, Answer<PresentNow>),
    /// To a request whose failure alone would be told; none of these is asked to be answered.
    Nothing,
}

impl Request {
    /// The event that carries it.
    pub fn event(&self) -> &'static str {
        match self {
            Self::Send(_) => events::SEND_MESSAGE,
            Self::Sync(_) => events::SYNC,
            Self::Inbox(_) => events::CONVERSATIONS,
            Self::Follow(_) => events::SUBSCRIBE_PRESENCE,
            Self::Unfollow(_) => events::UNSUBSCRIBE_PRESENCE,
            Self::Delivered(_) => events::MARK_DELIVERED,
            Self::Read(_) => events::MARK_READ,
            Self::Typing(_) => events::TYPING,
            Self::Refresh(_) => events::REFRESH_TOKEN,
        }
    }

    /// Its payload.
    pub fn payload(&self) -> Value {
        let payload = match self {
            Self::Send(message) => serde_json::to_value(message),
            Self::Sync(sync) => serde_json::to_value(sync),
            Self::Inbox(page) => serde_json::to_value(page),
            Self::Follow(user) | Self::Unfollow(user) => serde_json::to_value(PresenceOf { user_ids: vec![*user] }),
            Self::Delivered(mark) | Self::Read(mark) => serde_json::to_value(mark),
            Self::Typing(typing) => serde_json::to_value(typing),
            Self::Refresh(token) => serde_json::to_value(token),
        };
        payload.expect("requests are JSON")
    }

    /// Whether an answer is asked for. Of the others only a failure is told, as the event `request_failed`.
    pub fn is_answered(&self) -> bool {
        matches!(self, Self::Send(_) | Self::Sync(_) | Self::Inbox(_) | Self::Follow(_))
    }

    /// The answer to it.
    pub fn reply(self, answer: Answer<Value>) -> Reply {
        match self {
            Self::Send(message) => Reply::Sent(message.client_message_id.unwrap_or_default(), read(answer)),
            Self::Sync(_) => Reply::Synced(read(answer)),
            Self::Inbox(_) => Reply::Inbox(read(answer)),
            Self::Follow(user) => Reply::Following(user, read(answer)),
            Self::Unfollow(_) | Self::Delivered(_) | Self::Read(_) | Self::Typing(_) | Self::Refresh(_) => {
                Reply::Nothing
            }
        }
    }
}

fn read<T: DeserializeOwned>(answer: Answer<Value>) -> Answer<T> {
    match answer {
        Answer::Ok(value) => serde_json::from_value(value).map_or_else(|_| Answer::Error(unknown_kind()), Answer::Ok),
        Answer::Error(error) => Answer::Error(error),
    }
}

/// What is said of an answer that can't be read.
pub fn unknown_kind() -> WireError {
    WireError::new(
        ErrorCode::Internal,
        "the server's answer is of a kind that this chatctl doesn't know",
    )
}
