//! Breaks one invariant on purpose, so that tests can see that whoever checks the server finds it.
//!
//! Compiled with the feature `sabotage` only, which no shipped program has. `SABOTAGE` in the environment names what is
//! broken; the hooks stand where the invariant is kept otherwise.
//!
//! | `SABOTAGE` | what is broken |
//! |---|---|
//! | `ack-early` | a message is acknowledged and delivered before it is durable |
//! | `drop-delivery` | one of 1,000 deliveries is not made |
//! | `no-window` | a cursor lies at the present, without its safety window |
//! | `stored-counter` | unread is a number kept beside the messages, not counted from them |
//! | `panic:NAME` | the part or request that [`crate::supervisor`] knows by this name panics once there is a file [`TRIGGER`] |

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use shared::{UserId, events};

/// What can be broken.
pub const KINDS: [&str; 4] = ["ack-early", "drop-delivery", "no-window", "stored-counter"];

/// What `SABOTAGE` begins with if a part is to panic; its name follows.
const PANIC: &str = "panic:";

/// The file in the working directory whose appearance is the time to panic.
pub const TRIGGER: &str = "panic-now";

/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(5);

/// How long a message that was acknowledged too early is not durable: long enough to be lost by a kill.
pub const SLOW_DISK: Duration = Duration::from_millis(20);

/// One of so many deliveries is dropped.
const DROPPED: u64 = 1_000;

/// Whether this is what is broken.
///
/// # Panics
/// If `SABOTAGE` names nothing that can be broken: a test would then look for a fault that isn't there.
pub fn is(kind: &str) -> bool {
    chosen() == kind
}

fn chosen() -> &'static str {
    static CHOSEN: OnceLock<String> = OnceLock::new();
    CHOSEN.get_or_init(|| {
        let chosen = std::env::var("SABOTAGE").unwrap_or_default();
        assert!(
            KINDS.contains(&chosen.as_str()) || chosen.starts_with(PANIC),
            "SABOTAGE must be one of {KINDS:?} or {PANIC}NAME, not {chosen:?}"
        );
        tracing::warn!(chosen, "this server is broken on purpose; for tests only");
        chosen
    })
}

/// Whether the part of this name is the one that is to panic.
fn panics(name: &str) -> bool {
    chosen().strip_prefix(PANIC) == Some(name)
}

/// Panics in a thread of this name when it is time. To be called wherever it goes on after it waited.
pub fn panic_in(name: &str) {
    if panics(name) && Path::new(TRIGGER).exists() {
        panic!("on purpose, in {name}");
    }
}

/// The task of this name, which panics when it is time, wherever it waits then.
pub async fn panicking(name: &str, task: impl Future<Output = ()>) {
    let time = async {
        if !panics(name) {
            std::future::pending::<()>().await;
        }
        while !Path::new(TRIGGER).exists() {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::select! {
        biased;
        () = time => panic!("on purpose, in {name}"),
        () = task => {}
    }
}

/// Whether this delivery is to be dropped; to be asked once for each. Only messages are.
pub fn drops_delivery(event: &str) -> bool {
    static DELIVERIES: AtomicU64 = AtomicU64::new(1);
    let of_a_message = event == events::MESSAGE_SENT || event.starts_with("receive_message_");
    of_a_message && is("drop-delivery") && DELIVERIES.fetch_add(1, Ordering::Relaxed) % DROPPED == 0
}

/// Numbers kept beside the messages, of whoever reads and whoever wrote. Held to change or read one.
static COUNTERS: Mutex<BTreeMap<(UserId, UserId), u32>> = Mutex::new(BTreeMap::new());

/// A message was delivered.
pub fn count_unread(reader: UserId, writer: UserId) {
    *COUNTERS.lock().entry((reader, writer)).or_default() += 1;
}

/// Something was read.
pub fn reset_unread(reader: UserId, writer: UserId) {
    COUNTERS.lock().remove(&(reader, writer));
}

/// The number to tell instead of the counted one.
pub fn unread(reader: UserId, writer: UserId, counted: u32) -> u32 {
    if is("stored-counter") {
        return COUNTERS.lock().get(&(reader, writer)).copied().unwrap_or(0);
    }
    counted
}
