//! Which process a lease belongs to, so that the next process on the same machine need not wait for it to run out.

use std::collections::BTreeSet;

use bson::oid::ObjectId;
use bson::{Bson, Document, doc};
use parking_lot::Mutex;

/// The nodes of this process: a store that was dropped without being closed is as dead as a process that ended.
static HELD: Mutex<BTreeSet<ObjectId>> = Mutex::new(BTreeSet::new());

/// A node of this process, until it is dropped.
pub(super) struct Node(ObjectId);

impl Node {
    /// A new one, with an id that no other ever had.
    pub(super) fn new() -> Self {
        let id = ObjectId::new();
        HELD.lock().insert(id);
        Self(id)
    }

    pub(super) fn id(&self) -> ObjectId {
        self.0
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        HELD.lock().remove(&self.0);
    }
}

/// What distinguishes this process from every other that ever ran.
pub(super) struct Process {
    host: String,
    /// The boot of the machine and the process namespace; `None` where the system does not say. A host name
    /// is not enough: containers may share one, and can't see each other's processes.
    machine: Option<String>,
    pid: i64,
    /// When it started, in clock ticks since the boot: process ids are used again.
    started: Option<i64>,
}

impl Process {
    /// This one.
    pub(super) fn current() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
        let boot = read("/proc/sys/kernel/random/boot_id");
        let namespace = std::fs::read_link("/proc/self/ns/pid").ok();
        let pid = i64::from(std::process::id());
        Self {
            host: read("/proc/sys/kernel/hostname").unwrap_or_else(|| "unknown".into()),
            machine: boot
                .zip(namespace)
                .map(|(boot, namespace)| format!("{boot} {}", namespace.display())),
            pid,
            started: start_of(pid),
        }
    }

    /// The fields that describe it in its lease; `machine` and `pidStartedAt` are null where they are not known.
    pub(super) fn fields(&self) -> Document {
        doc! { "host": &self.host, "machine": self.machine.clone(), "pid": self.pid, "pidStartedAt": self.started }
    }

    /// Whether a lease belongs to a process of this machine that runs no more, or to this one, which does not hold it. False
    /// if that is not known.
    pub(super) fn knows_ended(&self, lease: &Document) -> bool {
        let (Some(machine), Ok(theirs)) = (&self.machine, lease.get_str("machine")) else {
            return false;
        };
        let (Ok(pid), Some(Bson::Int64(started))) = (lease.get_i64("pid"), lease.get("pidStartedAt")) else {
            return false;
        };
        if machine != theirs {
            return false;
        }
        if (pid, Some(*started)) == (self.pid, self.started) {
            return !lease.get_object_id("_id").is_ok_and(|node| HELD.lock().contains(&node));
        }
        start_of(pid) != Some(*started)
    }
}

/// When a process started, or `None` if it does not run.
fn start_of(pid: i64) -> Option<i64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, can hold anything. After it come the state and, 19 fields later, the start.
    let mut fields = stat.rsplit(')').next()?.split_whitespace();
    let ended = matches!(fields.next()?, "Z" | "X");
    fields.nth(18)?.parse().ok().filter(|_| !ended)
}
