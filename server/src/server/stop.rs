//! The orderly stop: what was taken is finished, and all of it ends within [`DEADLINE`], whatever hangs.
//!
//! | until | what happens |
//! |---|---|
//! | [`DRAIN_DEADLINE`] | nothing new is taken; what was taken is stored, answered and delivered |
//! | then | requests that still wait are answered that the outcome is unknown; the tasks end |
//! | [`CONNECTIONS_DEADLINE`] | the transports are closed, so that clients come back by themselves; HTTP requests end |
//! | [`CLOSE_DEADLINE`] | this process's users go offline, and the store is closed |
//! | [`DEADLINE`] | the process exits, also if a thread of it can't |

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use socketioxide::SocketIo;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::clock::now;
use crate::supervisor::Supervisor;
use crate::telemetry;
use crate::transport::context::Context;

/// How long a stop may take in all. Service managers kill after 10 seconds or more.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// When what was taken must be finished, from the beginning of the stop.
const DRAIN_DEADLINE: Duration = Duration::from_secs(4);

/// When the connections must have ended.
pub const CONNECTIONS_DEADLINE: Duration = Duration::from_secs(6);

/// When the store must be closed. What is left is for the process to end.
const CLOSE_DEADLINE: Duration = Duration::from_millis(8_500);

/// How long tasks that were cut off may take to be gone.
const CUT_TIMEOUT: Duration = Duration::from_millis(500);

/// The exit status of a stop that left something undone.
pub const UNFINISHED: i32 = 3;

/// What the stop is doing, for the thread that ends it.
#[derive(Clone, Default)]
struct Step(Arc<Mutex<&'static str>>);

impl Step {
    fn begin(&self, name: &'static str) {
        tracing::debug!(step = name, "stopping");
        *self.0.lock() = name;
    }
}

/// Stops the server. `serving` is the task that accepts connections, which ends by itself.
///
/// Does not return if something was left undone: what hangs would hang the thread that drops it.
pub async fn stop(context: Arc<Context>, io: &SocketIo, serving: JoinHandle<()>) {
    let begun = Instant::now();
    let step = Step::default();
    let mut left = Vec::new();
    let (chat, supervisor) = (&context.chat, &context.supervisor);
    supervisor.stop();
    chat.admission.close();
    end_at_deadline(supervisor.clone(), step.clone());

    step.begin("finishing what was taken");
    if timeout_at(begun + DRAIN_DEADLINE, chat.drain()).await.is_err() {
        left.push(format!("{} requests without a certain answer", chat.admission.len()));
    }
    chat.dispatcher.watermark.cut_off();
    // Those who still wait are answered when their requests are dropped.
    supervisor.cut();
    let ended = async { tokio::join!(supervisor.ended(), chat.admission.wait()) };
    if timeout_at(Instant::now() + CUT_TIMEOUT, ended).await.is_err() {
        tracing::warn!(tasks = ?supervisor.still_running(), "stop: some tasks did not end in time");
    }

    step.begin("closing connections");
    // Ends the transports, not the namespaces: so that clients come back by themselves.
    let closed = async {
        let served = tokio::join!(io.close(), serving).1;
        context.registry.lingered().await;
        served
    };
    match timeout_at(begun + CONNECTIONS_DEADLINE + CUT_TIMEOUT, closed).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "stop: the task that accepts connections failed"),
        Err(_) => tracing::warn!("stop: some connections did not end in time and were cut off"),
    }

    step.begin("closing the store");
    match timeout_at(begun + CLOSE_DEADLINE, context.store.close(now())).await {
        Ok(Ok(())) => {}
        // A consequence of the part that failed, or less.
        Ok(Err(_)) if supervisor.failed().is_some() => {}
        Ok(Err(error)) => left.push(format!("the store is not closed: {error}")),
        Err(_) => left.push("the store is not closed".to_owned()),
    }
    if !left.is_empty() {
        exit(&left.join("; "));
    }
}

/// Ends the process at the deadline, by a thread of its own: the runtime's threads may be what hangs. The process has
/// ended before if all goes well.
#[expect(
    clippy::disallowed_methods,
    reason = "a thread of its own, which the runtime cannot hold up"
)]
fn end_at_deadline(supervisor: Supervisor, step: Step) {
    let watch = move || {
        std::thread::sleep(DEADLINE);
        let running = supervisor.still_running().join(", ");
        exit(&format!("it hangs at {}; still running: {running}", *step.0.lock()));
    };
    if let Err(error) = std::thread::Builder::new().name("deadline".to_owned()).spawn(watch) {
        tracing::error!(%error, "stop: no thread watches over the deadline");
    }
}

/// Ends the process, whatever hangs in it. Nothing acknowledged is lost by that, as by a crash.
fn exit(left: &str) -> ! {
    tracing::error!(left, "the stop is not finished, and the process exits all the same");
    telemetry::finish();
    std::process::exit(UNFINISHED)
}
