//! The owner of every task and thread that lives as long as the server.
//!
//! When such a part panics, or ends before it may, its work stays undone, and it can't be started again:
//! what it held is lost. A server that went on would look alive and answer nothing. So the part is logged by its name,
//! readiness turns false, and the server makes the same orderly stop as on SIGTERM. The process then exits with a
//! status that is not zero, and the program that looks after it starts it again.
//!
//! The work of one request is not a part: if it panics, that request has failed, see [`logged`].

use std::any::Any;
use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::thread;

use futures_util::FutureExt;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::metrics::METRICS;

/// Starts parts and watches them. Clones are the same one; [`child`](Self::child) makes one for parts that may
/// end at another time.
#[derive(Clone)]
pub struct Supervisor {
    /// Cancelled when these parts may end. Before that, ending is a failure.
    may_end: CancellationToken,
    /// Cancelled when these tasks end wherever they are.
    cut: CancellationToken,
    tasks: TaskTracker,
    shared: Arc<Shared>,
}

struct Shared {
    /// Cancelled when the server begins to stop, for whatever reason.
    stopping: CancellationToken,
    /// The first part that panicked, else the first that ended too early: those that wait for each other can end when
    /// another one panics. Held to look at it or to set it.
    failed: Mutex<Option<Failed>>,
    /// How many parts of each name run, and have ended. Held to count one up or down, or to list them.
    parts: Mutex<BTreeMap<&'static str, Count>>,
}

/// The parts of one name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Those that run.
    pub running: u64,
    /// Those that have ended.
    pub ended: u64,
}

#[derive(Clone, Copy)]
struct Failed {
    name: &'static str,
    panicked: bool,
}

impl Default for Supervisor {
    /// One whose failures show in the log only, for parts that are used without a server.
    fn default() -> Self {
        let stopping = CancellationToken::new();
        Self {
            may_end: stopping.clone(),
            cut: CancellationToken::new(),
            tasks: TaskTracker::new(),
            shared: Arc::new(Shared {
                stopping,
                failed: Mutex::default(),
                parts: Mutex::default(),
            }),
        }
    }
}

impl Supervisor {
    /// A supervisor whose parts may end when [`stop`](Self::stop) of it, or of the one it was made from, was called.
    /// A failure of theirs is a failure of both.
    pub fn child(&self) -> Self {
        Self {
            may_end: self.may_end.child_token(),
            cut: CancellationToken::new(),
            tasks: TaskTracker::new(),
            shared: Arc::clone(&self.shared),
        }
    }

    /// Starts a task that runs until the stop begins. `name` is what logs and tests know it by.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        let supervisor = self.clone();
        let running = self.running(name);
        self.tasks.spawn(async move {
            #[cfg(feature = "failpoints")]
            let task = crate::failpoints::task(name, task);
            // What a failed task held, unanswered requests among it, is dropped after its failure is known.
            let mut task = pin!(AssertUnwindSafe(task).catch_unwind());
            let Some(ended) = supervisor.cut.run_until_cancelled(task.as_mut()).await else {
                return;
            };
            supervisor.judge(name, &ended);
            drop(running);
            ended.unwrap_or_else(|cause| resume_unwind(cause));
        })
    }

    /// Starts the work of one request as a task, see [`logged`]. It is cut off with the tasks.
    pub fn request(&self, name: String, work: impl Future<Output = ()> + Send + 'static) {
        let cut = self.cut.clone();
        tokio::spawn(async move {
            cut.run_until_cancelled(logged(&name, work)).await;
        });
    }

    /// Starts a thread that runs until the stop begins.
    ///
    /// # Errors
    /// The system has no more threads.
    pub fn thread(
        &self,
        name: &'static str,
        work: impl FnOnce() + Send + 'static,
    ) -> io::Result<thread::JoinHandle<()>> {
        let supervisor = self.clone();
        let running = self.running(name);
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            let ended = catch_unwind(AssertUnwindSafe(work));
            supervisor.judge(name, &ended);
            drop(running);
            ended.unwrap_or_else(|cause| resume_unwind(cause));
        })
    }

    /// Tells the parts of this supervisor, and of those made from it, to end. It may be called again.
    pub fn stop(&self) {
        self.may_end.cancel();
    }

    /// Ends the tasks that were started here wherever they wait, and drops what they hold. Those of children go on.
    pub fn cut(&self) {
        self.cut.cancel();
    }

    /// Cancelled when the server begins to stop: for a signal, or because a part of it failed.
    pub fn stopping(&self) -> &CancellationToken {
        &self.shared.stopping
    }

    /// The name of the part that failed first, if one did.
    pub fn failed(&self) -> Option<&'static str> {
        self.shared.failed.lock().map(|failed| failed.name)
    }

    /// Waits until the tasks that were started here have ended; those of children are not among them.
    pub async fn ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// The names of the parts that run now, those of all children included.
    pub fn still_running(&self) -> Vec<&'static str> {
        let parts = self.shared.parts.lock();
        let running = parts.iter().filter(|(_, count)| count.running > 0);
        running.map(|(name, _)| *name).collect()
    }

    /// How many parts of each name run, and have ended.
    pub fn counts(&self) -> Vec<(&'static str, Count)> {
        let parts = self.shared.parts.lock();
        parts.iter().map(|(name, count)| (*name, *count)).collect()
    }

    fn judge(&self, name: &'static str, ended: &Result<(), Box<dyn Any + Send>>) {
        // What the panic said was written by the panic hook; it is not repeated, for it may quote what is secret.
        match ended {
            Err(_) => tracing::error!(task = name, "a part of the server panicked: the server stops"),
            Ok(()) if self.may_end.is_cancelled() => return,
            Ok(()) => tracing::error!(task = name, "a part of the server ended too early: the server stops"),
        }
        let panicked = ended.is_err();
        let mut failed = self.shared.failed.lock();
        if failed.is_none_or(|first| panicked && !first.panicked) {
            *failed = Some(Failed { name, panicked });
        }
        drop(failed);
        self.shared.stopping.cancel();
    }

    fn running(&self, name: &'static str) -> Running {
        tracing::debug!(task = name, "started");
        self.shared.parts.lock().entry(name).or_default().running += 1;
        Running {
            name,
            shared: Arc::clone(&self.shared),
        }
    }
}

/// A part that runs, until it is dropped.
struct Running {
    name: &'static str,
    shared: Arc<Shared>,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(count) = self.shared.parts.lock().get_mut(self.name) {
            count.running -= 1;
            count.ended += 1;
        }
    }
}

/// Runs the work of one request, named for the log. A panic ends nothing but that request: it is logged, and what the
/// work held is dropped, which answers the client. Returns whether there was none.
pub async fn logged(name: &str, work: impl Future<Output = ()>) -> bool {
    #[cfg(feature = "failpoints")]
    let work = crate::failpoints::request(name, work);
    let sound = AssertUnwindSafe(work).catch_unwind().await.is_ok();
    if !sound {
        METRICS.panics.count();
        tracing::error!(request = name, "a request panicked");
    }
    sound
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_stops_the_server() {
        let supervisor = Supervisor::default();
        let (kept, dropped) = tokio::sync::oneshot::channel::<()>();
        supervisor.spawn("sound", std::future::pending());
        let task = supervisor.spawn("unsound", async move {
            let _kept = kept;
            panic!("on purpose")
        });
        supervisor.stopping().cancelled().await;
        assert_eq!(supervisor.failed(), Some("unsound"));
        assert!(dropped.await.is_err(), "what it held is dropped");
        assert!(task.await.is_err());
        assert_eq!(supervisor.still_running(), ["sound"]);
    }

    #[tokio::test]
    async fn a_task_that_ends_too_early_stops_the_server() {
        let supervisor = Supervisor::default();
        let child = supervisor.child();
        child.spawn("short", async {});
        supervisor.stopping().cancelled().await;
        assert_eq!(supervisor.failed(), Some("short"));
    }

    #[tokio::test]
    async fn whoever_was_told_may_end() {
        let supervisor = Supervisor::default();
        let child = supervisor.child();
        child.stop();
        child.spawn("told", async {}).await.expect("it ends well");
        assert!(!supervisor.stopping().is_cancelled(), "only the child may end");
        supervisor.stop();
        let thread = supervisor.thread("thread", || ()).expect("a thread");
        thread.join().expect("it ends well");
        supervisor.spawn("late", async {}).await.expect("it ends well");
        supervisor.ended().await;
        assert_eq!((supervisor.failed(), supervisor.still_running()), (None, vec![]));
    }

    #[tokio::test]
    async fn a_thread_that_panics_stops_the_server() {
        let supervisor = Supervisor::default();
        let thread = supervisor.thread("unsound", || panic!("on purpose")).expect("a thread");
        assert!(thread.join().is_err(), "who waits for it sees that, too");
        assert!(supervisor.stopping().is_cancelled());
        assert_eq!(supervisor.failed(), Some("unsound"));
    }

    #[tokio::test]
    async fn a_request_that_panics_stops_nothing() {
        let (kept, dropped) = tokio::sync::oneshot::channel::<()>();
        let sound = logged("test", async move {
            let _kept = kept;
            panic!("on purpose")
        })
        .await;
        assert!(!sound);
        assert!(dropped.await.is_err(), "what it held is dropped");
    }
}
