//! Marking messages as received and read: what waits becomes one durable step, like messages in [`super::Committer`].
//!
//! The queue is of the same kind, too: a user may have as many marks under way as are still free, and users take turns.
//!
//! A step whose fate is not known after [`PATIENCE`], or that the store gave up, is answered as a failure, and so is whatever
//! waits after it. But the task goes on, with its [`InFlightGuard`], until the fate is known: it marks again, which is safe. What
//! turns out to be stored is told then, and no cursor goes past it before.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use shared::{Settings, UserId};
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::SubmitError;
use super::commit::{Amount, Charge, Portion, Queue, Running};
use crate::delivery::{DeliveryWatermark, InFlightGuard};
use crate::domain::{Mark, Marked};
use crate::outage::Outage;
use crate::storage::{MarkError, ReceiptStore, Store, StoreError, UserStore};
use crate::supervisor::Supervisor;

/// What becomes one step.
const BATCH: Portion = Portion {
    items: 256,
    bytes: usize::MAX,
    sender_bytes: usize::MAX,
};

/// Marks that may be under way, waiting or being stored; further ones are refused.
const WAITING: usize = 8_192;

/// What a mark takes, in bytes: eight of them are one turn of their user.
const MARK: usize = 128;

/// How long whoever marks waits for a step. As long as it is tried on MongoDB.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long they wait once it is known that the store hangs.
const SHORT_PATIENCE: Duration = Duration::from_secs(1);

/// Pause before the store is asked again to mark, or who may know what was read.
const PAUSE: Duration = Duration::from_secs(1);

/// Most watermarks that are remembered because it is not known whether they moved, see [`Task::unsettled`].
const UNSETTLED: usize = 65_536;

/// A mark whose step has ended, with the `R` that the submitter gave along to answer through.
pub struct MarkOutcome<R> {
    /// As it was submitted.
    pub mark: Mark,
    /// What became of it.
    pub outcome: Result<Marked, MarkError>,
    /// Whether the peer may know what was read: both have read receipts on.
    pub shown: bool,
    /// Out until everybody was told.
    pub in_flight: Arc<InFlightGuard>,
    /// Given along by the submitter. `None` if the submitter was told before that the store is unavailable, and the
    /// store answered after all.
    pub reply: Option<R>,
}

/// The queue of watermarks that are to be stored.
pub struct Receipts<R> {
    queue: Arc<Queue<Submitted<R>>>,
}

/// A mark that waits, and where its answer goes.
struct Submitted<R> {
    mark: Mark,
    reply: R,
}

/// What a mark is charged with until it is told.
fn charge(mark: &Mark) -> Charge {
    Charge {
        sender: mark.user,
        receiver: mark.peer,
        bytes: MARK,
    }
}

impl<R: Send + 'static> Receipts<R> {
    /// Starts the task. `settle` is called for each mark, for those of a user in the order of submitting; it must not
    /// block. The task ends
    /// after [`stop`](Self::stop), or when this is dropped.
    pub fn start<F>(
        store: Arc<dyn Store>,
        delivery_watermark: Arc<DeliveryWatermark>,
        parts: &Supervisor,
        settle: F,
    ) -> Self
    where
        F: Fn(MarkOutcome<R>) + Send + 'static,
    {
        let limit = Amount {
            messages: WAITING,
            bytes: WAITING * MARK,
        };
        let queue = Arc::new(Queue::new(limit));
        let task = Task {
            store,
            delivery_watermark,
            queue: Arc::clone(&queue),
            settle,
            unsettled: HashSet::new(),
            outages: Outages::default(),
            stopping: parts.stopping().clone(),
        };
        parts.spawn("receipts", task.run());
        Self { queue }
    }

    /// Takes a mark into the queue, or hands the reply back at once.
    pub fn submit(&self, mark: Mark, reply: R) -> Result<(), (SubmitError, R)> {
        self.queue
            .put(charge(&mark), Submitted { mark, reply })
            .map_err(|(refused, submitted)| (refused, submitted.reply))
    }

    /// Refuses whatever comes from now on, and returns when all that was taken is answered and told.
    pub async fn stop(&self) {
        self.queue.stop();
        self.queue.emptied().await;
    }
}

impl<R> Drop for Receipts<R> {
    fn drop(&mut self) {
        self.queue.stop();
    }
}

struct Task<R, F> {
    store: Arc<dyn Store>,
    delivery_watermark: Arc<DeliveryWatermark>,
    queue: Arc<Queue<Submitted<R>>>,
    settle: F,
    /// Whose watermarks, about whose messages, it is not known of whether they moved: by an attempt before this one, or by a
    /// mark that failed for good. If they did, nobody was told of it; so the next mark that is stored there tells how far
    /// they are, whether it moved them or not.
    unsettled: HashSet<(UserId, UserId)>,
    outages: Outages,
    /// Cancelled when the server begins to stop.
    stopping: CancellationToken,
}

/// What of the store's work for marks fails.
#[derive(Default)]
struct Outages {
    storing: Outage,
    telling: Outage,
}

impl<R, F: Fn(MarkOutcome<R>)> Task<R, F> {
    /// Stores what comes until the queue is stopped and empty.
    async fn run(mut self) {
        let running = Running::new(&self.queue);
        while let Some(taken) = self.queue.take(BATCH).await {
            self.step(taken).await;
        }
        running.end();
    }

    async fn step(&mut self, taken: Vec<Submitted<R>>) {
        let in_flight = Arc::new(self.delivery_watermark.begin());
        let split = |Submitted { mark, reply }| (mark, reply);
        let (marks, mut replies): (Vec<Mark>, Vec<R>) = taken.into_iter().map(split).unzip();
        let store = Arc::clone(&self.store);
        let doubts = Doubts::default();
        let storing = store_marks(
            &*store,
            &marks,
            &mut self.unsettled,
            &mut self.outages,
            &doubts,
            &self.stopping,
        );
        let mut storing = pin!(storing);
        let mut patience = PATIENCE;
        let (outcomes, shown) = loop {
            let failure = tokio::select! {
                done = storing.as_mut() => break done,
                failure = doubts.begin() => failure,
                () = sleep(patience) => StoreError::no_answer_within(PATIENCE),
            };
            let answered = replies.drain(..);
            give_up_waiting(&self.settle, &in_flight, &marks, answered, &self.queue, &failure);
            patience = SHORT_PATIENCE;
        };
        let mut replies = replies.into_iter();
        for ((mark, outcome), shown) in marks.iter().copied().zip(outcomes).zip(shown) {
            (self.settle)(MarkOutcome {
                mark,
                outcome,
                shown,
                in_flight: Arc::clone(&in_flight),
                reply: replies.next(),
            });
        }
        self.queue.release(marks.iter().map(charge));
    }
}

/// Says that a store gave marks up, and why, to whoever answers those who wait.
#[derive(Default)]
struct Doubts {
    begun: Notify,
    /// Held to set or copy it.
    failure: Mutex<Option<StoreError>>,
}

impl Doubts {
    fn set(&self, failure: &StoreError) {
        *self.failure.lock() = Some(failure.clone());
        self.begun.notify_one();
    }

    /// Waits until there is one.
    async fn begin(&self) -> StoreError {
        loop {
            self.begun.notified().await;
            let failure = self.failure.lock().take();
            if let Some(failure) = failure {
                return failure;
            }
        }
    }
}

/// Stores marks, however long that takes, and finds out for each whether its peer may know what was read.
async fn store_marks(
    store: &dyn Store,
    marks: &[Mark],
    unsettled: &mut HashSet<(UserId, UserId)>,
    outages: &mut Outages,
    doubts: &Doubts,
    stopping: &CancellationToken,
) -> (Vec<Result<Marked, MarkError>>, Vec<bool>) {
    let mut outcomes = store_once(store, marks, unsettled, outages).await;
    while let Some(failure) = outcomes.iter().find_map(unknown) {
        doubts.set(failure);
        // A stop does not wait for a store that is away. Who comes back then goes on from a cursor before it.
        if stopping.run_until_cancelled(sleep(PAUSE)).await.is_none() {
            break;
        }
        let again: Vec<usize> = (0..marks.len())
            .filter(|index| unknown(&outcomes[*index]).is_some())
            .collect();
        let of_unknown: Vec<Mark> = again.iter().map(|index| marks[*index]).collect();
        let known = store_once(store, &of_unknown, unsettled, outages).await;
        for (index, outcome) in again.into_iter().zip(known) {
            outcomes[index] = outcome;
        }
    }
    loop {
        match shown(store, marks, &outcomes).await {
            Ok(shown) => {
                if let Some(ended) = outages.telling.worked() {
                    tracing::info!(lasted = ?ended.lasted, "watermarks are told again");
                }
                return (outcomes, shown);
            }
            // They are stored, and marking again would move nothing: whoever is not told now never is.
            Err(error) => {
                if outages.telling.failed() {
                    tracing::warn!(%error, "watermarks are stored but can't be told of; it will be tried again");
                }
                sleep(PAUSE).await;
            }
        }
    }
}

/// One attempt.
async fn store_once(
    store: &dyn ReceiptStore,
    marks: &[Mark],
    unsettled: &mut HashSet<(UserId, UserId)>,
    outages: &mut Outages,
) -> Vec<Result<Marked, MarkError>> {
    let mut outcomes = store.mark(marks).await;
    if let Some(Err(MarkError::Store(error))) = outcomes.iter().find(|outcome| is_failure(outcome)) {
        if outages.storing.failed() {
            tracing::error!(%error, marks = marks.len(), "watermarks are not stored");
        }
    } else if outcomes.iter().any(has_moved)
        && let Some(ended) = outages.storing.worked()
    {
        tracing::info!(failures = ended.failures, lasted = ?ended.lasted, "watermarks are stored again");
    }
    for (mark, outcome) in marks.iter().zip(&mut outcomes) {
        let key = (mark.user, mark.peer);
        match outcome {
            Ok(marked) if unsettled.remove(&key) => {
                marked.delivered_moved |= marked.marker.delivered.is_some();
                marked.read_moved |= marked.marker.read.is_some();
            }
            Err(MarkError::Store(_)) if unsettled.len() < UNSETTLED => {
                unsettled.insert(key);
            }
            _ => {}
        }
    }
    outcomes
}

/// Why it is not known whether a mark was stored, if it is not.
fn unknown(outcome: &Result<Marked, MarkError>) -> Option<&StoreError> {
    match outcome {
        Err(MarkError::Store(failure @ StoreError::Unavailable(_))) => Some(failure),
        _ => None,
    }
}

/// Answers those who wait for a store that hangs or is away: those whose marks it may still store, and those whose marks wait for
/// it, which it will not get.
fn give_up_waiting<R>(
    settle: impl Fn(MarkOutcome<R>),
    in_flight: &Arc<InFlightGuard>,
    marks: &[Mark],
    replies: impl Iterator<Item = R>,
    queue: &Queue<Submitted<R>>,
    failure: &StoreError,
) {
    let fail = |mark, reply| {
        settle(MarkOutcome {
            mark,
            outcome: Err(failure.clone().into()),
            shown: false,
            in_flight: Arc::clone(in_flight),
            reply: Some(reply),
        });
    };
    let mut answered = 0;
    for (mark, reply) in marks.iter().zip(replies) {
        fail(*mark, reply);
        answered += 1;
    }
    if answered > 0 {
        tracing::error!(
            %failure,
            marks = answered,
            "the store is away; these marks may still be stored, and are told then"
        );
    }
    // What comes meanwhile waits for the next time.
    let mut charges = Vec::new();
    for Submitted { mark, reply } in queue.clear() {
        fail(mark, reply);
        charges.push(charge(&mark));
    }
    queue.release(charges.into_iter());
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

/// For each mark whether its peer may know what was read.
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

/// For each pair whether both have read receipts on.
pub async fn read_receipts(store: &dyn UserStore, pairs: &[(UserId, UserId)]) -> Result<Vec<bool>, StoreError> {
    if pairs.is_empty() {
        return Ok(Vec::new());
    }
    let people: Vec<UserId> = pairs.iter().flat_map(|(one, other)| [*one, *other]).collect();
    let settings = store.settings(&people).await?;
    let both = |pair: &[Settings]| pair.iter().all(|one| one.read_receipts);
    Ok(settings.chunks(2).map(both).collect())
}
