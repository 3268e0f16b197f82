//! A lane: it takes what waits, has the store make it durable, and hands it on to be answered and delivered.
//!
//! A batch whose outcome is unknown after [`STORE_TIMEOUT`] is answered as a failure, and so is everything that waits after it.
//! But the lane goes on waiting for the outcome, with its `InFlightGuard`: what turns out to be stored is delivered then, and no
//! cursor goes past it before.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use shared::{MessageId, Timestamp};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::batch::{Batch, Done};
use super::queue::Queue;
use super::receivers::Receivers;
use super::running::Running;
use super::turns::Portion;
use super::{AppendOutcome, Backlog, Charge, NotStored, SubmitError};
use crate::clock;
use crate::delivery::DeliveryWatermark;
use crate::domain::NewMessage;
use crate::metrics::{METRICS, Sampler};
use crate::outage::Outage;
use crate::storage::{AppendError, Appended, Store, StoreError};

/// What becomes one batch. Measured with MongoDB, more than 512 messages no longer raise the rate. The bytes bound how
/// long a batch takes.
const BATCH: Portion = Portion {
    items: 512,
    bytes: 2 * 1024 * 1024,
    sender_bytes: 256 * 1024,
};

/// Batches that may wait for delivery in one lane.
pub(super) const UNDELIVERED_BATCHES: usize = 2;

/// Most messages whose commit failed with an unknown outcome that are remembered, see [`Lane::unknown_outcomes`].
const MAX_UNKNOWN_OUTCOMES: usize = 65_536;

/// How long senders wait for a batch. As long as it is tried on MongoDB.
const STORE_TIMEOUT: Duration = Duration::from_secs(20);

/// How long they wait once it is known that the store hangs.
const HANGING_STORE_TIMEOUT: Duration = Duration::from_secs(1);

/// A message that waits, and where its answer goes.
pub(super) struct Submitted<R> {
    pub(super) message: NewMessage,
    pub(super) charge: Charge,
    pub(super) reply: R,
}

/// What both tasks of a lane know.
pub(super) struct Shared<R> {
    pub(super) queue: Arc<Queue<Submitted<R>>>,
    pub(super) receivers: Arc<Mutex<Receivers>>,
    pub(super) backlog: Backlog,
}

impl<R> Shared<R> {
    /// Whether both whom a message is for and whom it is from can take it.
    fn admits(&self, receivers: &mut Receivers, charge: Charge) -> bool {
        let Charge {
            sender,
            receiver,
            bytes,
        } = charge;
        if !receivers.admit(receiver, sender, bytes, (self.backlog)(receiver)) {
            return false;
        }
        let admitted = receivers.admit(sender, sender, bytes, (self.backlog)(sender));
        if !admitted {
            receivers.withdraw(receiver, sender, bytes);
        }
        admitted
    }
}

impl<R> Clone for Shared<R> {
    fn clone(&self) -> Self {
        Self {
            queue: Arc::clone(&self.queue),
            receivers: Arc::clone(&self.receivers),
            backlog: Arc::clone(&self.backlog),
        }
    }
}

/// The task that stores.
pub(super) struct Lane<R> {
    store: Arc<dyn Store>,
    watermark: Arc<DeliveryWatermark>,
    shared: Shared<R>,
    done: mpsc::Sender<Done<R>>,
    /// Messages whose commit failed with an unknown outcome. If one was stored after all, its sender finds out by
    /// sending again, as a duplicate; but it was not delivered then, so it is delivered now, unless the store has found out
    /// sooner.
    unknown_outcomes: HashSet<MessageId>,
    outage: Outage,
    sampler: Sampler,
}

/// The task that delivers is gone.
struct Gone;

impl<R> Lane<R> {
    pub(super) fn new(
        store: Arc<dyn Store>,
        watermark: Arc<DeliveryWatermark>,
        shared: Shared<R>,
        done: mpsc::Sender<Done<R>>,
    ) -> Self {
        Self {
            store,
            watermark,
            shared,
            done,
            unknown_outcomes: HashSet::new(),
            outage: Outage::default(),
            sampler: Sampler::default(),
        }
    }

    /// Stores what comes until the queue is stopped and empty.
    pub(super) async fn run(mut self) {
        let running = Running::new(&self.shared.queue);
        while let Some(taken) = self.shared.queue.dequeue(BATCH).await {
            if let Err(Gone) = self.store(taken).await {
                return;
            }
        }
        running.end();
    }

    async fn store(&mut self, taken: Vec<Submitted<R>>) -> Result<(), Gone> {
        let in_flight = self.watermark.begin();
        let Batch {
            messages,
            mut replies,
            charges,
        } = self.admit(taken).await?;
        if messages.is_empty() {
            return Ok(());
        }
        #[cfg(feature = "failpoints")]
        if crate::failpoints::returns("chat::ack_early") {
            return self.acknowledge_early(in_flight, messages, replies, charges).await;
        }
        let store = Arc::clone(&self.store);
        let mut appending = pin!(store.append(&messages));
        let begun = Instant::now();
        let mut give_up_at = begun + STORE_TIMEOUT;
        let outcomes = loop {
            match timeout_at(give_up_at, appending.as_mut()).await {
                Ok(outcomes) => break outcomes,
                Err(_) => self.give_up_waiting(&mut replies).await?,
            }
            give_up_at = Instant::now() + HANGING_STORE_TIMEOUT;
        };
        METRICS.batch.observe(messages.len() as u64);
        let committed = self.sampler.is_due().then(Instant::now);
        if let Some(committed) = committed {
            METRICS.commit.observe_time(committed - begun);
        }
        self.log_failure(&outcomes);
        if replies.is_empty() {
            let stored = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
            tracing::warn!(
                stored,
                messages = messages.len(),
                "message store: it answered too late for the senders"
            );
        }
        let at = clock::now();
        let mut replies = replies.into_iter();
        let outcomes = messages.iter().zip(outcomes);
        let outcomes = outcomes
            .map(|(message, outcome)| self.outcome(message.id, outcome, replies.next(), at))
            .collect();
        let done = Done {
            in_flight: Some(in_flight),
            outcomes,
            charges,
            admitted: true,
            committed,
        };
        self.hand_on(done).await
    }

    /// Refuses what its receiver can't take.
    async fn admit(&self, taken: Vec<Submitted<R>>) -> Result<Batch<R>, Gone> {
        let mut batch = Batch::with_capacity(taken.len());
        let (mut refused, mut charges) = (Vec::new(), Vec::new());
        {
            let mut receivers = self.shared.receivers.lock();
            for Submitted { message, charge, reply } in taken {
                if self.shared.admits(&mut receivers, charge) {
                    batch.messages.push(message);
                    batch.replies.push(reply);
                    batch.charges.push(charge);
                } else {
                    refused.push(AppendOutcome::failed(
                        SubmitError::ReceiverFull.into(),
                        reply,
                        Some(message.id),
                    ));
                    charges.push(charge);
                }
            }
        }
        if !refused.is_empty() {
            self.hand_on(Done::refused(refused, charges)).await?;
        }
        Ok(batch)
    }

    /// Answers those who wait for a store that hangs: those whose messages it may still store, and those whose messages
    /// wait for it, which it will not get.
    async fn give_up_waiting(&self, replies: &mut Vec<R>) -> Result<(), Gone> {
        let hangs = || StoreError::no_answer_within(STORE_TIMEOUT);
        let fail = |reply, message| AppendOutcome::failed(NotStored::Failed(hangs().into()), reply, message);
        let mut failed: Vec<AppendOutcome<R>> = replies.drain(..).map(|reply| fail(reply, None)).collect();
        if !failed.is_empty() {
            let messages = failed.len();
            tracing::error!(
                messages,
                "message store: it hangs; these messages may still be stored, and are delivered then"
            );
        }
        let (mut charges, waiting) = (Vec::new(), self.shared.queue.clear());
        for Submitted { message, charge, reply } in waiting {
            failed.push(fail(reply, Some(message.id)));
            charges.push(charge);
        }
        self.hand_on(Done::refused(failed, charges)).await
    }

    async fn hand_on(&self, done: Done<R>) -> Result<(), Gone> {
        self.done.send(done).await.map_err(|_| Gone)
    }

    /// Answers and delivers first, and stores afterwards, as slowly as a busy disk would.
    #[cfg(feature = "failpoints")]
    async fn acknowledge_early(
        &mut self,
        in_flight: crate::delivery::InFlightGuard,
        messages: Vec<NewMessage>,
        replies: Vec<R>,
        charges: Vec<Charge>,
    ) -> Result<(), Gone> {
        let outcomes = messages.iter().zip(replies).map(|(message, reply)| {
            let appended = Appended {
                message: message.to_message(),
                duplicate: false,
            };
            self.outcome(message.id, Ok(appended), Some(reply), clock::now())
        });
        let outcomes = outcomes.collect();
        // It is stored also if the task that delivers is gone.
        let done = Done {
            in_flight: Some(in_flight),
            outcomes,
            charges,
            admitted: true,
            committed: None,
        };
        let handed_on = self.hand_on(done).await;
        tokio::time::sleep(crate::failpoints::SLOW_DISK).await;
        let stored = self.store.append(&messages).await;
        self.log_failure(&stored);
        handed_on
    }

    /// What became of a message. Its sender was answered before if there is no reply.
    fn outcome(
        &mut self,
        id: MessageId,
        outcome: Result<Appended, AppendError>,
        reply: Option<R>,
        at: Timestamp,
    ) -> AppendOutcome<R> {
        let deliver = match &outcome {
            Ok(Appended { duplicate: false, .. }) => true,
            Ok(Appended { message, .. }) => {
                self.unknown_outcomes.remove(&message.id) && self.store.claim_delivery(message.id)
            }
            Err(AppendError::Store(_)) => {
                if self.unknown_outcomes.len() < MAX_UNKNOWN_OUTCOMES {
                    self.unknown_outcomes.insert(id);
                }
                false
            }
            Err(_) => false,
        };
        AppendOutcome {
            failed: outcome.is_err().then_some(id),
            at,
            outcome: outcome.map_err(NotStored::Failed),
            deliver,
            reply,
        }
    }

    /// One log line for all messages that failed for the same reason, and one when one is stored again.
    fn log_failure(&mut self, outcomes: &[Result<Appended, AppendError>]) {
        let mut failures = outcomes.iter().filter_map(|outcome| match outcome {
            Err(AppendError::Store(error)) => Some(error),
            _ => None,
        });
        if let Some(error) = failures.next() {
            if self.outage.failed() {
                tracing::error!(%error, messages = 1 + failures.count(), "message store: messages are not stored");
            }
        } else if outcomes.iter().any(is_stored)
            && let Some(ended) = self.outage.worked()
        {
            tracing::info!(batches = ended.failures, lasted = ?ended.lasted, "message store: messages are stored again");
        }
    }
}

/// Whether a message was written now. What is refused or was there before shows only that the store can be read.
fn is_stored(outcome: &Result<Appended, AppendError>) -> bool {
    outcome.as_ref().is_ok_and(|appended| !appended.duplicate)
}

/// The task that answers and delivers what a lane hands on, in its order.
pub(super) async fn deliver<R>(
    mut finished: mpsc::Receiver<Done<R>>,
    shared: Shared<R>,
    finish: impl Fn(AppendOutcome<R>),
) {
    let running = Running::new(&shared.queue);
    while let Some(done) = finished.recv().await {
        done.outcomes.into_iter().for_each(&finish);
        if let Some(committed) = done.committed {
            METRICS.delivery.observe_time(committed.elapsed());
        }
        drop(done.in_flight);
        if done.admitted {
            let mut receivers = shared.receivers.lock();
            for charge in &done.charges {
                receivers.done(charge.receiver, charge.sender, charge.bytes);
                receivers.done(charge.sender, charge.sender, charge.bytes);
            }
            receivers.recheck(&*shared.backlog);
        }
        shared.queue.release(done.charges.into_iter());
    }
    running.end();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_message_that_is_written_shows_that_messages_are_stored() {
        let appended = |duplicate| Appended {
            message: serde_json::from_str(r#"{"_id":"0123456789abcdef01234567"}"#).unwrap(),
            duplicate,
        };
        assert!(is_stored(&Ok(appended(false))));
        assert!(!is_stored(&Ok(appended(true))));
        assert!(!is_stored(&Err(AppendError::UnknownReceiver)));
        assert!(!is_stored(&Err(AppendError::Conflict)));
    }
}
