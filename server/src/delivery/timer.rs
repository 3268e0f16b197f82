//! Waiting for a time that there need not be.

use tokio::time::Instant;

/// Waits until a time, or for ever if there is none.
pub(super) async fn sleep_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
