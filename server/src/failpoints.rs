//! Breaks one invariant on purpose, so that tests can see that a check of the server finds it.
//!
//! Compiled with the feature `failpoints` only, which no shipped program has. `FAILPOINTS` in the environment says what each
//! failpoint does, in the words of the crate `fail`: `socketio::emit=0.1%return`. The failpoints stand where the invariant
//! is kept otherwise, each named after its component.
//!
//! | failpoint | with | what is broken |
//! |---|---|---|
//! | `chat::ack_early` | `return` | a message is acknowledged and delivered before it is durable |
//! | `delivery::unread` | `return` | unread is a number kept beside the messages, not counted from them |
//! | `delivery::watermark`, `mongodb::window` | `return` | a cursor lies at the present, without its safety window |
//! | `socketio::emit` | `return` | an event is not sent to one connection |
//! | `chat::find_user` | `panic` | the request for one user panics |
//! | `request::NAME` | `panic` | the request that [`crate::supervisor`] knows by this name panics when it begins |
//! | `sqlite::writer`, `sqlite::projector`, `sqlite::checkpoint` | `panic` | this thread panics once there is a file [`TRIGGER`] |
//! | `task::NAME` | `panic` | the task that [`crate::supervisor`] knows by this name does, wherever it waits |

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use fail::{FailScenario, fail_point};
use parking_lot::Mutex;
use shared::UserId;

/// The file in the working directory whose appearance is the time for a part to fail: before that it works.
pub const TRIGGER: &str = "fail-now";

/// How often it is looked for.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// How long a message that was acknowledged too early is not durable: long enough to be lost by a kill.
pub const SLOW_DISK: Duration = Duration::from_millis(20);

/// Reads `FAILPOINTS`. What it says holds until the scenario is dropped.
///
/// # Panics
/// If it can't be read: a test would then look for a fault that isn't there.
pub fn set_up() -> FailScenario<'static> {
    let scenario = FailScenario::setup();
    tracing::warn!(failpoints = ?fail::list(), "this server is broken on purpose; for tests only");
    scenario
}

/// Whether this failpoint returns now, for what can't be done inside [`fail_point!`], such as to wait.
pub fn returns(name: &str) -> bool {
    fail_point!(name, |_| true);
    false
}

/// Whether it is time for a part to fail. A thread asks wherever it goes on after it waited.
pub fn is_triggered() -> bool {
    Path::new(TRIGGER).exists()
}

/// The task of this name, which fails when it is time, wherever it waits then.
pub async fn task(name: &str, task: impl Future<Output = ()>) {
    let name = format!("task::{name}");
    let failure = async {
        if fail::list().iter().all(|(configured, _)| *configured != name) {
            std::future::pending::<()>().await;
        }
        while !is_triggered() {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        fail_point!(&name, |_| ());
        std::future::pending().await
    };
    tokio::select! {
        biased;
        () = failure => {}
        () = task => {}
    }
}

/// The work of the request of this name, which may fail when it begins.
pub async fn request(name: &str, work: impl Future<Output = ()>) {
    fail_point!(&format!("request::{name}"), |_| ());
    work.await;
}

/// Numbers kept beside the messages, of each reader and writer. Held to change or read one.
static COUNTERS: Mutex<BTreeMap<(UserId, UserId), u32>> = Mutex::new(BTreeMap::new());

/// A message was delivered.
pub fn count_unread(reader: UserId, writer: UserId) {
    *COUNTERS.lock().entry((reader, writer)).or_default() += 1;
}

/// Something was read.
pub fn reset_unread(reader: UserId, writer: UserId) {
    COUNTERS.lock().remove(&(reader, writer));
}

/// The number to send instead of the counted one.
pub fn counter(reader: UserId, writer: UserId) -> u32 {
    COUNTERS.lock().get(&(reader, writer)).copied().unwrap_or(0)
}
