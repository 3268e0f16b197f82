//! The way to one connection's client, for [`crate::delivery`].

use std::sync::{Arc, Weak};

use serde_json::value::RawValue;
use socketioxide::socket::Socket;

use super::emit;
use crate::delivery::client::{Client, Emitted};
use crate::transport::tcp::end_reason::EndReason;
use crate::transport::tcp::link::Link;

/// The way to one connection's client. It does not keep the connection's socket: that is dropped, without any event, if its
/// client leaves before it was let in.
pub struct SocketClient {
    socket: Weak<Socket>,
    link: Link,
}

impl SocketClient {
    /// The way to this socket, whose link it is.
    pub fn new(socket: &Arc<Socket>, link: Link) -> Self {
        Self {
            socket: Arc::downgrade(socket),
            link,
        }
    }
}

impl Client for SocketClient {
    fn emit(&self, event: &str, payload: &RawValue, second: Option<&RawValue>) -> Emitted {
        fail::fail_point!("socketio::emit", |_| Emitted::NotConnected);
        let Some(socket) = self.socket.upgrade().filter(|socket| socket.connected()) else {
            return Emitted::NotConnected;
        };
        match emit::json_event(&socket, &self.link, event, payload, second) {
            true => Emitted::Sent,
            false => Emitted::Dropped,
        }
    }

    fn waiting(&self) -> usize {
        self.link.account().waiting()
    }

    fn end_unread(&self) {
        self.link.end(EndReason::Unread);
    }
}
