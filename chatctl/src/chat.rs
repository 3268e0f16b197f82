//! A conversation. What happens in it is decided in [`session`], which knows neither terminal nor network:
//!
//! | module | what it owns |
//! |---|---|
//! | [`outbox`] | what was said and is not acknowledged yet |
//! | [`seen_messages`] | what was seen |
//! | [`session`] | the rules: one message in flight, retries, catching up, nothing shown twice, marking what was shown |
//! | [`driver`] | the loop around it: sockets, requests, timers, reconnecting ([`chatctl_client::backoff`]) |
//! | [`lines`] | the front end for scripts: lines in, JSON lines out |
//! | [`terminal`] | the front end for people: [`editor`] reads ([`editor_context`], [`command`]s, [`input_history`], [`prompt_renderer`]), [`screen`] prints, [`view`] words, [`sent_messages`] knows the ticks, [`painted_ticks`] where they stand, [`status`] is the line above, [`print_gate`] keeps them apart |

pub(crate) mod command;
pub(crate) mod driver;
pub(crate) mod editor;
pub(crate) mod editor_context;
pub(crate) mod input_history;
pub(crate) mod lines;
pub(crate) mod outbox;
pub(crate) mod painted_ticks;
pub(crate) mod print_gate;
pub(crate) mod prompt_renderer;
pub(crate) mod screen;
pub(crate) mod seen_messages;
pub(crate) mod sent_messages;
pub(crate) mod session;
pub(crate) mod status;
pub(crate) mod terminal;
pub(crate) mod view;

use std::time::Duration;

use shared::presence::Typing;
use shared::sync::Receipt;
use shared::{Conversation, Message, MessageId, Presence, UserId, WireError};

use self::outbox::Draft;

/// Messages shown when a conversation is opened.
pub(crate) const OPENING_MESSAGES: usize = 20;

/// What the front end asks for. The end of the channel asks to finish.
#[derive(Debug)]
pub(crate) enum Input {
    /// Send this to the open conversation.
    Say(String),
    /// Open the conversation with this user.
    Open(UserId),
    /// Show the newest so many messages of the open conversation.
    History(usize),
    /// Something is being typed, or no longer.
    Typing(bool),
}

/// What the front end shows.
#[derive(Debug, PartialEq)]
pub(crate) enum ChatEvent {
    /// The server accepted us.
    Connected,
    /// There is no connection; the next try is in `retry_in`.
    Disconnected {
        /// Why.
        reason: String,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// A conversation was opened.
    Opened {
        /// With whom.
        with: UserId,
        /// Its last messages, oldest first.
        messages: Vec<Message>,
    },
    /// The answer to [`Input::History`], oldest first.
    History(Vec<Message>),
    /// History could not be fetched.
    HistoryFailed(String),
    /// A message from somebody, or one that this user sent with another client.
    Heard {
        /// The message.
        message: Message,
        /// It came while there was no connection.
        missed: bool,
    },
    /// A message of ours is stored for good.
    Sent {
        /// What it was sent as.
        client_message_id: String,
        /// As it is stored.
        message: Message,
        /// It had been stored by an earlier try.
        duplicate: bool,
    },
    /// The server could not take a message now; it will be sent again.
    Retrying {
        /// What it was sent as.
        client_message_id: String,
        /// Why.
        error: WireError,
        /// When.
        retry_in: Duration,
    },
    /// A message of ours was refused for good.
    Refused {
        /// The message.
        draft: Draft,
        /// Why.
        error: WireError,
    },
    /// This was said and can't be sent yet.
    Held(String),
    /// Whether the other one is there is not told: no message was exchanged with them yet.
    Stranger(UserId),
    /// So many messages wait, for the connection or for a slow server.
    Waiting(usize),
    /// They wait because the server's database does not answer.
    NoDatabase,
    /// Everything that was missed has been told; from here the chat would go on, if the server can do that.
    CaughtUp(Option<String>),
    /// What was missed can't be told completely, for this reason.
    Gap(String),
    /// Somebody has received messages of ours.
    Delivered(Receipt),
    /// Somebody has read messages of ours.
    Read(Receipt),
    /// Somebody types, or stopped.
    Typing(Typing),
    /// The other one of the open conversation is there, or not.
    Presence(Presence),
    /// A conversation as it is now.
    Conversation(Box<Conversation>),
    /// How far the other one had received and read when the conversation was opened; told before it is.
    Reached {
        /// With whom.
        with: UserId,
        /// Up to where they have received.
        delivered: Option<MessageId>,
        /// Up to where they have read.
        read: Option<MessageId>,
    },
    /// So many messages are unread in other conversations.
    Elsewhere(u32),
    /// The conversation ends, and these were not acknowledged.
    Unacknowledged(Vec<Draft>),
}
