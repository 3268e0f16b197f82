//! A connection as delivery sees it: its name, and the way to its client, which a transport implements.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::value::RawValue;

/// The name of a connection. No other connection of this process has the same one, not even later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnectionId(u64);

impl ConnectionId {
    /// A name for a new connection.
    pub fn unique() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
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

/// The way to one connection's client.
pub trait Client: Send + Sync + 'static {
    /// Sends an event with its payload, and with a second argument if there is one. It does not wait: what the client has not
    /// read yet is charged to the connection, which is ended if that is too much.
    fn emit(&self, event: &str, payload: &RawValue, second: Option<&RawValue>) -> Emitted;

    /// Bytes that wait for the client.
    fn waiting(&self) -> usize;

    /// Ends the connection because its client does not keep up. The client connects again and catches up.
    fn end_unread(&self);
}
