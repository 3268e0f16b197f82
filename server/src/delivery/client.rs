//! A connection as delivery sees it: its name, and the way to its client, which a transport implements.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::value::RawValue;
use shared::Timestamp;
use shared::admin::ConnectionInfo;

use crate::domain::Ban;

/// The name of a connection. No other connection of this process has the same one, not even later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u64);

impl ConnectionId {
    /// A name for a new connection.
    pub fn unique() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// As a number, by which [`of_number`](Self::of_number) gives it back.
    pub fn number(self) -> u64 {
        self.0
    }

    /// The one of this number.
    pub fn of_number(number: u64) -> Self {
        Self(number)
    }
}

impl FromStr for ConnectionId {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        text.parse().map(Self)
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What became of an event that was to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emitted {
    /// The transport has it, and it is charged to the connection.
    Sent,
    /// The transport did not take it: too much waits for the client. The client misses this event.
    Dropped,
    /// The connection is just being made or ended, so nothing was tried.
    NotConnected,
}

/// Why a connection is ended although its client does nothing wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The tokens of its user that were made before this moment were revoked.
    Revoked {
        /// The moment, which is up to a second ahead.
        before: Timestamp,
    },
    /// Its user is banned.
    Banned(Ban),
    /// Its token has ended.
    Expired,
    /// An administrator ends it. Its client may connect again.
    Disconnected,
}

/// What carries a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// HTTP requests, one after the other.
    Polling,
    /// A WebSocket.
    WebSocket,
}

impl Transport {
    /// What administration and metrics call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Polling => "polling",
            Self::WebSocket => "websocket",
        }
    }
}

/// The way to one connection's client.
pub trait Client: Send + Sync + 'static {
    /// Sends an event with its payload, and with a second argument if there is one. It does not wait: what the client has not
    /// read yet is charged to the connection, which is ended if that is too much.
    fn emit(&self, event: &str, payload: &RawValue, second: Option<&RawValue>) -> Emitted;

    /// Bytes that wait for the client.
    fn waiting(&self) -> usize;

    /// What carries the connection now; nothing if it is just being ended.
    fn transport(&self) -> Option<Transport>;

    /// Ends the connection because its client does not keep up. The client connects again and catches up.
    fn end_unread(&self);

    /// The second in which the token of the connection was made, if it says so.
    fn issued_at(&self) -> Option<i64>;

    /// Ends the connection: the client is sent why, its requests are refused from now on, and its transport is closed soon.
    /// Only the first of several reasons counts.
    fn end(&self, ending: Ending);

    /// The connection as an administrator sees it, under this id.
    fn describe(&self, id: String) -> ConnectionInfo;
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    /// A client that is sent nothing, and of which only the end is looked at.
    #[derive(Default)]
    pub(in crate::delivery) struct Silent {
        /// Whether it was ended.
        pub(in crate::delivery) ended: AtomicBool,
    }

    impl Client for Silent {
        fn emit(&self, _: &str, _: &RawValue, _: Option<&RawValue>) -> Emitted {
            Emitted::NotConnected
        }

        fn waiting(&self) -> usize {
            0
        }

        fn transport(&self) -> Option<Transport> {
            None
        }

        fn end_unread(&self) {}

        fn issued_at(&self) -> Option<i64> {
            None
        }

        fn end(&self, _: Ending) {
            self.ended.store(true, Ordering::SeqCst);
        }

        fn describe(&self, _: String) -> ConnectionInfo {
            unimplemented!("nobody asks")
        }
    }
}
