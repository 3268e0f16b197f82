//! Threads that carry connections, each with a runtime of its own: nothing is stolen or shared between them, which
//! costs the least. What belongs together is spawned on the same one.

use std::io;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// The threads. Dropping it ends every task on them.
#[derive(Debug)]
pub struct RuntimePool {
    workers: Vec<Worker>,
}

#[derive(Debug)]
struct Worker {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl RuntimePool {
    /// Starts so many threads.
    pub fn start(threads: usize) -> io::Result<Self> {
        let workers = (0..threads).map(Worker::start).collect::<io::Result<_>>()?;
        Ok(Self { workers })
    }

    /// How many threads there are.
    pub fn threads(&self) -> usize {
        self.workers.len()
    }

    /// Runs a task on a thread, counted modulo their number.
    pub fn spawn<F>(&self, thread: usize, task: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.workers[thread % self.workers.len()].handle.spawn(task)
    }
}

impl Worker {
    fn start(number: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name(format!("load-{number}")).spawn(move || {
            // An error means that the pool is gone, which is an end as well.
            let _ = runtime.block_on(stopped);
        })?;
        Ok(Self {
            handle,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for RuntimePool {
    fn drop(&mut self) {
        for worker in &mut self.workers {
            drop(worker.stop.take());
        }
        for worker in &mut self.workers {
            if let Some(thread) = worker.thread.take() {
                // A task's panic is caught by its runtime; the thread itself has nothing to fail with.
                let _ = thread.join();
            }
        }
    }
}
