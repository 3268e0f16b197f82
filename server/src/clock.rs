//! The one place where the machine's clock is read; where a test needs another one, it is passed in.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use shared::Timestamp;

/// What gives the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The time by this machine's clock.
#[expect(clippy::disallowed_methods, reason = "the one place")]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
