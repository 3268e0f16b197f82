//! The thread that brings `feed` and `inbox` up to date with the messages, and builds them again on request.
//!
//! A reader that needs them wakes it, and a backlog, and a timer. Between two checks of its orders it takes one step,
//! written in transactions of a few milliseconds; see [`work`] and [`projection`](super::projection). A step that fails is
//! repeated after a delay, so a disk that was full does not end the thread; readers who wait for it get the failure at once.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;

use self::work::Work;
use super::writer::Writer;
use super::{projected, schema, sequence};
use crate::storage::{Projection, StoreError};
use crate::supervisor::Supervisor;

mod work;

/// Most messages in one step. The more there are, the more rows of inboxes are written once for several of them.
const MAX_BATCH: usize = 32_768;

/// With so many messages waiting, a step begins before a reader needs it.
const MAX_BACKLOG: i64 = 16_384;

/// How long a reader waits for the messages that were committed before it asked.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// If more messages than this wait when the database is opened, it is an old database.
const OLD_DATABASE_BACKLOG: i64 = 20_000;

/// The thread, as the store sees it.
pub(super) struct Projector {
    shared: Arc<Shared>,
    /// Until a caller waits for its end. Locked to take it out.
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Watches the thread; stopped before the thread may end.
    parts: Supervisor,
}

/// What the thread, the writer and readers share.
pub(super) struct Shared {
    /// The greatest number that is committed.
    committed: AtomicI64,
    /// The greatest number of a message that is.
    appended: AtomicI64,
    /// Locked to give an order or to take it; never while anything is read or written.
    orders: Mutex<Orders>,
    wake: Condvar,
    progress: watch::Sender<Progress>,
}

#[derive(Default)]
struct Orders {
    /// The number of a message up to which a reader wants all to be projected.
    wanted: i64,
    rebuild: bool,
    stop: bool,
}

#[derive(Clone)]
struct Progress {
    /// The number up to which all messages are projected.
    projected: i64,
    /// Steps that failed, and why the last of them did.
    failures: u64,
    error: Option<StoreError>,
    build: Projection,
}

impl Shared {
    /// Records a commit, in the order of commits.
    pub(super) fn committed(&self, newest: i64) {
        self.committed.fetch_max(newest, Ordering::AcqRel);
    }

    /// Records a commit of messages.
    pub(super) fn appended(&self, newest: i64) {
        self.committed(newest);
        self.appended.fetch_max(newest, Ordering::AcqRel);
        if newest - self.progress.borrow().projected >= MAX_BACKLOG {
            let _orders = self.orders.lock();
            self.wake.notify_one();
        }
    }

    fn order(&self, give: impl FnOnce(&mut Orders)) {
        give(&mut self.orders.lock());
        self.wake.notify_one();
    }
}

impl Projector {
    /// Starts the thread. Nothing may have been handed to the writer yet.
    pub(super) fn start(database: &Path, writer: Arc<Writer>, parts: &Supervisor) -> Result<Self, StoreError> {
        let reader = schema::open_reader(database)?;
        let newest = sequence::last(&reader)?;
        let appended = sequence::last_message(&reader)?;
        let projected = projected::projected(&reader)?;
        let old = appended - projected > OLD_DATABASE_BACKLOG;
        let build = Projection {
            ready: !old,
            building: old,
            done: 0,
            total: if old { (appended - projected).unsigned_abs() } else { 0 },
        };
        let shared = Arc::new(Shared {
            committed: AtomicI64::new(newest),
            appended: AtomicI64::new(appended),
            orders: Mutex::default(),
            wake: Condvar::new(),
            progress: watch::Sender::new(Progress {
                projected,
                failures: 0,
                error: None,
                build,
            }),
        });
        let mut work = Work::new(Arc::clone(&shared), reader, writer, old.then_some(appended));
        let parts = parts.child();
        let thread = parts.thread("projector", move || work.run());
        Ok(Self {
            shared,
            thread: Mutex::new(Some(
                thread.map_err(|error| StoreError::Unavailable(error.to_string()))?,
            )),
            parts,
        })
    }

    /// For the writer's jobs, which record their numbers in it.
    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// The greatest number that is committed.
    pub(super) fn committed_position(&self) -> i64 {
        self.shared.committed.load(Ordering::Acquire)
    }

    /// How far inboxes are built.
    pub(super) fn projection(&self) -> Projection {
        self.shared.progress.borrow().build
    }

    /// How many messages wait, at most.
    pub(super) fn waiting(&self) -> i64 {
        self.shared.appended.load(Ordering::Acquire) - self.shared.progress.borrow().projected
    }

    /// Waits until every message that is committed now is projected. Fails at once while an old database is built.
    pub(super) async fn flush(&self) -> Result<(), StoreError> {
        let target = self.shared.appended.load(Ordering::Acquire);
        let mut progress = self.shared.progress.subscribe();
        let failures = {
            let now = progress.borrow_and_update();
            if !now.build.ready {
                return Err(StoreError::Unavailable("inboxes are being built".to_owned()));
            }
            if now.projected >= target {
                return Ok(());
            }
            now.failures
        };
        self.shared.order(|orders| orders.wanted = orders.wanted.max(target));
        let there = progress.wait_for(|now| now.projected >= target || now.failures > failures);
        match tokio::time::timeout(FLUSH_TIMEOUT, there).await {
            Ok(Ok(now)) if now.projected >= target => Ok(()),
            Ok(Ok(now)) => Err(now.error.clone().unwrap_or_else(stuck)),
            Ok(Err(_)) | Err(_) => Err(stuck()),
        }
    }

    /// Begins to build everything again, unless something is being built.
    pub(super) fn rebuild(&self) {
        let begins = self.shared.progress.send_if_modified(|progress| {
            let begins = !progress.build.building;
            if begins {
                progress.build.building = true;
                progress.build.done = 0;
                progress.build.total = self.shared.appended.load(Ordering::Acquire).unsigned_abs();
            }
            begins
        });
        if begins {
            self.shared.order(|orders| orders.rebuild = true);
        }
    }

    /// Ends the thread after its current step. Messages that wait are projected when the database is opened again.
    pub(super) async fn close(&self) -> Result<(), StoreError> {
        self.parts.stop();
        self.shared.order(|orders| orders.stop = true);
        let Some(thread) = self.thread.lock().take() else {
            return Ok(());
        };
        match tokio::task::spawn_blocking(move || thread.join()).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(StoreError::Failed("the projector panicked".to_owned())),
        }
    }
}

impl Drop for Projector {
    /// Waits for the thread, which uses the writer.
    fn drop(&mut self) {
        self.parts.stop();
        self.shared.order(|orders| orders.stop = true);
        if self.thread.lock().take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("projector: the thread panicked");
        }
    }
}

fn stuck() -> StoreError {
    StoreError::Unavailable(format!("the inboxes did not follow within {FLUSH_TIMEOUT:?}"))
}
