//! The one thread that writes, and group commit.
//!
//! Callers hand in jobs through a bounded queue. The writer takes all that wait, runs them in one transaction, each
//! in a savepoint of its own so that it can fail alone, and syncs once. Only then does it answer, so no caller ever
//! hears of something that is not on the disk; the jobs that came meanwhile are the next group.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::checkpoint::{Checkpointer, LOG_PAGES};
use super::directory::Directory;
use crate::store::StoreError;

/// Jobs that wait; callers beyond that wait for a place. Also the most jobs in one transaction.
const QUEUE: usize = 64;

/// The writer, as its callers see it.
pub(super) struct Writer {
    /// Where jobs go, until it is closed. Locked to clone it or to take it out.
    jobs: Mutex<Option<mpsc::Sender<Box<dyn Job>>>>,
    /// The thread, until somebody waits for its end. Locked to take it out.
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread. It owns the connection, and the directory until everything is written.
    pub(super) fn start(connection: Connection, directory: Directory) -> Result<Self, StoreError> {
        Self::start_with_log(connection, directory, LOG_PAGES)
    }

    /// The same with another length for the write-ahead log.
    pub(super) fn start_with_log(connection: Connection, directory: Directory, pages: u64) -> Result<Self, StoreError> {
        let checkpointer = Checkpointer::start(&directory.database(), pages)?;
        let (sender, jobs) = mpsc::channel(QUEUE);
        let work = move || {
            write(&connection, jobs, checkpointer);
            drop(connection);
            drop(directory);
        };
        let thread = std::thread::Builder::new().name("store-writer".to_owned()).spawn(work);
        Ok(Self {
            jobs: Mutex::new(Some(sender)),
            thread: Mutex::new(Some(
                thread.map_err(|error| StoreError::Unavailable(error.to_string()))?,
            )),
        })
    }

    /// Runs one job and returns what it returned, once that is durable.
    ///
    /// If it fails, nothing that it did is kept. A caller that stops waiting does not stop the job.
    pub(super) async fn run<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let jobs = self.jobs.lock().clone().ok_or_else(closed)?;
        let (reply, answer) = oneshot::channel();
        let call = Call {
            work: Some(work),
            output: None,
            reply,
        };
        jobs.send(Box::new(call)).await.map_err(|_| closed())?;
        // Closing waits for every sender, so none may be held by somebody who no longer looks.
        drop(jobs);
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Waits for the jobs that were handed in and for the thread; later jobs fail.
    pub(super) async fn close(&self) -> Result<(), StoreError> {
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
    /// Waits for the thread, so that whoever drops a store can open it again.
    fn drop(&mut self) {
        self.jobs.lock().take();
        if self.thread.lock().take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the writer panicked");
        }
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("it is closed".to_owned())
}

/// The thread's life.
fn write(connection: &Connection, mut jobs: mpsc::Receiver<Box<dyn Job>>, mut checkpointer: Checkpointer) {
    let mut group = Vec::with_capacity(QUEUE);
    while jobs.blocking_recv_many(&mut group, QUEUE) > 0 {
        let mut results = Vec::with_capacity(group.len());
        let committed = transaction(connection, &mut group, &mut results);
        if committed.is_err() && !connection.is_autocommit() {
            // Should this fail, the next transaction can't begin and says so; then it is tried again.
            if let Err(error) = connection.execute_batch("ROLLBACK") {
                tracing::error!(%error, "rollback failed");
            }
        }
        for (index, job) in group.drain(..).enumerate() {
            let result = results
                .get_mut(index)
                .map_or(Ok(()), |result| std::mem::replace(result, Ok(())));
            job.answer(committed.clone().and(result));
        }
        checkpointer.after_commit(connection);
    }
    checkpointer.finish(connection);
}

/// Runs a group as one durable transaction; `results` holds what each job came to, if the whole is `Ok`.
fn transaction(
    connection: &Connection,
    group: &mut [Box<dyn Job>],
    results: &mut Vec<Result<(), StoreError>>,
) -> Result<(), StoreError> {
    let execute = |sql: &str| connection.prepare_cached(sql)?.execute([]);
    execute("BEGIN IMMEDIATE")?;
    for job in group {
        execute("SAVEPOINT job")?;
        let result = catch_unwind(AssertUnwindSafe(|| job.run(connection)))
            .unwrap_or_else(|_| Err(StoreError::Failed("a write panicked".to_owned())));
        if let Err(error) = &result {
            if connection.is_autocommit() {
                // A full or failing disk: SQLite has ended the transaction and undone it for every job.
                return Err(error.clone());
            }
            execute("ROLLBACK TO job")?;
        }
        execute("RELEASE job")?;
        results.push(result);
    }
    execute("COMMIT")?;
    Ok(())
}

/// Something to be done in a transaction, and somebody who waits for it.
trait Job: Send {
    /// Does it and keeps its output.
    fn run(&mut self, connection: &Connection) -> Result<(), StoreError>;

    /// Hands the output over, or the failure, now that it is known whether it is durable.
    fn answer(self: Box<Self>, durable: Result<(), StoreError>);
}

struct Call<F, T> {
    work: Option<F>,
    output: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<F, T> Job for Call<F, T>
where
    F: FnOnce(&Connection) -> rusqlite::Result<T> + Send,
    T: Send,
{
    fn run(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let work = self.work.take().expect("a job runs once");
        self.output = Some(work(connection)?);
        Ok(())
    }

    fn answer(self: Box<Self>, durable: Result<(), StoreError>) {
        let Self { output, reply, .. } = *self;
        let output = durable.map(|()| output.expect("a job that succeeded has its output"));
        // Nobody may be waiting any more; what was written stays.
        let _ = reply.send(output);
    }
}
