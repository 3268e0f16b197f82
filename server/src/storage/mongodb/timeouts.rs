//! How long one command of the database may take, unless a file says otherwise for its own.

use std::time::Duration;

/// How long one read may take.
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one attempt of a write may take.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(6);
