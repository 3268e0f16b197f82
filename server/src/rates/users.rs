//! The rates of users.

use std::sync::Arc;
use std::time::Duration;

use shared::UserId;

use super::limiter::{Limiter, TooOften, Uptime, Used};
use super::table::{Table, Usage};
use crate::config::{Allowed, Limits, Switch};
use crate::metrics::{Limit, METRICS};

/// Users who are remembered beside those that can be connected: the ones whose requests came over HTTP, or who left lately.
const REMEMBERED_USERS: usize = 65_536;

/// How many requests of a user are refused at full speed. A client that goes on beyond that is read more slowly.
const REFUSALS: Allowed = Allowed {
    count: 100,
    span: Duration::from_secs(1),
    burst: 500,
};

/// What a user does that has a rate of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A message.
    Message,
    /// `typing`.
    Typing,
    /// Another event.
    Event,
    /// A page, as an event or over HTTP; any other request there.
    Read,
}

impl Kind {
    /// The limit that metrics count it by.
    fn limit(self) -> Limit {
        match self {
            Self::Message => Limit::Messages,
            Self::Typing => Limit::Typing,
            Self::Event => Limit::Events,
            Self::Read => Limit::Reads,
        }
    }
}

/// The rates of all users.
pub struct UserRates {
    uptime: Uptime,
    limiters: [Limiter; 4],
    refusals: Limiter,
    quota: Limiter,
    users: Table<UserId, UserUse>,
}

/// What one user has used.
#[derive(Debug, Default)]
pub struct UserUse {
    kinds: [Used; 4],
    refusals: Used,
    bytes: Used,
}

impl UserRates {
    /// As configured.
    pub fn new(limits: &Limits) -> Self {
        let uptime = Uptime::begin();
        let is_on = limits.rate_limits == Switch::On;
        let limiter = |allowed: Option<Allowed>| Limiter::new(allowed.filter(|_| is_on), uptime);
        Self {
            uptime,
            limiters: [
                limits.rate_messages,
                limits.rate_typing,
                limits.rate_events,
                limits.rate_reads,
            ]
            .map(|rate| limiter(rate.0)),
            refusals: limiter(Some(REFUSALS)),
            quota: limiter(limits.message_quota.0),
            users: Table::new(limits.max_connections as usize + REMEMBERED_USERS),
        }
    }

    /// What a user has used. Where too many have used something to be remembered, one who is not is taken for new.
    pub fn of(&self, user: UserId) -> Arc<UserUse> {
        self.users.of(user, self.uptime.now()).unwrap_or_default()
    }

    /// Counts what a user does.
    ///
    /// # Errors
    /// That is more often than is allowed.
    pub fn count(&self, used: &UserUse, kind: Kind) -> Result<(), TooOften> {
        self.limiters[kind as usize]
            .count(&used.kinds[kind as usize])
            .inspect_err(|_| METRICS.limits.count(kind.limit()))
    }

    /// Counts the bytes of a message.
    ///
    /// # Errors
    /// The user's quota is used up.
    pub fn count_bytes(&self, used: &UserUse, bytes: usize) -> Result<(), TooOften> {
        self.quota
            .count_all(&used.bytes, u32::try_from(bytes).unwrap_or(u32::MAX))
            .inspect_err(|_| METRICS.limits.count(Limit::Quota))
    }

    /// Counts that something was refused, and returns how long nothing should be read of the user, so that refusing costs little.
    pub fn refused(&self, used: &UserUse) -> Duration {
        self.refusals.delay(&used.refusals)
    }

    /// How long nothing should still be read of the user, whatever connection it comes over.
    pub fn still_refused(&self, used: &UserUse) -> Duration {
        self.refusals.delayed(&used.refusals)
    }

    /// Lets go of those who have used nothing lately.
    pub fn clean(&self) {
        self.users.clean(self.uptime.now());
    }
}

impl Usage for UserUse {
    fn has_passed(&self, now: u64) -> bool {
        let all = self.kinds.iter().chain([&self.refusals, &self.bytes]);
        all.into_iter().all(|used| used.has_passed(now))
    }
}
