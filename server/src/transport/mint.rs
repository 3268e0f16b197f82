//! How often tokens of the playground are made, for all who ask.

use std::time::Duration;

use crate::config::Allowed;
use crate::rates::TooOften;
use crate::rates::limiter::{Limiter, Uptime, Used};

/// A page asks when it is opened, and when its tokens are about to end.
const RATE: Allowed = Allowed {
    count: 1,
    span: Duration::from_secs(1),
    burst: 60,
};

/// Counts what the playground makes.
pub struct Mint {
    limiter: Limiter,
    used: Used,
}

impl Default for Mint {
    fn default() -> Self {
        Self {
            limiter: Limiter::new(Some(RATE), Uptime::begin()),
            used: Used::default(),
        }
    }
}

impl Mint {
    /// Counts the tokens of one request.
    ///
    /// # Errors
    /// There may be none now.
    pub fn count(&self) -> Result<(), TooOften> {
        self.limiter.count(&self.used)
    }
}
