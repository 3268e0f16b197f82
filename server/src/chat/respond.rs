//! Answering a request that waits in a queue.

use serde::Serialize;

use super::error::Error;
use crate::delivery::client::ConnectionId;

/// The answer that a request is owed: given once, by consuming it. A transport implements it.
pub trait Respond: Send + 'static {
    /// The connection of the request. It has the answer, so it is not sent the event of the same change.
    fn connection(&self) -> ConnectionId;

    /// The request was done; `answer` is what its client is answered.
    fn ok(self, answer: impl Serialize);

    /// The request was refused or failed.
    fn fail(self, error: Error);
}
