//! Marking messages as received and read: what waits becomes one durable step, like messages in [`super::Committer`].

use std::sync::Arc;

use shared::UserId;
use tokio::sync::mpsc;

use super::{Horizon, Refused};
use crate::store::{Mark, MarkError, Marked, Store, StoreError};

/// Most marks of one step.
const BATCH: usize = 256;

/// Marks that may wait; further ones are refused.
const WAITING: usize = 8_192;

/// A mark whose step has ended, with the `R` that the submitter gave along to answer through.
pub struct Settled<R> {
    /// As it was submitted.
    pub mark: Mark,
    /// What became of it.
    pub outcome: Result<Marked, MarkError>,
    /// Whether the peer may know what was read: both have read receipts on.
    pub shown: bool,
    /// Given along by the submitter.
    pub reply: R,
}

/// The queue in front of the store's watermarks.
pub struct Receipts<R> {
    queue: mpsc::Sender<(Mark, R)>,
}

impl<R: Send + 'static> Receipts<R> {
    /// Starts the task. `settle` is called for each mark in the order of submitting; it must not block. The task ends
    /// when this is dropped.
    pub fn start<F>(store: Arc<dyn Store>, horizon: Arc<Horizon>, settle: F) -> Self
    where
        F: Fn(Settled<R>) + Send + 'static,
    {
        let (queue, waiting) = mpsc::channel(WAITING);
        tokio::spawn(run(store, horizon, waiting, settle));
        Self { queue }
    }

    /// Takes a mark into the queue, or hands the reply back at once.
    pub fn submit(&self, mark: Mark, reply: R) -> Result<(), (Refused, R)> {
        self.queue.try_send((mark, reply)).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full((_, reply)) => (Refused::QueueFull, reply),
            mpsc::error::TrySendError::Closed((_, reply)) => (Refused::Stopping, reply),
        })
    }
}

async fn run<R>(
    store: Arc<dyn Store>,
    horizon: Arc<Horizon>,
    mut waiting: mpsc::Receiver<(Mark, R)>,
    settle: impl Fn(Settled<R>),
) {
    let mut taken = Vec::with_capacity(BATCH);
    while waiting.recv_many(&mut taken, BATCH).await > 0 {
        let ticket = horizon.begin();
        let (marks, replies): (Vec<_>, Vec<_>) = taken.drain(..).unzip();
        let mut outcomes = store.mark(&marks).await;
        if let Some(Err(MarkError::Store(error))) = outcomes.iter().find(|outcome| is_failure(outcome)) {
            tracing::error!(%error, marks = marks.len(), "watermarks were not stored");
        }
        let shown = match shown(&*store, &marks, &outcomes).await {
            Ok(shown) => shown,
            // They are stored, but nobody could be told rightly. Marking again is safe and will tell.
            Err(error) => {
                outcomes = marks.iter().map(|_| Err(error.clone().into())).collect();
                vec![false; marks.len()]
            }
        };
        for (((mark, outcome), shown), reply) in marks.into_iter().zip(outcomes).zip(shown).zip(replies) {
            settle(Settled {
                mark,
                outcome,
                shown,
                reply,
            });
        }
        drop(ticket);
    }
}

fn is_failure(outcome: &Result<Marked, MarkError>) -> bool {
    matches!(outcome, Err(MarkError::Store(_)))
}

/// For each mark whether its peer may know what was read.
async fn shown(
    store: &dyn Store,
    marks: &[Mark],
    outcomes: &[Result<Marked, MarkError>],
) -> Result<Vec<bool>, StoreError> {
    let reads = |outcome: &Result<Marked, MarkError>| outcome.as_ref().is_ok_and(|marked| marked.read_moved);
    let people: Vec<UserId> = marks
        .iter()
        .zip(outcomes)
        .filter(|(_, outcome)| reads(outcome))
        .flat_map(|(mark, _)| [mark.user, mark.peer])
        .collect();
    if people.is_empty() {
        return Ok(vec![false; marks.len()]);
    }
    let settings = store.settings(&people).await?;
    let mut pairs = settings.chunks(2);
    let mut next = || {
        pairs
            .next()
            .is_some_and(|pair| pair.iter().all(|one| one.read_receipts))
    };
    Ok(outcomes.iter().map(|outcome| reads(outcome) && next()).collect())
}
