//! Group commit: what waits becomes one durable batch.
//!
//! A message goes through one of a few lanes, always the one of its sender and receiver, so messages from one person to
//! another keep their order. Each lane is two tasks: one takes all that waits (no timer: a lone message goes at once), has the
//! store make it durable and hands it on; the other answers and delivers in the order of the commit, while the next
//! batch is already being written. Queues are bounded; a full one refuses.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use shared::MessageId;
use tokio::sync::{Notify, mpsc};

use crate::store::{AppendError, Appended, Conversation, Store};
use crate::supervisor::Supervisor;

use super::{Horizon, NewMessage, Ticket};

/// Most messages of one batch: measured with MongoDB, more than 512 no longer raises the rate.
const BATCH: usize = 512;

/// Batches that may wait for delivery in one lane.
const UNDELIVERED_BATCHES: usize = 4;

/// Most messages whose commit failed with an unknown outcome that are remembered, see [`Lane::unsettled`].
const UNSETTLED: usize = 65_536;

/// Why a message was not taken into the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// As many messages as are allowed wait already.
    QueueFull,
    /// The server is stopping.
    Stopping,
    /// A part of the server failed.
    Broken,
}

/// A message whose commit has ended, with the `R` that the submitter gave along to answer through.
pub struct Committed<R> {
    /// As it was submitted.
    pub message: NewMessage,
    /// What became of it.
    pub outcome: Result<Appended, AppendError>,
    /// Whether the people concerned still have to hear of it. False for failures, and for duplicates of a message
    /// that was delivered before.
    pub deliver: bool,
    /// Given along by the submitter.
    pub reply: R,
}

/// The queue in front of the store.
pub struct Committer<R> {
    lanes: Vec<mpsc::Sender<(NewMessage, R)>>,
    hasher: RandomState,
    progress: Arc<Progress>,
}

/// What is under way, so that a stop can wait for its end.
#[derive(Default)]
struct Progress {
    stopping: AtomicBool,
    unfinished: AtomicUsize,
    finished: Notify,
}

impl Progress {
    fn finish(&self, messages: usize) {
        if self.unfinished.fetch_sub(messages, Ordering::AcqRel) == messages {
            self.finished.notify_waiters();
        }
    }
}

impl<R: Send + 'static> Committer<R> {
    /// Starts the lanes. `settle` is called for each message whose commit has ended, in the order of the commits of
    /// its lane; it must not block. `capacity` messages may wait in all. The tasks end when the committer is dropped.
    pub fn start<F>(
        store: Arc<dyn Store>,
        horizon: &Arc<Horizon>,
        capacity: usize,
        parts: &Supervisor,
        settle: F,
    ) -> Self
    where
        F: Fn(Committed<R>) + Clone + Send + 'static,
    {
        let progress = Arc::new(Progress::default());
        let count = store.append_lanes().max(1);
        let lanes = (0..count).map(|_| {
            let (queue, waiting) = mpsc::channel(capacity.div_ceil(count));
            let (done, finished) = mpsc::channel(UNDELIVERED_BATCHES);
            let lane = Lane {
                store: Arc::clone(&store),
                horizon: Arc::clone(horizon),
                waiting,
                done,
                unsettled: HashSet::new(),
            };
            parts.spawn("message-store", lane.run());
            parts.spawn(
                "message-delivery",
                deliver(finished, settle.clone(), Arc::clone(&progress)),
            );
            queue
        });
        Self {
            lanes: lanes.collect(),
            hasher: RandomState::new(),
            progress,
        }
    }

    /// Takes a message into the queue, or hands the reply back at once.
    pub fn submit(&self, message: NewMessage, reply: R) -> Result<(), (Refused, R)> {
        // Counted before looking, so that `stop` either sees this message or is seen by it.
        self.progress.unfinished.fetch_add(1, Ordering::AcqRel);
        if self.progress.stopping.load(Ordering::Acquire) {
            self.progress.finish(1);
            return Err((Refused::Stopping, reply));
        }
        // The two directions of a conversation take different lanes: people who answer each other don't wait for each
        // other's commit.
        let conversation = Conversation::between(message.sender, message.receiver);
        let direction = usize::from(message.sender == conversation.low());
        let lane = (self.hasher.hash_one(conversation) as usize).wrapping_add(direction) % self.lanes.len();
        self.lanes[lane].try_send((message, reply)).map_err(|refused| {
            self.progress.finish(1);
            match refused {
                mpsc::error::TrySendError::Full((_, reply)) => (Refused::QueueFull, reply),
                mpsc::error::TrySendError::Closed((_, reply)) => (Refused::Broken, reply),
            }
        })
    }

    /// Refuses whatever comes from now on, and returns when all that was taken is answered and delivered.
    pub async fn stop(&self) {
        self.progress.stopping.store(true, Ordering::Release);
        loop {
            let finished = self.progress.finished.notified();
            if self.progress.unfinished.load(Ordering::Acquire) == 0 {
                return;
            }
            finished.await;
        }
    }
}

struct Lane<R> {
    store: Arc<dyn Store>,
    horizon: Arc<Horizon>,
    waiting: mpsc::Receiver<(NewMessage, R)>,
    done: mpsc::Sender<(Ticket, Vec<Committed<R>>)>,
    /// Messages whose commit failed with an unknown outcome. If one was stored after all, its sender finds out by
    /// sending again, as a duplicate; but nobody was told of it then, so it is delivered now.
    unsettled: HashSet<MessageId>,
}

impl<R> Lane<R> {
    async fn run(mut self) {
        let mut taken = Vec::with_capacity(BATCH);
        while self.waiting.recv_many(&mut taken, BATCH).await > 0 {
            let ticket = self.horizon.begin();
            let (messages, replies): (Vec<_>, Vec<_>) = taken.drain(..).unzip();
            #[cfg(feature = "sabotage")]
            if crate::sabotage::is("ack-early") {
                self.acknowledge_early(ticket, messages, replies).await;
                continue;
            }
            let outcomes = self.store.append(&messages).await;
            self.note_failure(&outcomes);
            let batch = messages.into_iter().zip(outcomes).zip(replies);
            let batch = batch
                .map(|((message, outcome), reply)| self.settle(message, outcome, reply))
                .collect();
            if self.done.send((ticket, batch)).await.is_err() {
                return;
            }
        }
    }

    /// Answers and delivers first, and stores afterwards, as slowly as a busy disk would.
    #[cfg(feature = "sabotage")]
    async fn acknowledge_early(&mut self, ticket: Ticket, messages: Vec<NewMessage>, replies: Vec<R>) {
        let settled = messages.iter().cloned().zip(replies).map(|(message, reply)| {
            let appended = Appended {
                message: message.to_message(),
                duplicate: false,
            };
            self.settle(message, Ok(appended), reply)
        });
        let settled = settled.collect();
        // Nobody left to tell is no reason not to store.
        let _ = self.done.send((ticket, settled)).await;
        tokio::time::sleep(crate::sabotage::SLOW_DISK).await;
        let outcomes = self.store.append(&messages).await;
        self.note_failure(&outcomes);
    }

    fn settle(&mut self, message: NewMessage, outcome: Result<Appended, AppendError>, reply: R) -> Committed<R> {
        let deliver = match &outcome {
            Ok(appended) => !appended.duplicate || self.unsettled.remove(&appended.message.id),
            Err(AppendError::Store(_)) => {
                if self.unsettled.len() < UNSETTLED {
                    self.unsettled.insert(message.id);
                }
                false
            }
            Err(_) => false,
        };
        Committed {
            message,
            outcome,
            deliver,
            reply,
        }
    }

    /// One log line for a batch, however many of its messages failed for the same reason.
    fn note_failure(&self, outcomes: &[Result<Appended, AppendError>]) {
        let mut failures = outcomes.iter().filter_map(|outcome| match outcome {
            Err(AppendError::Store(error)) => Some(error),
            _ => None,
        });
        if let Some(error) = failures.next() {
            tracing::error!(%error, messages = 1 + failures.count(), "messages were not stored");
        }
    }
}

async fn deliver<R>(
    mut finished: mpsc::Receiver<(Ticket, Vec<Committed<R>>)>,
    settle: impl Fn(Committed<R>),
    progress: Arc<Progress>,
) {
    while let Some((ticket, batch)) = finished.recv().await {
        let messages = batch.len();
        batch.into_iter().for_each(&settle);
        drop(ticket);
        progress.finish(messages);
    }
}
