//! The queue of marks: what waits becomes one durable step, like messages in [`Committer`](crate::chat::Committer).
//!
//! The queue is of the same kind, too: a user may have as many marks under way as are still free, and users take turns.
//!
//! A step whose outcome is unknown after [`STORE_TIMEOUT`], or that the store gave up, is answered as a failure, and so is
//! everything that waits after it. But the task goes on, with its [`InFlightGuard`], until the outcome is certain: it marks again,
//! which is safe. What turns out to be stored is sent then, and no cursor goes past it before.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use shared::UserId;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::outcomes::{Outages, UnknownOutcome, store};
use crate::chat::commit::{Amount, Charge, Portion, Queue, Running, SubmitError};
use crate::delivery::{DeliveryWatermark, InFlightGuard};
use crate::domain::{Mark, Marked};
use crate::storage::{MarkError, Store, StoreError};
use crate::supervisor::Supervisor;

/// What becomes one step.
const BATCH: Portion = Portion {
    items: 256,
    bytes: usize::MAX,
    sender_bytes: usize::MAX,
};

/// Marks that may be under way, waiting or being stored; further ones are refused.
const MAX_MARKS: usize = 8_192;

/// What a mark takes, in bytes: eight of them are one turn of their user.
const MARK_BYTES: usize = 128;

/// How long those who mark wait for a step. As long as it is tried on MongoDB.
const STORE_TIMEOUT: Duration = Duration::from_secs(20);

/// How long they wait once it is known that the store hangs.
const HANGING_STORE_TIMEOUT: Duration = Duration::from_secs(1);

/// A mark whose step has ended, with the `R` that the submitter gave along to answer through.
pub struct MarkOutcome<R> {
    /// As it was submitted.
    pub mark: Mark,
    /// What became of it.
    pub outcome: Result<Marked, MarkError>,
    /// Whether the peer may see what was read: both have read receipts on.
    pub shown: bool,
    /// Held until everybody concerned was sent it.
    pub in_flight: Arc<InFlightGuard>,
    /// Given along by the submitter. `None` if the submitter was answered before that the store is unavailable, and the
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

/// What a mark is charged with until it is delivered.
fn charge(mark: &Mark) -> Charge {
    Charge {
        sender: mark.user,
        receiver: mark.peer,
        bytes: MARK_BYTES,
    }
}

impl<R: Send + 'static> Receipts<R> {
    /// Starts the task. `finish` is called for each mark, for those of a user in the order of submitting; it must not
    /// block. The task ends after [`stop`](Self::stop), or when this is dropped.
    pub fn start<F>(store: Arc<dyn Store>, watermark: Arc<DeliveryWatermark>, parts: &Supervisor, finish: F) -> Self
    where
        F: Fn(MarkOutcome<R>) + Send + 'static,
    {
        let limit = Amount {
            messages: MAX_MARKS,
            bytes: MAX_MARKS * MARK_BYTES,
        };
        let queue = Arc::new(Queue::new(limit));
        let task = Task {
            store,
            watermark,
            queue: Arc::clone(&queue),
            finish,
            unknown: HashSet::new(),
            outages: Outages::default(),
            stopping: parts.stopping().clone(),
        };
        parts.spawn("receipts", task.run());
        Self { queue }
    }

    /// Takes a mark into the queue, or hands the reply back at once.
    pub fn submit(&self, mark: Mark, reply: R) -> Result<(), (SubmitError, R)> {
        self.queue
            .enqueue(charge(&mark), Submitted { mark, reply })
            .map_err(|(refused, submitted)| (refused, submitted.reply))
    }

    /// Refuses whatever comes from now on, and returns when all that was taken is answered and delivered.
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
    watermark: Arc<DeliveryWatermark>,
    queue: Arc<Queue<Submitted<R>>>,
    finish: F,
    /// Whose watermarks, on whose messages, may have moved or not, see [`store`].
    unknown: HashSet<(UserId, UserId)>,
    outages: Outages,
    /// Cancelled when the server begins to stop.
    stopping: CancellationToken,
}

impl<R, F: Fn(MarkOutcome<R>)> Task<R, F> {
    /// Stores what comes until the queue is stopped and empty.
    async fn run(mut self) {
        let running = Running::new(&self.queue);
        while let Some(taken) = self.queue.dequeue(BATCH).await {
            self.step(taken).await;
        }
        running.end();
    }

    async fn step(&mut self, taken: Vec<Submitted<R>>) {
        let in_flight = Arc::new(self.watermark.begin());
        let split = |Submitted { mark, reply }| (mark, reply);
        let (marks, mut replies): (Vec<Mark>, Vec<R>) = taken.into_iter().map(split).unzip();
        let signal = UnknownOutcome::default();
        let storing = store(
            &*self.store,
            &marks,
            &mut self.unknown,
            &mut self.outages,
            &signal,
            &self.stopping,
        );
        let mut storing = pin!(storing);
        let mut timeout = STORE_TIMEOUT;
        let (outcomes, shown) = loop {
            let failure = tokio::select! {
                done = storing.as_mut() => break done,
                failure = signal.wait() => failure,
                () = sleep(timeout) => StoreError::no_answer_within(STORE_TIMEOUT),
            };
            let answered = replies.drain(..);
            give_up_waiting(&self.finish, &in_flight, &marks, answered, &self.queue, &failure);
            timeout = HANGING_STORE_TIMEOUT;
        };
        let mut replies = replies.into_iter();
        for ((mark, outcome), shown) in marks.iter().copied().zip(outcomes).zip(shown) {
            (self.finish)(MarkOutcome {
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

/// Answers those who wait for a store that hangs or is away: those whose marks it may still store, and those whose marks wait for
/// it, which it will not get.
fn give_up_waiting<R>(
    finish: impl Fn(MarkOutcome<R>),
    in_flight: &Arc<InFlightGuard>,
    marks: &[Mark],
    replies: impl Iterator<Item = R>,
    queue: &Queue<Submitted<R>>,
    failure: &StoreError,
) {
    let fail = |mark, reply| {
        finish(MarkOutcome {
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
            "receipts: the store is away; these marks may still be stored, and are delivered then"
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
