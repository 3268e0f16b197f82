//! The limits that clients can hit, each with the counter of its hits.

use super::counter::Counters;

/// A limit of what users and addresses may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Messages of a user.
    Messages,
    /// Typing of a user.
    Typing,
    /// Other events of a user.
    Events,
    /// Pages and requests of a user.
    Reads,
    /// Bytes of messages of a user.
    Quota,
    /// Connections that an address begins.
    Connections,
    /// Requests of an address.
    Requests,
    /// Tokens of an address that are not accepted.
    FailedTokens,
    /// Connections that an address has.
    OpenConnections,
}

/// The setting of each, in the order of [`Limit`].
const SETTINGS: [&str; 9] = [
    "RATE_MESSAGES",
    "RATE_TYPING",
    "RATE_EVENTS",
    "RATE_READS",
    "MESSAGE_QUOTA",
    "RATE_CONNECTIONS",
    "RATE_REQUESTS",
    "RATE_FAILED_TOKENS",
    "MAX_CONNECTIONS_PER_ADDRESS",
];

/// How often each was hit.
#[derive(Debug)]
pub struct LimitHits(Counters<{ SETTINGS.len() }>);

impl LimitHits {
    pub(super) const fn new() -> Self {
        Self(Counters::new())
    }

    /// It was hit once more.
    pub fn count(&self, limit: Limit) {
        self.0.count(limit as usize);
    }

    /// How often each was hit, by its setting.
    pub fn get(&self) -> impl Iterator<Item = (&'static str, u64)> {
        SETTINGS.into_iter().zip(self.0.get())
    }
}
