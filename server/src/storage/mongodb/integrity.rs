//! Whether this is still the database that the store was opened on, with the indexes that keep its promises.
//!
//! A database can be emptied, replaced or lose its indexes while the server runs: a restore into the wrong place, a `mongod`
//! that came back with an empty disk, a `dropIndexes` by hand. Deduplication and unique names would end in silence then.
//! [`verifier`](super::verifier) compares it with what it was; here work waits for its verdict.
//!
//! [`admit`](Integrity::admit) lets work pass only after a comparison that found everything in order, that is no older than
//! [`MAX_AGE`], that *began after the youngest connection was ready*, and after the primary was last elected. Writes are
//! admitted a second time, before their success is reported to anybody. So:
//!
//! - A server that was replaced is noticed before anything is acknowledged. To reach it the driver needs a new connection, so
//!   the second admission waits for a comparison that began later. That one fails, and the messages get `store_unavailable`.
//!   (Two databases that answer at one address at the same time are not told apart.)
//! - A database that is emptied, or loses an index, *on a server that stays* is noticed at the next comparison. What is
//!   acknowledged before that is in the new database, and a repeated `clientMessageId` can be stored twice. This takes at most
//!   [`MAX_AGE`], and usually the interval between two comparisons. It is the price for not asking the database twice about
//!   each batch.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::connections::Connections;
use super::error::timed_out;
use crate::storage::StoreError;

/// How old the last comparison may be when work is admitted.
const MAX_AGE: Duration = Duration::from_secs(10);

/// Says whether the database is sound. Its clones are the same one.
#[derive(Clone)]
pub(super) struct Integrity {
    shared: Arc<Shared>,
}

struct Shared {
    connections: Arc<Connections>,
    verdict: watch::Sender<Verdict>,
    /// How often the database was found to be unsound.
    losses: AtomicU64,
}

/// What the last comparison has found.
#[derive(Clone)]
pub(super) enum Verdict {
    Sound {
        /// How many connections had been made when the comparison began.
        connections: u64,
        /// When the last one began that compared the indexes, too.
        at: Instant,
    },
    /// Why nothing is admitted.
    Unsound(String),
}

impl Integrity {
    /// Of a database that is sound now.
    pub(super) fn new(connections: Arc<Connections>) -> Self {
        let sound = Verdict::Sound {
            connections: connections.made(),
            at: Instant::now(),
        };
        Self {
            shared: Arc::new(Shared {
                connections,
                verdict: watch::Sender::new(sound),
                losses: AtomicU64::new(0),
            }),
        }
    }

    /// Succeeds if the database is sound; waits up to `limit` for a comparison if one is due.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(super) async fn admit(&self, limit: Duration) -> Result<(), StoreError> {
        if let Some(known) = self.known() {
            return known;
        }
        let mut verdicts = self.shared.verdict.subscribe();
        let decided = async {
            loop {
                if let Some(known) = self.known() {
                    return known;
                }
                if verdicts.changed().await.is_err() {
                    return Err(StoreError::closed());
                }
            }
        };
        tokio::time::timeout(limit, decided)
            .await
            .unwrap_or_else(|_| Err(timed_out("verifying that this is still the same database", limit)))
    }

    /// Does work and answers with its result, if the database was sound before and after.
    pub(super) async fn guard<T, E: From<StoreError>>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.admit(limit).await?;
        let done = work.await?;
        self.admit(limit).await?;
        Ok(done)
    }

    /// Reads, if the database was sound before and after. Fails if a primary was elected meanwhile: the driver asks the new one at
    /// once, and before that has committed something itself, it may not know that what was acknowledged before is committed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] then.
    pub(super) async fn read<T, E: From<StoreError>>(
        &self,
        limit: Duration,
        read: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let elections = self.shared.connections.elections();
        let done = self.guard(limit, read).await?;
        if self.shared.connections.elections() != elections {
            return Err(StoreError::Unavailable("a primary was elected meanwhile".into()).into());
        }
        Ok(done)
    }

    /// Grows when the database was found to be unsound: what was remembered of it before is no longer valid.
    pub(super) fn losses(&self) -> u64 {
        self.shared.losses.load(Ordering::Acquire)
    }

    /// The answer of [`admit`](Self::admit), or `None` while it must wait for the next comparison.
    fn known(&self) -> Option<Result<(), StoreError>> {
        match &*self.shared.verdict.borrow() {
            Verdict::Unsound(why) => Some(Err(StoreError::Unavailable(why.clone()))),
            Verdict::Sound { connections, at } => {
                let is_new = *connections >= self.shared.connections.made() && at.elapsed() < MAX_AGE;
                is_new.then_some(Ok(()))
            }
        }
    }

    /// The verdict now.
    pub(super) fn verdict(&self) -> Verdict {
        self.shared.verdict.borrow().clone()
    }

    /// The connections that a verdict is about.
    pub(super) fn connections(&self) -> &Arc<Connections> {
        &self.shared.connections
    }

    /// Makes a verdict known, and logs it if it differs from the one before.
    pub(super) fn publish(&self, verdict: Verdict) {
        let before = self.shared.verdict.borrow().clone();
        match (&before, &verdict) {
            (Verdict::Unsound(_), Verdict::Sound { .. }) => {
                tracing::info!("integrity: the database is as it should be again");
            }
            (Verdict::Unsound(old), Verdict::Unsound(new)) if old == new => {}
            (_, Verdict::Unsound(why)) => {
                tracing::error!(%why, "integrity: the database is not as it should be");
                self.shared.losses.fetch_add(1, Ordering::AcqRel);
            }
            _ => {}
        }
        self.shared.verdict.send_replace(verdict);
    }
}
