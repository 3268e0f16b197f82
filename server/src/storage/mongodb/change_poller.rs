//! Reads what other programs write into the same database: other nodes, dead ones, and Mongoose.
//!
//! Ids of messages begin with the time at which they were made. So once a second the poller reads the ids of the last few
//! seconds, which is nearly all that is new. It reads the ids of a second once more when that second has *settled*: by the
//! argument of [`window`](super::window) nothing in it becomes visible after that. The ids that this process made lie together
//! in each second, and the poller steps over them: the cost is per second, not per message. Messages whose ids are older,
//! because they were renewed or stored late, are read from the collection in which each of them is announced; markers and
//! settings by their `updatedAt`, which is a new one if they were stored late.
//!
//! # Slices
//! What there is to read is read in [slices] of at most [`MAX_SLICE`] of time, the oldest first, each with commands of at most
//! [`MAX_PAGE`] ids. A slice that was read to its end is complete, whether or not the next one fails. So a store that was
//! separated from its database for long comes nearer with each command, however much was written meanwhile, and holds one page
//! at a time.
//!
//! # Inboxes
//! A node projects what it stored itself. What other nodes stored is held here until they say that they have projected it
//! ([`writers`]), or are gone: then every node that lives projects it. The same happens to what other programs wrote.
//!
//! `settled` in `meta` is a moment before which every message is in the inboxes. A store writes it only up to where its own
//! poller had settled before everything that it had found was written; at most the window before what the store has itself
//! projected; and at most up to what it holds. A store that is opened continues from there. So if a node dies, alone or
//! together with all others, the next one projects what it left. The time in such a message's id must be right, see `window`;
//! old messages that are imported come into the inboxes only by a rebuild.
//!
//! # Cursors of live events
//! [`committed_position`](ChangePoller::committed_position) is a moment S: *every change of other programs with
//! `updatedAt <= S` was handed out*, and the receiver has come back for more since. Why that holds: let such a change have the
//! `updatedAt` u <= S.
//!
//! - Either it became visible within [`HALF_WINDOW`](super::window::HALF_WINDOW) of the time in its id, which is not greater
//!   than u. Then the poller saw it when S passed that time, [`SETTLE_DELAY`] later.
//! - Or it was renewed or announced before it was acknowledged, by a document with a time not greater than u, for which the same
//!   argument holds.
//!
//! S does not move while the database can't be read, and cursors do not either.
//!
//! Slices change nothing of this. S moves to the end of a slice only after the ids, the renewals, the markers and the settings
//! whose times lie in it were read and handed out, and after those of all earlier slices were; and a slice ends no later than
//! [`SETTLE_DELAY`] before the moment at which its reading began. Within a slice pages follow each other in the order of ids, or
//! of time and id: what becomes visible in a part that was read already did so later than is assumed, and a single read would
//! have missed it as well.
//!
//! # Bounds
//! | what | at most |
//! |---|---|
//! | ids of a page | [`MAX_PAGE`], 12 bytes each |
//! | messages that are read and wait for the receiver | [`MAX_PENDING_BATCHES`] + 1 times [`MAX_BATCH_BYTES`] and one message, beside one answer of mongod (16 MiB) |
//! | what was seen and is not settled | 20 MiB; beyond that whole seconds are forgotten, and handed out once more (`seen`) |
//! | entries of inboxes that are held | 50,000, 22 MiB (`inbox/projector`) |
//! | own messages with an unknown outcome | 65,536, 1.3 MiB, and as many that were found (`inbox/projector`) |
//!
//! Changes that another program makes to an old message without announcing them are not delivered live: only the feeds, which
//! are ordered by `updatedAt`, show them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use bson::Document;
use bson::oid::ObjectId;
use bson::raw::RawDocumentBuf;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use mongodb::{Collection, Database};
use parking_lot::Mutex;
use shared::{MessageId, Timestamp};
use tokio::sync::mpsc;

use super::inbox::projector::Projector;
use super::integrity::Integrity;
use super::meta::Meta;
use super::names;
use super::timeouts::READ_TIMEOUT;
use super::window::{Clock, WINDOW};
use crate::domain::RemoteChange;
use crate::metrics::METRICS;
use crate::storage::StoreError;
use backfill::{Backfill, BackfillReader};
use ids::OwnIds;
use seen::SeenCache;
use writers::Writers;

mod backfill;
mod ids;
mod read;
mod seen;
mod slices;
mod writers;

/// How often it polls.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How long after a moment it reads that moment for the last time, in milliseconds.
const SETTLE_DELAY: i64 = WINDOW + 5_000;
/// How often `settled` is written.
const SAVE_INTERVAL: Duration = Duration::from_secs(5);
/// The longest span of time that is read and completed as one, in milliseconds.
const MAX_SLICE: i64 = 2_000;
/// Ids of messages, renewals or markers of one command.
const MAX_PAGE: usize = 5_000;
const PAGE_LIMIT: i64 = MAX_PAGE as i64;
/// Messages that are read with one command.
const MAX_BATCH: usize = 500;
/// Bytes of messages that are handed out together, as documents; more only for one that is larger by itself.
const MAX_BATCH_BYTES: usize = 1024 * 1024;
/// How far what is not yet written into the inboxes can reach back, in milliseconds, by the times in ids.
const MAX_UNWRITTEN_AGE: i64 = SETTLE_DELAY + 10_000;
/// Batches that may wait for the receiver.
const MAX_PENDING_BATCHES: usize = 16;

/// What is handed to the receiver.
enum Item {
    Changes(Vec<RemoteChange>),
    /// Everything up to this moment was handed out before.
    CompleteUpTo(i64),
}

/// The poller, as the store sees it.
pub(super) struct ChangePoller {
    shared: Arc<Shared>,
    /// Taken by the first call of `remote_changes`.
    receiver: Mutex<Option<mpsc::Receiver<Item>>>,
}

/// What the task and the store share.
struct Shared {
    committed_position: AtomicI64,
    /// Whether `remote_changes` was called.
    has_receiver: AtomicBool,
    own: OwnIds,
    /// Everything that this process stored before this moment is projected, by the time in ids.
    projected: AtomicI64,
    reader: BackfillReader,
}

/// The task.
pub(super) struct Task {
    shared: Arc<Shared>,
    messages: Collection<RawDocumentBuf>,
    markers: Collection<RawDocumentBuf>,
    renewals: Collection<RawDocumentBuf>,
    users: Collection<RawDocumentBuf>,
    meta: Meta,
    projector: Projector,
    node: ObjectId,
    /// The id by which its changes of settings are known: a new one after a change that failed.
    settings_node: Arc<Mutex<ObjectId>>,
    clock: Clock,
    sender: mpsc::Sender<Item>,
    seen: SeenCache,
    writers: Writers,
    /// Everything before this moment was read for the last time; whole seconds, in milliseconds.
    settled: i64,
    /// Everything that it handed to the projector up to this moment is written.
    written: i64,
    /// How far it had settled when so many rounds of the projector had begun.
    handed_over: (i64, u64),
    /// When it last read what is new.
    polled: i64,
    /// What is still to be projected of the time before this store was opened.
    backfill: Option<Backfill>,
    saved_at: Option<tokio::time::Instant>,
    failing: bool,
}

impl ChangePoller {
    /// Prepares to poll a database whose inboxes hold everything before `projected`. By the ids of `nodes` the changes of this
    /// store are known, by the second one those of settings; `others` says whether there are other nodes.
    pub(super) fn new(
        database: &Database,
        projector: Projector,
        projected: i64,
        (node, settings_node): (ObjectId, Arc<Mutex<ObjectId>>),
        clock: Clock,
        others: Arc<AtomicBool>,
    ) -> (Self, Task) {
        let now = clock().millis();
        let settled = second(now.saturating_sub(SETTLE_DELAY));
        let shared = Arc::new(Shared {
            committed_position: AtomicI64::new(settled.saturating_sub(1)),
            has_receiver: AtomicBool::new(false),
            own: OwnIds::default(),
            projected: AtomicI64::new(settled),
            reader: BackfillReader::new(database),
        });
        let (sender, receiver) = mpsc::channel(MAX_PENDING_BATCHES);
        let task = Task {
            shared: Arc::clone(&shared),
            messages: database.collection(names::MESSAGES),
            markers: database.collection(names::MARKERS),
            renewals: database.collection(names::RENEWALS),
            users: database.collection(names::USERS),
            meta: Meta::new(database),
            projector,
            node,
            settings_node,
            clock,
            sender,
            seen: SeenCache::default(),
            writers: Writers::new(database, others),
            settled,
            written: settled,
            handed_over: (settled, 0),
            polled: settled,
            backfill: (projected < settled).then(|| Backfill::new(second(projected), settled)),
            saved_at: None,
            failing: false,
        };
        let change_poller = Self {
            shared,
            receiver: Mutex::new(Some(receiver)),
        };
        (change_poller, task)
    }

    /// See the module's documentation.
    pub(super) fn committed_position(&self) -> i64 {
        self.shared.committed_position.load(Ordering::Acquire)
    }

    /// Records the bytes by which this process's own ids are known.
    pub(super) fn set_own_ids(&self, id: MessageId) {
        self.shared.own.set(id);
    }

    /// What the lease of this node says of what it stored.
    pub(super) fn claim(&self) -> Document {
        writers::claim(self.shared.own.bytes(), self.shared.projected.load(Ordering::Acquire))
    }

    /// See [`crate::storage::FeedStore::remote_changes`].
    pub(super) fn remote_changes(&self) -> BoxStream<'static, Vec<RemoteChange>> {
        let Some(receiver) = self.receiver.lock().take() else {
            return stream::pending().boxed();
        };
        self.shared.has_receiver.store(true, Ordering::Release);
        let shared = Arc::clone(&self.shared);
        let next = |(mut receiver, shared): (mpsc::Receiver<Item>, Arc<Shared>)| async {
            loop {
                match receiver.recv().await? {
                    Item::Changes(changes) => return Some((changes, (receiver, shared))),
                    // The receiver has processed what was handed out before, or it would not ask for more.
                    Item::CompleteUpTo(at) => shared.committed_position.fetch_max(at, Ordering::AcqRel),
                };
            }
        };
        stream::unfold((receiver, shared), next)
            .chain(stream::pending())
            .boxed()
    }
}

impl Task {
    /// Polls again and again. Never returns.
    pub(super) async fn run(mut self, integrity: Integrity) {
        let mut tick = tokio::time::interval(POLL_INTERVAL);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let polled = self.poll(&integrity).await;
            if polled.is_err() != self.failing {
                self.failing = polled.is_err();
                match polled {
                    Ok(()) => tracing::info!("change poller: reads succeed again"),
                    Err(error) => tracing::warn!(%error, "change poller: read failed"),
                }
            }
        }
    }

    /// Reads once what is new.
    async fn poll(&mut self, integrity: &Integrity) -> Result<(), StoreError> {
        integrity.admit(READ_TIMEOUT).await?;
        if self.writers.read(self.shared.own.bytes()).await? {
            self.projector.take_over();
        }
        self.projector.release(to_seconds(self.writers.projected()));
        let now = (self.clock)().millis();
        for slice in slices::until(now, self.settled, self.polled) {
            self.read_slice(&slice, now).await?;
            // A database that is another one by now lacks what should have been read.
            integrity.admit(READ_TIMEOUT).await?;
            self.polled = slice.polled;
            self.settled = slice.settled;
            self.seen.advance(to_seconds(self.settled), recent(self.polled));
            self.send_settled();
            METRICS.polled_up_to.set(self.polled.cast_unsigned());
        }
        self.run_backfills(now).await?;
        let projected = self.own_projected();
        self.shared.projected.fetch_max(projected, Ordering::AcqRel);
        self.save_progress().await
    }

    fn has_receiver(&self) -> bool {
        self.shared.has_receiver.load(Ordering::Acquire)
    }

    /// Hands changes to the receiver, and waits if it is slow. Before there is one, no client can miss anything.
    async fn send(&self, changes: Vec<RemoteChange>) {
        if !changes.is_empty() && self.has_receiver() {
            // An error means that the receiver is gone.
            let _ = self.sender.send(Item::Changes(changes)).await;
        }
    }

    /// Says up to which moment everything was handed out. If the receiver is slow, the next poll says it.
    fn send_settled(&self) {
        let settled = self.settled.saturating_sub(1);
        if self.has_receiver() {
            let _ = self.sender.try_send(Item::CompleteUpTo(settled));
        } else {
            self.shared.committed_position.fetch_max(settled, Ordering::AcqRel);
        }
    }

    /// Projects some of what was stored before this store was opened, and all that the projector had to leave out.
    async fn run_backfills(&mut self, now: i64) -> Result<(), StoreError> {
        if let Some(backfill) = &mut self.backfill
            && backfill.advance(&self.shared.reader).await?
        {
            self.backfill = None;
        }
        if let Some(since) = self.projector.take_left_out() {
            let mut missed = Backfill::new(i64::from(since) * 1_000, now.saturating_add(SETTLE_DELAY));
            let finish_left_out = loop {
                match missed.advance(&self.shared.reader).await {
                    Ok(true) => break Ok(()),
                    Ok(false) => {}
                    Err(error) => break Err(error),
                }
            };
            self.projector.finish_left_out(finish_left_out.is_ok());
            finish_left_out?;
        }
        Ok(())
    }

    /// Everything that was handed to the projector to be written is written before this moment, by the time in ids: what this
    /// process stored, which was handed over soon after, and what the poller found, however much later that was.
    fn own_projected(&mut self) -> i64 {
        let rounds = self.projector.rounds();
        let (settled, begun) = self.handed_over;
        if rounds.ended > begun {
            self.written = settled;
            self.handed_over = (self.settled, rounds.begun);
        }
        let stored = self.projector.done().millis().saturating_sub(MAX_UNWRITTEN_AGE);
        stored.min(self.written)
    }

    /// Stores up to which moment all messages are projected.
    async fn save_progress(&mut self) -> Result<(), StoreError> {
        if self.saved_at.is_some_and(|at| at.elapsed() < SAVE_INTERVAL) {
            return Ok(());
        }
        let held = self.projector.held_since();
        let held = held.map_or(i64::MAX, |second| i64::from(second) * 1_000);
        let backfilled = self.backfill.as_ref().map_or(i64::MAX, Backfill::begin);
        let projected = self.own_projected().min(backfilled).min(held);
        self.meta.save_settled(Timestamp::from_millis(projected)).await?;
        self.saved_at = Some(tokio::time::Instant::now());
        Ok(())
    }
}

/// The beginning of the second of a moment.
fn second(at: i64) -> i64 {
    at.div_euclid(1_000) * 1_000
}

/// From which second on the next poll reads everything, after one that has read up to a moment.
fn recent(polled: i64) -> u32 {
    to_seconds(polled.saturating_sub(slices::LOOKBACK))
}

/// A moment as the time in ids has it.
fn to_seconds(at: i64) -> u32 {
    u32::try_from(at.div_euclid(1_000).max(0)).unwrap_or(u32::MAX)
}
