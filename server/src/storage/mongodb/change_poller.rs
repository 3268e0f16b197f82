//! Learning what other programs write into the same database: other nodes, dead ones, and Mongoose.
//!
//! Ids of messages begin with the time at which they were made. So once a second the ids of the last few seconds are
//! read, which is nearly all that is new; and once more those of the second that has just become *settled*, in which by the
//! argument of [`window`](super::window) nothing will become visible any more. What this process has minted itself lies together in
//! each second, and is stepped over: the cost is per second, not per message. Messages whose ids are
//! older, because they were renewed or stored late, are read from where every such message is announced; markers and settings
//! by their `updatedAt`, which is a new one if they were stored late.
//!
//! # Slices
//! What there is to read is read in [slices] of at most [`SLICE`] of time, the oldest first, each with commands of at most
//! [`PAGE`] ids. A slice that was read to its end is done with, whatever becomes of the next: so a store that was separated from
//! its database for long comes nearer with each command, however much was written meanwhile, and holds a page at a time.
//!
//! # Inboxes
//! A node projects what it stored itself; what other nodes stored is held until they say that they have ([`writers`]), or are gone: then
//! it is projected here, by every node that lives. So is what other programs wrote.
//!
//! `settled` in `meta` is a moment in front of which every message is in the inboxes: a store writes it only up to where its
//! own follower had settled before all that it had come across was written, not beyond what the store has itself projected less the
//! window, and not beyond what it holds. A store
//! that is opened goes on from there. So what a node left that died alone, or together with all others, is projected by the next. The time in such a message's id must be right, see `window`; of an import of old
//! messages only a rebuilding learns.
//!
//! # Cursors of live events
//! [`committed_position`](ChangePoller::committed_position) is a moment S: *every change of other programs with `updatedAt <= S` was handed out*, and
//! the receiver has come back for more since. Let such a change have the `updatedAt` u <= S. Either it became visible
//! within [`HALF`](super::window::HALF) of the time in its id, which is not greater than u: then it was seen when S passed that time, [`SETTLED`]
//! later. Or it was renewed or announced before anybody was told, by a document with a time not greater than u, of which the
//! same holds. S does not move while the database can't be read, and cursors do not either.
//!
//! Slices change nothing of this. S moves to the end of a slice only after the ids, the renewals, the markers and the settings whose times lie in
//! it were read and handed out, and after those of all earlier slices were; and a slice ends no later than [`SETTLED`] before
//! the moment at which its reading began. Within a slice pages follow each other in the order of ids, or of time and id: what becomes
//! visible in a part that was read already did so later than is assumed, and would have been missed by one read as well.
//!
//! # Bounds
//! | what | at most |
//! |---|---|
//! | ids of a page | [`PAGE`], 12 bytes each |
//! | messages that are read and wait to be handed on | [`UNHEARD`] + 1 times [`BATCH_BYTES`] and one message, beside one answer of mongod (16 MiB) |
//! | what was seen and is not settled | 20 MiB; whole seconds are forgotten beyond that, and told again once (`seen`) |
//! | entries of inboxes that are held | 50,000, 22 MiB (`inbox/projector`) |
//! | own messages in doubt | 65,536, 1.3 MiB, and as many that were found (`inbox/projector`) |
//!
//! Not heard of live are changes that another program makes to an old message without announcing them: nothing but the feeds,
//! which are ordered by `updatedAt`, shows them.

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
use crate::storage::StoreError;
use backfill::{Backfill, BackfillReader};
use ids::Own;
use seen::SeenCache;
use writers::Writers;

mod backfill;
mod ids;
mod read;
mod seen;
mod slices;
mod writers;

/// How often it looks.
const TICK: Duration = Duration::from_secs(1);
/// How far behind the present it looks a second time, in milliseconds.
const SETTLED: i64 = WINDOW + 5_000;
/// How often `settled` is written.
const REMEMBER: Duration = Duration::from_secs(5);
/// The longest span of time that is read and done with as one, in milliseconds.
const SLICE: i64 = 2_000;
/// Ids of messages, renewals or markers of one command.
const PAGE: usize = 5_000;
const LIMIT: i64 = PAGE as i64;
/// Messages that are read with one command.
const BATCH: usize = 500;
/// Bytes of messages that are handed on together, as documents; more only for one that is larger by itself.
const BATCH_BYTES: usize = 1024 * 1024;
/// How far what is not yet written into the inboxes can reach back, in milliseconds, by the times in ids.
const UNWRITTEN: i64 = SETTLED + 10_000;
/// Batches that may wait for the receiver.
const UNHEARD: usize = 16;

/// What is handed to the receiver.
enum Told {
    Changes(Vec<RemoteChange>),
    /// All up to this moment was handed out before.
    MarkOutcome(i64),
}

/// Follows the database.
pub(super) struct ChangePoller {
    shared: Arc<Shared>,
    /// Taken by the one who asks for what other programs write.
    receiver: Mutex<Option<mpsc::Receiver<Told>>>,
}

/// What the task and the store share.
struct Shared {
    committed_position: AtomicI64,
    /// Whether somebody receives what other programs write.
    heard: AtomicBool,
    own: Own,
    /// In front of which moment all that this process stored is projected, by the time in ids.
    projected: AtomicI64,
    whole: BackfillReader,
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
    /// The same of settings: another one after a change that failed.
    settings_node: Arc<Mutex<ObjectId>>,
    clock: Clock,
    told: mpsc::Sender<Told>,
    seen: SeenCache,
    writers: Writers,
    /// All in front of this moment was looked at a second time; whole seconds, in milliseconds.
    settled: i64,
    /// Up to where all that it handed to the projector is written.
    written: i64,
    /// Where it had settled, after so many rounds of the projector had begun.
    handed: (i64, u64),
    /// When it last looked for what is new.
    looked: i64,
    /// What is still to be projected of the time before this store was opened.
    past: Option<Backfill>,
    remembered: Option<tokio::time::Instant>,
    failing: bool,
}

impl ChangePoller {
    /// Prepares to follow a database in whose inboxes is all before `projected`. `nodes` tell what this store writes from
    /// what others do, the second one its settings; `others` says whether there are other nodes.
    pub(super) fn new(
        database: &Database,
        projector: Projector,
        projected: i64,
        (node, settings_node): (ObjectId, Arc<Mutex<ObjectId>>),
        clock: Clock,
        others: Arc<AtomicBool>,
    ) -> (Self, Task) {
        let now = clock().millis();
        let settled = second(now.saturating_sub(SETTLED));
        let shared = Arc::new(Shared {
            committed_position: AtomicI64::new(settled.saturating_sub(1)),
            heard: AtomicBool::new(false),
            own: Own::default(),
            projected: AtomicI64::new(settled),
            whole: BackfillReader::new(database),
        });
        let (told, receiver) = mpsc::channel(UNHEARD);
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
            told,
            seen: SeenCache::default(),
            writers: Writers::new(database, others),
            settled,
            written: settled,
            handed: (settled, 0),
            looked: settled,
            past: (projected < settled).then(|| Backfill::new(second(projected), settled)),
            remembered: None,
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

    /// Learns by which bytes to know this process's own ids.
    pub(super) fn minted(&self, id: MessageId) {
        self.shared.own.learn(id);
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
        self.shared.heard.store(true, Ordering::Release);
        let shared = Arc::clone(&self.shared);
        let next = |(mut receiver, shared): (mpsc::Receiver<Told>, Arc<Shared>)| async {
            loop {
                match receiver.recv().await? {
                    Told::Changes(changes) => return Some((changes, (receiver, shared))),
                    // What was handed out before has been dealt with, or nobody would ask for more.
                    Told::MarkOutcome(at) => shared.committed_position.fetch_max(at, Ordering::AcqRel),
                };
            }
        };
        stream::unfold((receiver, shared), next)
            .chain(stream::pending())
            .boxed()
    }
}

impl Task {
    /// Follows. Never returns.
    pub(super) async fn run(mut self, integrity: Integrity) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let looked = self.look(&integrity).await;
            if looked.is_err() != self.failing {
                self.failing = looked.is_err();
                match looked {
                    Ok(()) => tracing::info!("what other programs write is heard of again"),
                    Err(error) => tracing::warn!(%error, "what other programs write is not heard of"),
                }
            }
        }
    }

    /// Looks once for whatever is new.
    async fn look(&mut self, integrity: &Integrity) -> Result<(), StoreError> {
        integrity.admit(READ_TIMEOUT).await?;
        if self.writers.read(self.shared.own.bytes()).await? {
            self.projector.take_over();
        }
        self.projector.release(to_seconds(self.writers.projected()));
        let now = (self.clock)().millis();
        for slice in slices::until(now, self.settled, self.looked) {
            self.read_slice(&slice, now).await?;
            // A database that is another one now has nothing of what should have been read.
            integrity.admit(READ_TIMEOUT).await?;
            self.looked = slice.looked;
            self.settled = slice.settled;
            self.seen.pass(to_seconds(self.settled), recent(self.looked));
            self.tell_settled();
        }
        self.catch_up(now).await?;
        let projected = self.own_projected();
        self.shared.projected.fetch_max(projected, Ordering::AcqRel);
        self.remember().await
    }

    fn is_heard(&self) -> bool {
        self.shared.heard.load(Ordering::Acquire)
    }

    /// Waits for the receiver if that one is behind. Before there is one, nobody misses anything.
    async fn tell(&self, changes: Vec<RemoteChange>) {
        if !changes.is_empty() && self.is_heard() {
            // An error means that nobody listens any more.
            let _ = self.told.send(Told::Changes(changes)).await;
        }
    }

    /// Says up to where all was handed out. A receiver that is behind is told the next time.
    fn tell_settled(&self) {
        let settled = self.settled.saturating_sub(1);
        if self.is_heard() {
            let _ = self.told.try_send(Told::MarkOutcome(settled));
        } else {
            self.shared.committed_position.fetch_max(settled, Ordering::AcqRel);
        }
    }

    /// Projects some of what lies before this store was opened, and all that the projector had to leave out.
    async fn catch_up(&mut self, now: i64) -> Result<(), StoreError> {
        if let Some(past) = &mut self.past
            && past.go_on(&self.shared.whole).await?
        {
            self.past = None;
        }
        if let Some(since) = self.projector.left_out() {
            let mut missed = Backfill::new(i64::from(since) * 1_000, now.saturating_add(SETTLED));
            let made_up = loop {
                match missed.go_on(&self.shared.whole).await {
                    Ok(true) => break Ok(()),
                    Ok(false) => {}
                    Err(error) => break Err(error),
                }
            };
            self.projector.made_up(made_up.is_ok());
            made_up?;
        }
        Ok(())
    }

    /// In front of which moment all that was handed to the projector to be written is written, by the time in ids: what this
    /// process stored, which was handed on soon after, and what was come across here, however much later that was.
    fn own_projected(&mut self) -> i64 {
        let rounds = self.projector.rounds();
        let (settled, begun) = self.handed;
        if rounds.ended > begun {
            self.written = settled;
            self.handed = (self.settled, rounds.begun);
        }
        let stored = self.projector.done().millis().saturating_sub(UNWRITTEN);
        stored.min(self.written)
    }

    /// Writes down up to where all messages are projected.
    async fn remember(&mut self) -> Result<(), StoreError> {
        if self.remembered.is_some_and(|at| at.elapsed() < REMEMBER) {
            return Ok(());
        }
        let held = self.projector.held_since();
        let held = held.map_or(i64::MAX, |second| i64::from(second) * 1_000);
        let past = self.past.as_ref().map_or(i64::MAX, Backfill::begin);
        let projected = self.own_projected().min(past).min(held);
        self.meta.settle(Timestamp::from_millis(projected)).await?;
        self.remembered = Some(tokio::time::Instant::now());
        Ok(())
    }
}

/// The beginning of the second of a moment.
fn second(at: i64) -> i64 {
    at.div_euclid(1_000) * 1_000
}

/// From which second on the next look reads everything, after one that has looked up to a moment.
fn recent(looked: i64) -> u32 {
    to_seconds(looked.saturating_sub(slices::RECENT))
}

/// A moment as the time in ids has it.
fn to_seconds(at: i64) -> u32 {
    u32::try_from(at.div_euclid(1_000).max(0)).unwrap_or(u32::MAX)
}
