//! Storing marks until it is certain what became of each, and finding out who may see it.

use std::collections::HashSet;
use std::time::Duration;

use parking_lot::Mutex;
use shared::UserId;
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::delivery::privacy::read_receipts;
use crate::domain::{Mark, Marked};
use crate::outage::Outage;
use crate::storage::{MarkError, ReceiptStore, Store, StoreError};

/// Time before the store is asked again to mark, or who may see what was read.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Most watermarks that are remembered because it is not certain whether they moved, see [`store`].
const MAX_UNKNOWN: usize = 65_536;

/// What of the store's work for marks fails.
#[derive(Default)]
pub(super) struct Outages {
    storing: Outage,
    reading: Outage,
}

/// A signal that the outcome of some marks is unknown, and why: those who wait are then answered.
#[derive(Default)]
pub(super) struct UnknownOutcome {
    begun: Notify,
    /// Held to set or copy it.
    failure: Mutex<Option<StoreError>>,
}

impl UnknownOutcome {
    fn set(&self, failure: &StoreError) {
        *self.failure.lock() = Some(failure.clone());
        self.begun.notify_one();
    }

    /// Waits until there is one.
    pub(super) async fn wait(&self) -> StoreError {
        loop {
            self.begun.notified().await;
            let failure = self.failure.lock().take();
            if let Some(failure) = failure {
                return failure;
            }
        }
    }
}

/// Stores marks, however long that takes, and finds out for each whether its peer may see what was read.
///
/// `unknown` holds whose watermarks, on whose messages, may have moved or not: in an attempt before this one, or by a
/// mark that failed for good. If they did, the author was not sent that; so the next mark that is stored there counts as having moved
/// them, whether it did or not.
pub(super) async fn store(
    store: &dyn Store,
    marks: &[Mark],
    unknown: &mut HashSet<(UserId, UserId)>,
    outages: &mut Outages,
    signal: &UnknownOutcome,
    stopping: &CancellationToken,
) -> (Vec<Result<Marked, MarkError>>, Vec<bool>) {
    let mut outcomes = store_once(store, marks, unknown, outages).await;
    while let Some(failure) = outcomes.iter().find_map(failure_unknown) {
        signal.set(failure);
        // A stop does not wait for a store that is away. A client that comes back goes on from a cursor before it.
        if stopping.run_until_cancelled(sleep(RETRY_DELAY)).await.is_none() {
            break;
        }
        let again: Vec<usize> = (0..marks.len())
            .filter(|index| failure_unknown(&outcomes[*index]).is_some())
            .collect();
        let of_unknown: Vec<Mark> = again.iter().map(|index| marks[*index]).collect();
        let known = store_once(store, &of_unknown, unknown, outages).await;
        for (index, outcome) in again.into_iter().zip(known) {
            outcomes[index] = outcome;
        }
    }
    loop {
        match shown(store, marks, &outcomes).await {
            Ok(shown) => {
                if let Some(ended) = outages.reading.worked() {
                    tracing::info!(lasted = ?ended.lasted, "receipts: settings can be read again");
                }
                return (outcomes, shown);
            }
            // They are stored, and marking again would move nothing: who is not sent it now never is.
            Err(error) => {
                if outages.reading.failed() {
                    tracing::warn!(%error, "receipts: marks are stored, but settings can't be read to send them; it will be tried again");
                }
                sleep(RETRY_DELAY).await;
            }
        }
    }
}

/// One attempt.
async fn store_once(
    store: &dyn ReceiptStore,
    marks: &[Mark],
    unknown: &mut HashSet<(UserId, UserId)>,
    outages: &mut Outages,
) -> Vec<Result<Marked, MarkError>> {
    let mut outcomes = store.mark(marks).await;
    if let Some(Err(MarkError::Store(error))) = outcomes.iter().find(|outcome| is_failure(outcome)) {
        if outages.storing.failed() {
            tracing::error!(%error, marks = marks.len(), "receipts: marks are not stored");
        }
    } else if outcomes.iter().any(has_moved)
        && let Some(ended) = outages.storing.worked()
    {
        tracing::info!(failures = ended.failures, lasted = ?ended.lasted, "receipts: marks are stored again");
    }
    for (mark, outcome) in marks.iter().zip(&mut outcomes) {
        let key = (mark.user, mark.peer);
        match outcome {
            Ok(marked) if unknown.remove(&key) => {
                marked.delivered_moved |= marked.marker.delivered.is_some();
                marked.read_moved |= marked.marker.read.is_some();
            }
            Err(MarkError::Store(_)) if unknown.len() < MAX_UNKNOWN => {
                unknown.insert(key);
            }
            _ => {}
        }
    }
    outcomes
}

/// Why it is not certain whether a mark was stored, if it is not.
fn failure_unknown(outcome: &Result<Marked, MarkError>) -> Option<&StoreError> {
    match outcome {
        Err(MarkError::Store(failure @ StoreError::Unavailable(_))) => Some(failure),
        _ => None,
    }
}

/// Whether something was written. A mark that moves nothing is only compared.
fn has_moved(outcome: &Result<Marked, MarkError>) -> bool {
    outcome
        .as_ref()
        .is_ok_and(|marked| marked.delivered_moved || marked.read_moved)
}

fn is_failure(outcome: &Result<Marked, MarkError>) -> bool {
    matches!(outcome, Err(MarkError::Store(_)))
}

/// For each mark whether its peer may see what was read.
async fn shown(
    store: &dyn Store,
    marks: &[Mark],
    outcomes: &[Result<Marked, MarkError>],
) -> Result<Vec<bool>, StoreError> {
    let reads = |outcome: &Result<Marked, MarkError>| outcome.as_ref().is_ok_and(|marked| marked.read_moved);
    let pairs: Vec<(UserId, UserId)> = marks
        .iter()
        .zip(outcomes)
        .filter(|(_, outcome)| reads(outcome))
        .map(|(mark, _)| (mark.user, mark.peer))
        .collect();
    let mut allowed = read_receipts(store, &pairs).await?.into_iter();
    Ok(outcomes
        .iter()
        .map(|outcome| reads(outcome) && allowed.next().unwrap_or(false))
        .collect())
}
