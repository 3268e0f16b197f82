//! Sending to one connection: every packet is charged to its link before the library has it.
//!
//! A packet that may not wait, because too many bytes or packets wait already, ends the session, so that its client
//! notices that it missed something and catches up when it is back.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Weak};

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use socketioxide::adapter::LocalAdapter;
use socketioxide::extract::AckSender;
use socketioxide::handler::{FromConnectParts, FromMessageParts};
use socketioxide::socket::{Sid, Socket};
use socketioxide::{SendError, SocketError};
use socketioxide_core::Value;

use crate::transport::tcp::connection::EndReason;
use crate::transport::tcp::link::Link;

/// The way to one connection. It does not keep the connection's socket: that is dropped without a word to anybody if its
/// client leaves before it was let in.
#[derive(Clone)]
pub struct Way {
    socket: Weak<Socket>,
    link: Link,
}

/// The devices of users, and the ways to them.
pub type ConnectionRegistry = crate::delivery::ConnectionRegistry<Sid, Way>;

/// The socket itself, which the library's own extractor gives no other hold of.
pub struct Connecting(pub Arc<Socket>);

impl FromConnectParts<LocalAdapter> for Connecting {
    type Error = Infallible;

    fn from_connect_parts(socket: &Arc<Socket>, _: &Option<Value>) -> Result<Self, Infallible> {
        Ok(Self(Arc::clone(socket)))
    }
}

impl Way {
    /// The way to this socket, whose link it is.
    pub fn new(socket: &Arc<Socket>, link: Link) -> Self {
        Self {
            socket: Arc::downgrade(socket),
            link,
        }
    }

    /// The connection's link.
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// As [`event`]. `None` if the connection is just being made or ended.
    pub fn event<T: Serialize + ?Sized>(
        &self,
        event: &str,
        payload: &Measured<'_, T>,
        second: Option<&RawValue>,
    ) -> Option<bool> {
        fail::fail_point!("socketio::emit", |_| None);
        let socket = self.socket.upgrade().filter(|socket| socket.connected())?;
        Some(send_event(&socket, Some(&self.link), event, payload, second))
    }
}

/// A payload that has a JSON form, and how long that is.
pub struct Measured<'a, T: ?Sized> {
    payload: &'a T,
    bytes: usize,
}

impl<'a, T: Serialize + ?Sized> Measured<'a, T> {
    /// `None` if it has no JSON form, which is logged.
    pub fn new(payload: &'a T) -> Option<Self> {
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
                tracing::error!(%cause, "an event could not be serialised");
                None
            }
        }
    }
}

/// A payload as it will be written, or `None` if it has no JSON form, which is logged. For what is long, or sent often.
pub fn json(payload: &(impl Serialize + ?Sized)) -> Option<Box<RawValue>> {
    to_raw_value(payload)
        .inspect_err(|cause| tracing::error!(%cause, "an event could not be serialised"))
        .ok()
}

/// Sends an event. Returns whether it was sent.
pub fn event(socket: &Socket, event: &str, payload: &(impl Serialize + ?Sized)) -> bool {
    Measured::new(payload).is_some_and(|payload| send_event(socket, Link::of(socket), event, &payload, None))
}

/// Answers a request that asked for it under the number `ack`. Returns whether that was sent.
pub fn answer(socket: &Arc<Socket>, link: &Link, ack: i64, answer: &impl Serialize) -> bool {
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
            tracing::error!(%cause, "an event could not be serialised");
            false
        }
        // A connection that was closed meanwhile hears nothing more, as it should.
        Err(SendError::Socket(SocketError::Closed)) => false,
    }
}
