//! The two ends of a server without a transport: what a connection is sent, and how a request is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use server::chat::Error;
use server::chat::respond::Respond;
use server::delivery::client::{Client, ConnectionId, Emitted, Ending, Transport};
use shared::admin::ConnectionInfo;
use shared::{Timestamp, WireError};
use tokio::sync::oneshot;

use crate::world::second;

/// An event as a client gets it.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) event: String,
    pub(crate) payload: Value,
    pub(crate) cursor: Option<String>,
}

/// A connection that keeps what it is sent.
pub(crate) struct Ear {
    /// The second in which its token was made.
    token_made: i64,
    heard: Mutex<Vec<Heard>>,
    stalled: AtomicBool,
    ended: AtomicBool,
}

impl Ear {
    /// Of a token that is made now.
    pub(crate) fn new() -> Self {
        Self {
            token_made: second(),
            heard: Mutex::default(),
            stalled: AtomicBool::default(),
            ended: AtomicBool::default(),
        }
    }

    /// What came since this was called last.
    pub(crate) fn take(&self) -> Vec<Heard> {
        std::mem::take(&mut self.heard.lock())
    }

    /// It takes nothing from now on.
    pub(crate) fn stall(&self) {
        self.stalled.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_stalled(&self) -> bool {
        self.stalled.load(Ordering::SeqCst)
    }

    /// Whether its user was shut out.
    pub(crate) fn is_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }
}

/// As delivery sees an [`Ear`].
pub(crate) struct ToEar(pub(crate) Arc<Ear>);

impl Client for ToEar {
    fn emit(&self, event: &str, payload: &RawValue, second: Option<&RawValue>) -> Emitted {
        if self.0.is_stalled() {
            return Emitted::Dropped;
        }
        let value = |raw: &RawValue| serde_json::from_str::<Value>(raw.get()).expect("events are JSON");
        let cursor = second
            .map(value)
            .and_then(|second| Some(second["cursor"].as_str()?.to_owned()));
        self.0.heard.lock().push(Heard {
            event: event.to_owned(),
            payload: value(payload),
            cursor,
        });
        Emitted::Sent
    }

    fn waiting(&self) -> usize {
        0
    }

    fn transport(&self) -> Option<Transport> {
        None
    }

    fn end_unread(&self) {
        self.0.stall();
    }

    fn issued_at(&self) -> Option<i64> {
        Some(self.0.token_made)
    }

    fn end(&self, _: Ending) {
        self.0.ended.store(true, Ordering::SeqCst);
    }

    fn describe(&self, id: String) -> ConnectionInfo {
        ConnectionInfo {
            id,
            since: Timestamp::from_millis(0),
            address: "none".to_owned(),
            transport: "none".to_owned(),
            user_agent: None,
            token_expires_at: None,
            last_event: None,
        }
    }
}

/// What a request was answered.
pub(crate) type Answer = Result<Value, WireError>;

/// The answer that a request is owed. Dropped without one, its receiver knows.
pub(crate) struct Reply {
    connection: ConnectionId,
    answer: oneshot::Sender<Answer>,
}

impl Reply {
    pub(crate) fn to(connection: ConnectionId) -> (Self, oneshot::Receiver<Answer>) {
        let (answer, answered) = oneshot::channel();
        (Self { connection, answer }, answered)
    }
}

impl Respond for Reply {
    fn connection(&self) -> ConnectionId {
        self.connection
    }

    fn ok(self, answer: impl Serialize) {
        let answer = serde_json::to_value(answer).expect("answers have a JSON form");
        let _ = self.answer.send(Ok(answer));
    }

    fn fail(self, error: Error) {
        let _ = self.answer.send(Err(error.into()));
    }
}
