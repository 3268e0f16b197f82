//! The one thread that writes, and group commit.
//!
//! Callers hand in jobs through a bounded queue. The writer takes all that wait, runs them in one transaction and syncs
//! once. Only then does it answer, so no caller gets a result that is not on the disk; the jobs that came meanwhile are the
//! next group. If one of a group fails, all are undone and run again, each in a transaction of its own, so that it fails
//! alone. That is rare; a savepoint around each job would cost every group a copy of all pages that it touches. It does not
//! help where another process has locked the database: each job would wait for that. And it ends after [`RETRY_TIMEOUT`], in
//! case each attempt takes long.
//!
//! A group whose commit went into files that no path leads to any more is held: neither answered nor undone. If the files
//! come back it is durable after all, and is answered; until then nothing else is written, see [`files`](super::files).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};

use super::checkpoint::Checkpointer;
use super::files::{Files, Missing};
use super::known::KnownFile;
use super::opening::Opened;
use super::room::Room;
use crate::storage::StoreError;
use crate::supervisor::Supervisor;

/// Jobs that wait; callers beyond that wait for room. Also the most jobs in one transaction.
const MAX_QUEUED: usize = 64;

/// How long the jobs of a group that failed are tried one by one. The rest then fails as the group did.
const RETRY_TIMEOUT: Duration = Duration::from_secs(5);

/// How often it rechecks whether the files of a group that is held are back.
const RECHECK_INTERVAL: Duration = Duration::from_millis(50);

/// The writer, as its callers see it.
pub(super) struct Writer {
    /// Where jobs go, until it is closed. Locked to clone it or to take it out.
    jobs: Mutex<Option<mpsc::Sender<Box<dyn Job>>>>,
    /// The thread, until a caller waits for its end. Locked to take it out.
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Watches the thread; stopped before the thread may end.
    parts: Supervisor,
}

impl Writer {
    /// Starts the thread. It owns the connection, and the directory until everything is written. The write-ahead log is
    /// kept as short as `pages` says.
    pub(super) fn start(opened: Opened, room: Arc<Room>, pages: u64, parts: &Supervisor) -> Result<Self, StoreError> {
        let Opened {
            directory,
            connection,
            files,
            known_file,
        } = opened;
        let database = directory.database();
        let checkpointer = Checkpointer::start(&database, pages, Arc::clone(&files), Arc::clone(&known_file), parts)?;
        let (sender, jobs) = mpsc::channel(MAX_QUEUED);
        let work = move || {
            let thread = Thread {
                connection,
                files,
                room,
                rescued: false,
            };
            thread.run(jobs, checkpointer, &known_file);
            // Its connection is closed by now.
            drop(directory);
        };
        let parts = parts.child();
        let thread = parts.thread("store-writer", work);
        Ok(Self {
            jobs: Mutex::new(Some(sender)),
            thread: Mutex::new(Some(
                thread.map_err(|error| StoreError::Unavailable(error.to_string()))?,
            )),
            parts,
        })
    }

    /// Runs one job and returns what it returned, once that is durable.
    ///
    /// If it fails, nothing that it did is kept. It may be run a second time, after the first was undone. A caller
    /// that stops waiting does not stop the job.
    pub(super) async fn run<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
        T: Send + 'static,
    {
        self.run_then(work, |_| ()).await
    }

    /// The same; as soon as it is durable, and whether or not the caller still waits, `committed` is called with its output,
    /// on the writer's thread.
    pub(super) async fn run_then<T, F, C>(&self, work: F, committed: C) -> Result<T, StoreError>
    where
        F: Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
        T: Send + 'static,
        C: FnOnce(&T) + Send + 'static,
    {
        let jobs = self.jobs()?;
        let (call, answer) = call(work, committed);
        jobs.send(call).await.map_err(|_| StoreError::closed())?;
        // Closing waits for every sender, so none may be held longer than needed.
        drop(jobs);
        answer.await.unwrap_or_else(|_| Err(StoreError::closed()))
    }

    /// [`run`](Self::run) for a thread that may block.
    pub(super) fn run_blocking<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let jobs = self.jobs()?;
        let (call, answer) = call(work, |_| ());
        jobs.blocking_send(call).map_err(|_| StoreError::closed())?;
        drop(jobs);
        answer.blocking_recv().unwrap_or_else(|_| Err(StoreError::closed()))
    }

    fn jobs(&self) -> Result<mpsc::Sender<Box<dyn Job>>, StoreError> {
        self.jobs.lock().clone().ok_or_else(StoreError::closed)
    }

    /// Waits for the jobs that were handed in and for the thread; later jobs fail.
    pub(super) async fn close(&self) -> Result<(), StoreError> {
        self.parts.stop();
        self.jobs.lock().take();
        let Some(thread) = self.thread.lock().take() else {
            return Ok(());
        };
        match tokio::task::spawn_blocking(move || thread.join()).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(StoreError::Failed("the writer panicked".to_owned())),
        }
    }
}

impl Drop for Writer {
    /// Waits for the thread, so that the caller who drops a store can open it again.
    fn drop(&mut self) {
        self.parts.stop();
        self.jobs.lock().take();
        if self.thread.lock().take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("writer: the thread panicked");
        }
    }
}

/// What the thread owns.
struct Thread {
    connection: Connection,
    files: Arc<Files>,
    room: Arc<Room>,
    /// Whether the log that is missing now was copied into the database.
    rescued: bool,
}

impl Thread {
    /// The thread's life.
    fn run(mut self, mut jobs: Jobs, mut checkpointer: Checkpointer, known_file: &KnownFile) {
        let mut group = Vec::with_capacity(MAX_QUEUED);
        let mut held = Vec::new();
        while jobs.blocking_recv_many(&mut group, MAX_QUEUED) > 0 {
            if let Err(error) = self.files.check() {
                self.rescue(&checkpointer);
                refuse(&mut group, &error);
                continue;
            }
            self.rescued = false;
            let together = self.transaction(&mut group);
            fail::fail_point!("sqlite::writer", crate::failpoints::is_triggered(), |_| ());
            let mut again = group.len() > 1 && matches!(&together, (Err(failure), _) if failure.began);
            let end = Instant::now() + RETRY_TIMEOUT;
            for mut job in group.drain(..) {
                let (outcome, committed) = match &together {
                    (Err(_), _) if again => self.transaction(std::slice::from_mut(&mut job)),
                    together => together.clone(),
                };
                let waits_in_vain = outcome.as_ref().is_err_and(|failure| !failure.began);
                again &= !waits_in_vain && Instant::now() < end;
                let outcome = outcome.map_err(|failure| failure.error);
                match committed == CommitPlace::Elsewhere || (outcome.is_ok() && !held.is_empty()) {
                    true => held.push(job),
                    false => job.answer(outcome),
                }
            }
            self.wait_for_files(&mut held, &mut jobs, &checkpointer);
            checkpointer.after_commit(&self.connection);
        }
        checkpointer.finish(&self.connection, &self.files, known_file);
    }

    /// Waits until it is known whether the next process that opens the database finds what was committed. Jobs that come
    /// meanwhile are refused.
    #[expect(
        clippy::disallowed_methods,
        reason = "the writer has a thread of its own, and nothing tells it that files are back"
    )]
    fn wait_for_files(&mut self, held: &mut Vec<Box<dyn Job>>, jobs: &mut Jobs, checkpointer: &Checkpointer) {
        let mut group = Vec::new();
        while !held.is_empty() {
            let Err(error) = self.files.check() else {
                held.drain(..).for_each(|job| job.answer(Ok(())));
                return;
            };
            if self.rescue(checkpointer) {
                held.drain(..).for_each(|job| job.answer(Ok(())));
                return;
            }
            loop {
                match jobs.try_recv() {
                    Ok(job) => group.push(job),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return refuse(held, &error),
                }
            }
            refuse(&mut group, &error);
            std::thread::sleep(RECHECK_INTERVAL);
        }
    }

    /// Where only the log is missing, copies it into the database: what was acknowledged is then there. Returns whether all
    /// that was committed is.
    fn rescue(&mut self, checkpointer: &Checkpointer) -> bool {
        if !self.rescued && self.files.missing() == Some(Missing::Log) {
            self.rescued = checkpointer.copy_all(&self.connection);
        }
        self.rescued
    }

    /// Runs jobs as one durable transaction, or leaves no trace of them. The files are checked before a commit is answered.
    fn transaction(&self, jobs: &mut [Box<dyn Job>]) -> (Result<(), Failure>, CommitPlace) {
        let outcome = transaction(&self.connection, jobs);
        self.room.record(outcome.as_ref().err().map(|failure| &failure.error));
        let committed = match outcome.is_ok() && self.files.check().is_err() {
            true => CommitPlace::Elsewhere,
            false => CommitPlace::InPlace,
        };
        (outcome, committed)
    }
}

/// Where a commit went, if there was one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CommitPlace {
    InPlace,
    /// Into files that no path leads to.
    Elsewhere,
}

/// Where jobs come from.
type Jobs = mpsc::Receiver<Box<dyn Job>>;

fn refuse(jobs: &mut Vec<Box<dyn Job>>, error: &StoreError) {
    jobs.drain(..).for_each(|job| job.answer(Err(error.clone())));
}

/// Why a transaction failed.
#[derive(Clone)]
struct Failure {
    error: StoreError,
    /// Whether it began; if not, no other one can begin either for now.
    began: bool,
}

/// Runs jobs as one durable transaction, or leaves no trace of them.
fn transaction(connection: &Connection, jobs: &mut [Box<dyn Job>]) -> Result<(), Failure> {
    let execute = |sql: &str| connection.prepare_cached(sql)?.execute([]);
    execute("BEGIN IMMEDIATE").map_err(|error: rusqlite::Error| Failure {
        error: error.into(),
        began: false,
    })?;
    let run = || -> Result<(), StoreError> {
        for job in jobs {
            job.run(connection)?;
        }
        execute("COMMIT")?;
        Ok(())
    };
    let outcome =
        catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err(StoreError::Failed("a write panicked".to_owned())));
    // SQLite itself ends a transaction that meets a full or failing disk.
    if !connection.is_autocommit()
        && let Err(error) = execute("ROLLBACK")
    {
        // Nothing can be written any more. The thread ends, and with it the server, to be started again.
        panic!("a transaction can be neither committed nor undone: {error}");
    }
    outcome.map_err(|error| Failure { error, began: true })
}

/// Work to be done in a transaction, and a caller who waits for it.
trait Job: Send {
    /// Does it and keeps its output.
    fn run(&mut self, connection: &Connection) -> Result<(), StoreError>;

    /// Hands the output over, or the failure, now that it is known whether it is durable.
    fn answer(self: Box<Self>, durable: Result<(), StoreError>);
}

struct Call<F, C, T> {
    work: F,
    committed: C,
    output: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

/// A job, and where its answer will be.
fn call<T, F, C>(work: F, committed: C) -> (Box<dyn Job>, oneshot::Receiver<Result<T, StoreError>>)
where
    F: Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    T: Send + 'static,
    C: FnOnce(&T) + Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    let call = Call {
        work,
        committed,
        output: None,
        reply,
    };
    (Box::new(call), answer)
}

impl<F, C, T> Job for Call<F, C, T>
where
    F: Fn(&Connection) -> rusqlite::Result<T> + Send,
    C: FnOnce(&T) + Send,
    T: Send,
{
    fn run(&mut self, connection: &Connection) -> Result<(), StoreError> {
        self.output = Some((self.work)(connection)?);
        Ok(())
    }

    fn answer(self: Box<Self>, durable: Result<(), StoreError>) {
        let Self {
            committed,
            output,
            reply,
            ..
        } = *self;
        let output = durable.map(|()| output.expect("a job that succeeded has its output"));
        if let Ok(output) = &output {
            committed(output);
        }
        // The caller may be gone; what was written stays.
        let _ = reply.send(output);
    }
}
