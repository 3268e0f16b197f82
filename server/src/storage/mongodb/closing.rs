//! The end of a store.

use std::time::Duration;

use shared::Timestamp;
use tokio::time::Instant;

use super::{MongoStore, error};
use crate::storage::StoreError;

impl MongoStore {
    /// Writes what must still be written at the end of this process, and logs what could not be.
    pub(super) async fn leave(&self, now: Timestamp, limit: Duration) -> Result<(), StoreError> {
        let deadline = Instant::now() + limit;
        let in_time = async |what: &str, work: &mut (dyn Future<Output = Result<(), StoreError>> + Send + Unpin)| {
            let done = tokio::time::timeout_at(deadline, work).await;
            done.unwrap_or_else(|_| Err(error::timed_out(what, limit)))
        };
        let mut release = Box::pin(self.integrity.guard(limit, self.presence.release(now)));
        let mut write = Box::pin(self.projector.write_all(&self.integrity));
        let (released, written) = tokio::join!(
            in_time("taking users offline", &mut release),
            in_time("writing inboxes", &mut write)
        );
        if let Err(error) = &released {
            tracing::warn!(%error, "close: users of this process stay online until its lease has run out");
        }
        if let Err(error) = written {
            tracing::warn!(%error, "close: inboxes are not up to date; the next server that runs completes them");
        }
        released
    }
}
