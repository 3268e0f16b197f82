//! Sending to one connection: every packet is charged to its link before the library has it.
//!
//! A packet that may not wait, because too many bytes or packets wait already, ends the session, so that its client
//! notices that it missed something and catches up when it is back.

use std::io;
use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;
use socketioxide::adapter::LocalAdapter;
use socketioxide::extract::AckSender;
use socketioxide::handler::FromMessageParts;
use socketioxide::socket::Socket;
use socketioxide::{SendError, SocketError};
use socketioxide_core::Value;

use crate::transport::tcp::end_reason::EndReason;
use crate::transport::tcp::link::Link;

/// A payload that has a JSON form, and how long that is.
struct Measured<'a, T: ?Sized> {
    payload: &'a T,
    bytes: usize,
}

impl<'a, T: Serialize + ?Sized> Measured<'a, T> {
    /// `None` if it has no JSON form, which is logged.
    fn new(payload: &'a T) -> Option<Self> {
        struct Length(usize);
        impl io::Write for Length {
            fn write(&mut self, part: &[u8]) -> io::Result<usize> {
                self.0 += part.len();
                Ok(part.len())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut length = Length(0);
        match serde_json::to_writer(&mut length, payload) {
            Ok(()) => Some(Self {
                payload,
                bytes: length.0,
            }),
            Err(cause) => {
                tracing::error!(%cause, "emit: an event could not be serialised");
                None
            }
        }
    }
}

/// Sends an event. Returns whether it was sent.
pub(super) fn event(socket: &Socket, event: &str, payload: &(impl Serialize + ?Sized)) -> bool {
    Measured::new(payload).is_some_and(|payload| send_event(socket, Link::of(socket), event, &payload, None))
}

/// Sends an event whose payload is JSON already, with a second argument if there is one. Returns whether it was sent.
pub(super) fn json_event(
    socket: &Socket,
    link: &Link,
    event: &str,
    payload: &RawValue,
    second: Option<&RawValue>,
) -> bool {
    let payload = Measured {
        payload,
        bytes: payload.get().len(),
    };
    send_event(socket, Some(link), event, &payload, second)
}

/// Answers a request that asked for it under the number `ack`. Returns whether that was sent.
pub(super) fn answer(socket: &Arc<Socket>, link: &Link, ack: i64, answer: &impl Serialize) -> bool {
    let Some(answer) = Measured::new(answer) else {
        return false;
    };
    // 43ack[answer]
    let digits = ack.checked_ilog10().map_or(1, |digits| digits as usize + 1);
    let bytes = 2 + digits + 2 + answer.bytes;
    charged(Some(link), bytes, || {
        let Ok(sender) = AckSender::<LocalAdapter>::from_message_parts(
            socket,
            &mut Value::Str(Default::default(), None),
            &Some(ack),
        );
        sender.send(answer.payload)
    })
}

/// Sends an event, with a second argument if there is one.
fn send_event<T: Serialize + ?Sized>(
    socket: &Socket,
    link: Option<&Link>,
    event: &str,
    payload: &Measured<'_, T>,
    second: Option<&RawValue>,
) -> bool {
    // 42["event",payload,second]
    let second_bytes = second.map_or(0, |second| second.get().len() + 1);
    let bytes = 2 + event.len() + 5 + payload.bytes + second_bytes;
    charged(link, bytes, || match second {
        Some(second) => socket.emit(event, &(payload.payload, second)),
        None => socket.emit(event, &(payload.payload,)),
    })
}

fn charged(link: Option<&Link>, bytes: usize, send: impl FnOnce() -> Result<(), SendError>) -> bool {
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
            tracing::error!(%cause, "emit: an event could not be serialised");
            false
        }
        // A connection that was closed meanwhile receives nothing more, as it should.
        Err(SendError::Socket(SocketError::Closed)) => false,
    }
}
