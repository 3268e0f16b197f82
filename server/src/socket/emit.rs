//! Sending to one connection: every packet is charged to its link before the library has it.
//!
//! A packet that may not wait, because too many bytes or packets wait already, ends the session, so that its client
//! notices that it missed something and catches up when it is back.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use socketioxide::adapter::LocalAdapter;
use socketioxide::extract::AckSender;
use socketioxide::handler::FromMessageParts;
use socketioxide::socket::Socket;
use socketioxide::{SendError, SocketError};
use socketioxide_core::Value;

use std::sync::Arc;

use crate::net::connection::EndReason;
use crate::net::link::Link;

/// A payload as it will be written, or `None` if it has no JSON form, which is logged.
pub fn json(payload: &(impl Serialize + ?Sized)) -> Option<Box<RawValue>> {
    to_raw_value(payload)
        .inspect_err(|cause| tracing::error!(%cause, "an event could not be serialised"))
        .ok()
}

/// Sends an event, with a second argument if there is one. Returns whether it was sent.
pub fn event(socket: &Socket, event: &str, payload: &RawValue, second: Option<&RawValue>) -> bool {
    // 42["event",payload,second]
    let second_bytes = second.map_or(0, |second| second.get().len() + 1);
    let bytes = 2 + event.len() + 5 + payload.get().len() + second_bytes;
    charged(socket, bytes, || match second {
        Some(second) => socket.emit(event, &(payload, second)),
        None => socket.emit(event, &(payload,)),
    })
}

/// Answers a request that asked for it under the number `ack`. Returns whether that was sent.
pub fn answer(socket: &Arc<Socket>, ack: i64, answer: &RawValue) -> bool {
    // 43ack[answer]
    let digits = ack.checked_ilog10().map_or(1, |digits| digits as usize + 1);
    let bytes = 2 + digits + 2 + answer.get().len();
    charged(socket, bytes, || {
        let Ok(sender) = AckSender::<LocalAdapter>::from_message_parts(
            socket,
            &mut Value::Str(Default::default(), None),
            &Some(ack),
        );
        sender.send(answer)
    })
}

fn charged(socket: &Socket, bytes: usize, send: impl FnOnce() -> Result<(), SendError>) -> bool {
    let link = Link::of(socket);
    if link.is_some_and(|link| link.charge(bytes).is_err()) {
        return false;
    }
    match send() {
        Ok(()) => true,
        Err(SendError::Socket(SocketError::InternalChannelFull)) => {
            if let Some(link) = link {
                link.end(EndReason::Unread);
            }
            false
        }
        Err(SendError::Serialize(cause)) => {
            tracing::error!(%cause, "an event could not be serialised");
            false
        }
        // A connection that was closed meanwhile hears nothing more, as it should.
        Err(SendError::Socket(SocketError::Closed)) => false,
    }
}
