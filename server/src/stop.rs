//! The orderly stop: what was taken is finished, and all of it ends within [`DEADLINE`], whatever hangs.
//!
//! | until | what happens |
//! |---|---|
//! | [`DRAIN`] | nothing new is taken; what was is stored, answered and told |
//! | then | whoever still waits is answered that it is not known; the tasks end |
//! | [`CONNECTIONS`] | the transports are closed, so that clients come back by themselves; HTTP requests end |
//! | [`CLOSE`] | this process's users go offline, and the store is closed |
//! | [`DEADLINE`] | the process exits, also if a thread of it can't |

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use socketioxide::SocketIo;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::app::App;
use crate::clock::now;
use crate::telemetry;

/// How long a stop may take in all. Service managers kill after 10 seconds or more.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// When what was taken must be finished, from the beginning of the stop.
const DRAIN: Duration = Duration::from_secs(4);

/// When the connections must have ended.
pub const CONNECTIONS: Duration = Duration::from_secs(6);

/// When the store must be closed. What is left is for the process to end.
const CLOSE: Duration = Duration::from_millis(8_500);

/// How long tasks that were cut off may take to be gone.
const CUT: Duration = Duration::from_millis(500);

/// The exit status of a stop that left something undone.
pub const UNFINISHED: i32 = 3;

/// What the stop is at, for the thread that ends it.
#[derive(Clone, Default)]
struct Step(Arc<Mutex<&'static str>>);

impl Step {
    fn begins(&self, name: &'static str) {
        tracing::debug!(step = name, "stopping");
        *self.0.lock() = name;
    }
}

/// Stops the server. `serving` is the task that accepts connections, which ends by itself.
///
/// Does not return if something was left undone: what hangs would hang whoever drops it.
pub async fn stop(app: Arc<App>, io: &SocketIo, serving: JoinHandle<()>) {
    let begun = Instant::now();
    let step = Step::default();
    let mut left = Vec::new();
    app.supervisor.stop();
    app.requests.close();
    end_at_deadline(&app, step.clone());

    step.begins("finishing what was taken");
    let drained = async {
        tokio::join!(app.committer.stop(), app.receipts.stop(), app.requests.wait());
    };
    if timeout_at(begun + DRAIN, drained).await.is_err() {
        left.push(format!("{} requests without a certain answer", app.requests.len()));
    }
    // Those who still wait are answered when their requests are dropped.
    app.supervisor.cut();
    let ended = async { tokio::join!(app.supervisor.ended(), app.requests.wait()) };
    if timeout_at(Instant::now() + CUT, ended).await.is_err() {
        tracing::warn!(tasks = ?app.supervisor.still_running(), "some tasks did not end in time");
    }

    step.begins("closing connections");
    // Ends the transports, not the namespaces: so that clients come back by themselves.
    let closed = async {
        let served = tokio::join!(io.close(), serving).1;
        app.registry.lingered().await;
        served
    };
    match timeout_at(begun + CONNECTIONS + CUT, closed).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "the task that accepts connections failed"),
        Err(_) => tracing::warn!("some connections did not end in time and were cut off"),
    }

    step.begins("closing the store");
    match timeout_at(begun + CLOSE, app.store.close(now())).await {
        Ok(Ok(())) => {}
        // A consequence of the part that failed, or less.
        Ok(Err(_)) if app.supervisor.failed().is_some() => {}
        Ok(Err(error)) => left.push(format!("the store is not closed: {error}")),
        Err(_) => left.push("the store is not closed".to_owned()),
    }
    if !left.is_empty() {
        exit(&left.join("; "));
    }
}

/// Ends the process at the deadline, by a thread of its own: the runtime's threads may be what hangs. The process has
/// ended before if all goes well.
fn end_at_deadline(app: &Arc<App>, step: Step) {
    let supervisor = app.supervisor.clone();
    let watch = move || {
        std::thread::sleep(DEADLINE);
        let running = supervisor.still_running().join(", ");
        exit(&format!("it hangs at {}; still running: {running}", *step.0.lock()));
    };
    if let Err(error) = std::thread::Builder::new().name("deadline".to_owned()).spawn(watch) {
        tracing::error!(%error, "nobody watches over the deadline of the stop");
    }
}

/// Ends the process, whatever hangs in it. Nothing acknowledged is lost by that, as by a crash.
fn exit(left: &str) -> ! {
    tracing::error!(left, "the stop is not finished, and the process exits all the same");
    telemetry::finish();
    std::process::exit(UNFINISHED)
}
