//! The front end for scripts: each line of standard input is sent, each event is a line of JSON on standard output,
//! written at once. `chatctl chat --help` documents the events.

use std::io::{self, BufRead, Write};
use std::thread;
use std::time::Duration;

use serde::Serialize;
use shared::presence::Typing;
use shared::sync::Receipt;
use shared::{Conversation, Message, Presence, UserId, WireError};
use tokio::sync::mpsc::{Receiver, channel};

use super::driver::{self, ChatError, ChatOptions, ChatOutcome};
use super::{ChatEvent, Input};

/// How long outstanding acknowledgements are waited for at the end.
pub(crate) const ACKNOWLEDGEMENT_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case", rename_all_fields = "camelCase")]
enum JsonEvent<'a> {
    Connected {
        user_id: UserId,
        with: UserId,
    },
    ReceiveMessage {
        message: &'a Message,
        #[serde(skip_serializing_if = "is_false")]
        missed: bool,
    },
    MessageSent {
        message: &'a Message,
        #[serde(skip_serializing_if = "is_false")]
        missed: bool,
    },
    Ack {
        client_message_id: &'a str,
        message: &'a Message,
        duplicate: bool,
    },
    Retry {
        client_message_id: &'a str,
        error: &'a WireError,
        retry_in_ms: u128,
    },
    Error {
        client_message_id: &'a str,
        error: &'a WireError,
    },
    Disconnected {
        reason: &'a str,
        retry_in_ms: u128,
    },
    SyncDone {
        #[serde(skip_serializing_if = "Option::is_none")]
        cursor: Option<&'a str>,
    },
    SyncReset {
        reason: &'a str,
    },
    Delivered(&'a Receipt),
    Read(&'a Receipt),
    Typing(&'a Typing),
    Presence(&'a Presence),
    ConversationUpdated {
        conversation: &'a Conversation,
    },
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// Chats from a script.
pub(crate) async fn run(setup: ChatOptions) -> Result<ChatOutcome, ChatError> {
    let (me, with) = (setup.me, setup.peer);
    driver::run(setup, stdin_lines(), |report| print(me, with, &report)).await
}

/// The lines of standard input, read by a thread of its own that waits while too many are outstanding.
fn stdin_lines() -> Receiver<Input> {
    let (inputs, receiver) = channel(16);
    thread::spawn(move || {
        let mut stdin = io::stdin().lock();
        let mut line = Vec::new();
        while matches!(stdin.read_until(b'\n', &mut line), Ok(1..)) {
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end_matches(['\r', '\n']);
            if !text.is_empty() && inputs.blocking_send(Input::Say(text.to_owned())).is_err() {
                break;
            }
            line.clear();
        }
    });
    receiver
}

fn print(me: UserId, with: UserId, report: &ChatEvent) -> io::Result<()> {
    let event = match report {
        ChatEvent::Connected => JsonEvent::Connected { user_id: me, with },
        ChatEvent::Disconnected { reason, retry_in } => JsonEvent::Disconnected {
            reason,
            retry_in_ms: retry_in.as_millis(),
        },
        // A message to oneself is received.
        ChatEvent::Heard { message, missed } if message.receiver == Some(me) => JsonEvent::ReceiveMessage {
            message,
            missed: *missed,
        },
        ChatEvent::Heard { message, missed } => JsonEvent::MessageSent {
            message,
            missed: *missed,
        },
        ChatEvent::Sent {
            client_message_id,
            message,
            duplicate,
        } => JsonEvent::Ack {
            client_message_id,
            message,
            duplicate: *duplicate,
        },
        ChatEvent::Retrying {
            client_message_id,
            error,
            retry_in,
        } => JsonEvent::Retry {
            client_message_id,
            error,
            retry_in_ms: retry_in.as_millis(),
        },
        ChatEvent::Refused { draft, error } => JsonEvent::Error {
            client_message_id: &draft.client_message_id,
            error,
        },
        ChatEvent::CaughtUp(cursor) => JsonEvent::SyncDone {
            cursor: cursor.as_deref(),
        },
        ChatEvent::Gap(reason) => JsonEvent::SyncReset { reason },
        ChatEvent::Delivered(receipt) => JsonEvent::Delivered(receipt),
        ChatEvent::Read(receipt) => JsonEvent::Read(receipt),
        ChatEvent::Typing(typing) => JsonEvent::Typing(typing),
        ChatEvent::Presence(presence) => JsonEvent::Presence(presence),
        ChatEvent::Conversation(conversation) => JsonEvent::ConversationUpdated { conversation },
        ChatEvent::HistoryFailed(reason) => {
            // It is for people; what the script reads is standard output.
            let _ = writeln!(anstream::stderr(), "history: {reason}");
            return Ok(());
        }
        // The exit status and one line of the command tell.
        ChatEvent::Unacknowledged(_) => return Ok(()),
        // Told to people only: scripts have the acknowledgements and the conversations, and never ask for history.
        ChatEvent::Opened { .. } | ChatEvent::History(_) | ChatEvent::Waiting(_) => return Ok(()),
        ChatEvent::Held(_) | ChatEvent::NoDatabase | ChatEvent::Stranger(_) => return Ok(()),
        ChatEvent::Reached { .. } | ChatEvent::Elsewhere(_) => return Ok(()),
    };
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, &event)?;
    writeln!(out)?;
    out.flush()
}
