//! Group commit: what waits becomes one durable batch.
//!
//! A message goes through one of a few lanes, always the one of its sender and receiver, so messages from one person to
//! another keep their order. Each lane is two tasks: one takes what waits (no timer: a lone message goes at once), has
//! the store make it durable and hands it on; the other answers and delivers in the order of the commit, while the next
//! batch is already being written.
//!
//! | module | what it owns |
//! |---|---|
//! | `queue` | a lane's queue: what is under way, and the stop |
//! | `shares` | how much each sender may have under way |
//! | `turns` | whose message is next: senders take turns |
//! | `receivers` | how much each receiver can take |
//! | `batch` | what goes from one task to the other |
//! | `lane` | the two tasks |
//! | `running` | what notices that one of them is gone |
//!
//! [`super::Receipts`] has a queue, shares and turns of the same kind.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use parking_lot::Mutex;
use shared::{MessageId, Timestamp, UserId};
use tokio::sync::mpsc;

use self::lane::{Lane, Shared, Submitted, UNDELIVERED_BATCHES};
pub(super) use self::queue::Queue;
use self::receivers::Receivers;
pub(super) use self::running::Running;
pub(super) use self::shares::Amount;
pub(super) use self::turns::Portion;
use crate::clock;
use crate::delivery::{Buffered, DeliveryWatermark};
use crate::domain::Conversation;
use crate::domain::NewMessage;
use crate::storage::{AppendError, Appended, Store, size};
use crate::supervisor::Supervisor;

mod batch;
mod lane;
mod queue;
mod receivers;
mod running;
mod shares;
mod turns;

/// What the queue's threads meet at; its model takes the same of Loom.
mod sync {
    pub(super) use parking_lot::Mutex;
    pub(super) use tokio::sync::Notify;
}

/// What a message takes in a buffer beside its text, in bytes.
const ENVELOPE_BYTES: usize = 350;

/// What waits for a user.
pub type Backlog = Arc<dyn Fn(UserId) -> Buffered + Send + Sync>;

/// What may be under way in all: waiting, being stored or being delivered.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Messages.
    pub messages: usize,
    /// Their bytes, as clients are sent them.
    pub bytes: usize,
}

/// How full a queue is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// What waits to be stored.
    pub waiting: usize,
    /// What is under way in all.
    pub messages: usize,
    /// The bytes of that.
    pub bytes: usize,
}

/// A message whose commit has ended, with the `R` that the submitter gave along to answer through.
pub struct AppendOutcome<R> {
    /// What became of it.
    pub outcome: Result<Appended, NotStored>,
    /// Whether the people concerned still have to be sent it. False for failures, and for duplicates of a message
    /// that was delivered before.
    pub deliver: bool,
    /// Given along by the submitter. `None` if the submitter was answered before that the store is unavailable, and the
    /// store answered after all.
    pub reply: Option<R>,
    /// The id that the message was given, where it is known: one of a failure.
    pub failed: Option<MessageId>,
    /// When that was known: one time for all of a batch.
    pub at: Timestamp,
}

impl<R> AppendOutcome<R> {
    fn failed(why: NotStored, reply: R, message: Option<MessageId>) -> Self {
        Self {
            outcome: Err(why),
            deliver: false,
            reply: Some(reply),
            failed: message,
            at: clock::now(),
        }
    }
}

/// What a message or a mark is charged with until it is answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Charge {
    /// To whom.
    pub(super) sender: UserId,
    /// Whom the message is for, or whose messages are marked.
    pub(super) receiver: UserId,
    /// How many bytes.
    pub(super) bytes: usize,
}

/// Why a message was not taken, or was not handed to the store. It is certainly not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The sender has as much under way as is allowed now.
    #[error("the queue is full")]
    QueueFull,
    /// The receiver, or a connection of the sender, does not read fast enough for how much this sender sends.
    #[error("the receiver can't take more")]
    ReceiverFull,
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
    /// A part of the server failed.
    #[error("a part of the server failed")]
    Broken,
}

/// Why a message that was taken is not stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotStored {
    /// It was not handed to the store.
    Refused(SubmitError),
    /// The store did not store it, or it is not known whether it did.
    Failed(AppendError),
}

impl From<SubmitError> for NotStored {
    fn from(refused: SubmitError) -> Self {
        Self::Refused(refused)
    }
}

/// The queue of messages that are to be stored.
pub struct Committer<R> {
    queues: Vec<Arc<Queue<Submitted<R>>>>,
    hasher: RandomState,
}

impl<R: Send + 'static> Committer<R> {
    /// Starts the lanes. `finish` is called for each message whose commit has ended, in the order of the commits of
    /// its lane; it must not block. `backlog` is called before a message is stored. The tasks end when the committer was stopped or dropped.
    pub fn start<F>(
        store: Arc<dyn Store>,
        watermark: &Arc<DeliveryWatermark>,
        limits: Limits,
        backlog: Backlog,
        parts: &Supervisor,
        finish: F,
    ) -> Self
    where
        F: Fn(AppendOutcome<R>) + Clone + Send + 'static,
    {
        let count = store.append_lanes().max(1);
        let limit = Amount {
            messages: limits.messages.div_ceil(count),
            bytes: limits.bytes.div_ceil(count),
        };
        let receivers = Arc::new(Mutex::new(Receivers::default()));
        let queues = (0..count).map(|_| {
            let queue = Arc::new(Queue::new(limit));
            let shared = Shared {
                queue: Arc::clone(&queue),
                receivers: Arc::clone(&receivers),
                backlog: Arc::clone(&backlog),
            };
            let (done, finished) = mpsc::channel(UNDELIVERED_BATCHES);
            let lane = Lane::new(Arc::clone(&store), Arc::clone(watermark), shared.clone(), done);
            parts.spawn("message-store", lane.run());
            parts.spawn("message-delivery", lane::deliver(finished, shared, finish.clone()));
            queue
        });
        Self {
            queues: queues.collect(),
            hasher: RandomState::new(),
        }
    }

    /// Takes a message into the queue, or hands the reply back at once.
    pub fn submit(&self, message: NewMessage, reply: R) -> Result<(), (SubmitError, R)> {
        // The two directions of a conversation take different lanes: people who answer each other don't wait for each
        // other's commit.
        let conversation = Conversation::between(message.sender, message.receiver);
        let direction = usize::from(message.sender == conversation.low());
        let lane = (self.hasher.hash_one(conversation) as usize).wrapping_add(direction) % self.queues.len();
        let charge = Charge {
            sender: message.sender,
            receiver: message.receiver,
            bytes: ENVELOPE_BYTES + size::text_bytes(message.text.as_str()),
        };
        let submitted = Submitted { message, charge, reply };
        self.queues[lane]
            .enqueue(charge, submitted)
            .map_err(|(refused, submitted)| (refused, submitted.reply))
    }

    /// What is under way now, and how many messages of it wait to be stored.
    pub fn depth(&self) -> Depth {
        let depths = self.queues.iter().map(|queue| queue.depth());
        depths.fold(Depth::default(), |all, one| Depth {
            waiting: all.waiting + one.waiting,
            messages: all.messages + one.messages,
            bytes: all.bytes + one.bytes,
        })
    }

    /// Whether messages wait to be stored.
    pub fn is_busy(&self) -> bool {
        self.queues.iter().any(|queue| queue.is_waited_for())
    }

    /// Refuses whatever comes from now on, and returns when all that was taken is answered and delivered.
    pub async fn stop(&self) {
        self.queues.iter().for_each(|queue| queue.stop());
        for queue in &self.queues {
            queue.emptied().await;
        }
    }
}

impl<R> Drop for Committer<R> {
    fn drop(&mut self) {
        self.queues.iter().for_each(|queue| queue.stop());
    }
}
