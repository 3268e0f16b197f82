//! What the projector's thread does.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use shared::UserId;

use super::{MAX_BACKLOG, MAX_BATCH, Shared};
use crate::outage::Outage;
use crate::storage::sqlite::projection::Batch;
use crate::storage::sqlite::runs::FeedKey;
use crate::storage::sqlite::verify;
use crate::storage::sqlite::writer::Writer;
use crate::storage::{Projection, StoreError};

/// Messages in rows of `feed`, or a tenth as many rows of `inbox`, that one step verifies.
const MAX_VERIFIED: usize = 4_000;

/// How long messages wait for a step at most.
const STEP_INTERVAL: Duration = Duration::from_secs(2);

/// How long after a step that failed the next is tried.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// How often the log says how far a build is.
const REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// Before every user.
const BEFORE_ALL: UserId = UserId::from_bytes([0; 12]);

/// A build under way.
struct Build {
    stage: Stage,
    began: Instant,
    reported: Instant,
}

/// What is next in it. Any stage can be begun again without harm.
enum Stage {
    /// The ordinary steps, until they have come to this number.
    Old { until: i64 },
    /// Verify the rows of the inboxes after this key.
    Inbox((UserId, UserId)),
    /// Verify the rows of the feed after this key.
    Feed(FeedKey),
    /// Bring in what is missing of the messages after this number.
    Messages(i64),
}

impl Build {
    fn new(stage: Stage) -> Self {
        let now = Instant::now();
        Self {
            stage,
            began: now,
            reported: now,
        }
    }
}

/// What the thread owns.
pub(super) struct Work {
    shared: Arc<Shared>,
    reader: Connection,
    writer: Arc<Writer>,
    build: Option<Build>,
    last_step: Instant,
    outage: Outage,
}

/// What the thread does next.
enum Next {
    Stop,
    Step,
    Build,
}

impl Work {
    /// `old` is the number of the last message of an old database that is to be built.
    pub(super) fn new(shared: Arc<Shared>, reader: Connection, writer: Arc<Writer>, old: Option<i64>) -> Self {
        Self {
            shared,
            reader,
            writer,
            build: old.map(|until| Build::new(Stage::Old { until })),
            last_step: Instant::now(),
            outage: Outage::default(),
        }
    }

    /// The thread's life.
    pub(super) fn run(&mut self) {
        if self.build.is_some() {
            self.report("building the inboxes of an old database");
        }
        loop {
            let next = self.wait();
            fail::fail_point!("sqlite::projector", crate::failpoints::is_triggered(), |_| ());
            let done = match next {
                Next::Stop => break,
                Next::Step => self.step().map(|()| true),
                Next::Build => self.build(),
            };
            match done {
                Ok(wrote) => {
                    if wrote && let Some(ended) = self.outage.worked() {
                        tracing::info!(lasted = ?ended.lasted, "projector: messages are projected again");
                    }
                }
                Err(error) => {
                    if self.failed(error) {
                        break;
                    }
                }
            }
        }
    }

    /// Waits until there is something to do. Readers go first, and the building of an old database is steps, too.
    fn wait(&mut self) -> Next {
        let mut orders = self.shared.orders.lock();
        loop {
            if orders.stop {
                return Next::Stop;
            }
            if std::mem::take(&mut orders.rebuild) {
                self.build = Some(Build::new(Stage::Inbox((BEFORE_ALL, BEFORE_ALL))));
            }
            let projected = self.shared.progress.borrow().projected;
            let waiting = self.shared.appended.load(Ordering::Acquire) - projected;
            let late = waiting > 0 && self.last_step.elapsed() >= STEP_INTERVAL;
            if orders.wanted > projected || waiting >= MAX_BACKLOG || late {
                return Next::Step;
            }
            if self.build.is_some() {
                return Next::Build;
            }
            self.shared.wake.wait_for(&mut orders, STEP_INTERVAL);
        }
    }

    /// Hands the error to readers who wait, and waits itself. Returns whether to stop.
    fn failed(&mut self, error: StoreError) -> bool {
        if self.outage.failed() {
            tracing::warn!(%error, "projector: a step failed; it will be tried again");
        }
        self.shared.progress.send_modify(|progress| {
            progress.failures += 1;
            progress.error = Some(error);
        });
        let until = Instant::now() + RETRY_DELAY;
        let mut orders = self.shared.orders.lock();
        while !orders.stop && !self.shared.wake.wait_until(&mut orders, until).timed_out() {}
        orders.stop
    }

    /// Writes a batch in short transactions, between which others commit.
    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        let batch = Arc::new(batch);
        for part in 0..batch.parts() {
            let batch = Arc::clone(&batch);
            self.writer
                .run_blocking(move |connection| batch.write_part(connection, part))?;
        }
        self.writer.run_blocking(move |connection| batch.finish(connection))
    }

    /// Projects the next messages.
    fn step(&mut self) -> Result<(), StoreError> {
        let before = self.shared.progress.borrow().projected;
        let batch = Batch::read(&self.reader, before, MAX_BATCH)?;
        let (last, messages) = (batch.last, batch.messages);
        self.write(batch)?;
        self.last_step = Instant::now();
        let until = match self.build {
            Some(Build {
                stage: Stage::Old { until },
                ..
            }) => Some(until),
            _ => None,
        };
        self.shared.progress.send_modify(|progress| {
            progress.projected = progress.projected.max(last);
            if let Some(until) = until {
                progress.build.done += messages;
                progress.build.total = progress.build.done + (until - last).max(0).unsigned_abs();
            }
        });
        if until.is_some_and(|until| last >= until) {
            self.built();
        }
        self.report_now_and_then();
        Ok(())
    }

    /// Does a part of a build that is not done by ordinary steps. Returns whether something was written.
    fn build(&mut self) -> Result<bool, StoreError> {
        let Some(build) = &self.build else { return Ok(false) };
        let mut wrote = false;
        let next = match build.stage {
            // There is nothing left to project: this step ends the build.
            Stage::Old { .. } => return self.step().map(|()| true),
            Stage::Inbox(after) => {
                let found = verify::verify_inbox(&self.reader, after, MAX_VERIFIED / 10)?;
                if !found.wrong.is_empty() {
                    let repair = move |connection: &_| verify::repair_inbox(connection, &found.wrong);
                    self.writer.run_blocking(repair)?;
                    wrote = true;
                }
                found.last.map_or(Stage::Feed((i64::MIN, BEFORE_ALL, 0)), Stage::Inbox)
            }
            Stage::Feed(after) => {
                let found = verify::verify_feed(&self.reader, after, MAX_VERIFIED)?;
                if !found.wrong.is_empty() {
                    let repair = move |connection: &_| verify::repair_feed(connection, &found.wrong);
                    self.writer.run_blocking(repair)?;
                    wrote = true;
                }
                found.last.map_or(Stage::Messages(0), Stage::Feed)
            }
            Stage::Messages(after) => return self.recheck(after).map(|()| true),
        };
        self.build = self.build.take().map(|build| Build { stage: next, ..build });
        self.report_now_and_then();
        Ok(wrote)
    }

    /// Brings in what is missing of the messages that count as projected, after a number.
    fn recheck(&mut self, after: i64) -> Result<(), StoreError> {
        let mut batch = Batch::read(&self.reader, after, MAX_BATCH)?;
        batch.retain_missing(&self.reader)?;
        let (last, messages) = (batch.last, batch.messages);
        self.write(batch)?;
        self.shared.progress.send_modify(|progress| {
            progress.projected = progress.projected.max(last);
            progress.build.done += messages;
            progress.build.total = progress.build.done + (progress.projected - last).unsigned_abs();
        });
        if messages < MAX_BATCH as u64 {
            self.built();
            return Ok(());
        }
        self.build = self.build.take().map(|build| Build {
            stage: Stage::Messages(last),
            ..build
        });
        self.report_now_and_then();
        Ok(())
    }

    fn built(&mut self) {
        self.report("inboxes are built");
        self.build = None;
        self.shared.progress.send_modify(|progress| {
            progress.build.ready = true;
            progress.build.building = false;
        });
    }

    fn report_now_and_then(&mut self) {
        if let Some(build) = &mut self.build
            && build.reported.elapsed() >= REPORT_INTERVAL
        {
            build.reported = Instant::now();
            self.report("building inboxes");
        }
    }

    fn report(&self, what: &'static str) {
        let Projection { done, total, .. } = self.shared.progress.borrow().build;
        let elapsed = self.build.as_ref().map(|build| build.began.elapsed());
        tracing::info!(done, total, ?elapsed, "{what}");
    }
}
