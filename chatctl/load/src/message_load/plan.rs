//! What is sent and how fast, and the window that is measured. Shared by all virtual users of a load.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::super::connection::ConnectError;
use super::super::stamp::Stamper;

/// How fast messages are sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ArrivalModel {
    /// Each user sends when fewer than so many of their messages are without an answer.
    Closed {
        /// So many.
        in_flight: usize,
    },
    /// All users together send so many a second, whatever comes back.
    Open {
        /// Messages a second.
        rate: f64,
    },
}

/// What a load looks like.
#[derive(Debug, Clone)]
pub struct Workload {
    /// How fast.
    pub arrivals: ArrivalModel,
    /// Length of a text in bytes.
    pub size: usize,
    /// Whether messages carry a `clientMessageId`.
    pub client_ids: bool,
    /// Whether the server acknowledges. Otherwise a message is done once it is delivered.
    pub acks: bool,
    /// So many messages in all, then no more.
    pub messages: Option<u64>,
}

/// The plan. Times are nanoseconds since its epoch.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) workload: Workload,
    pub(super) stamper: Stamper,
    /// Nanoseconds between two messages of one user, in an open loop.
    pub(super) interval: u64,
    users: u64,
    epoch: Instant,
    /// The coordinator writes these, virtual users read them; nothing else depends on their order.
    begun: AtomicU64,
    send_until: AtomicU64,
    measure_from: AtomicU64,
    measure_until: AtomicU64,
    left: AtomicI64,
    /// How connections ended before the load did. Locked for moments by virtual users at their end, and by the coordinator.
    pub(super) ends: Mutex<Ends>,
}

/// Connections that have ended before their load did.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// By the server's word.
    closed: u64,
    /// Without it.
    broke: u64,
    /// How one of them broke.
    how: Option<String>,
}

impl Ends {
    /// One more has ended.
    pub(super) fn count_end(&mut self, error: &ConnectError) {
        match error {
            ConnectError::Closed => self.closed += 1,
            error => {
                self.broke += 1;
                self.how.get_or_insert_with(|| error.to_string());
            }
        }
    }

    /// What happened if none of so many is left. `stopping` if the server had said that it stops.
    pub(super) fn of_all(&self, users: u64, stopping: impl FnOnce() -> bool) -> Option<String> {
        if self.closed + self.broke < users {
            return None;
        }
        Some(match &self.how {
            _ if stopping() => format!("the server was stopped and ended all {users} connections"),
            Some(how) if self.broke > self.closed => {
                format!("all {users} connections broke ({how}): the server was killed, or the network is gone")
            }
            _ => format!("the server ended all {users} connections, as it does when it is stopped"),
        })
    }
}

impl Plan {
    pub(super) fn new(workload: Workload, users: usize) -> Self {
        let interval = match workload.arrivals {
            ArrivalModel::Closed { .. } => 0.0,
            ArrivalModel::Open { rate } => users as f64 / rate * 1e9,
        };
        let left = workload.messages.map_or(i64::MAX, |messages| messages as i64);
        Self {
            stamper: Stamper::new(rand::random(), workload.size),
            interval: interval as u64,
            users: users as u64,
            epoch: Instant::now(),
            begun: AtomicU64::new(0),
            send_until: AtomicU64::new(u64::MAX),
            measure_from: AtomicU64::new(u64::MAX),
            measure_until: AtomicU64::new(u64::MAX),
            left: AtomicI64::new(left),
            ends: Mutex::default(),
            workload,
        }
    }

    pub(super) fn now(&self) -> u64 {
        self.epoch.elapsed().as_nanos() as u64
    }

    /// The moment as the runtime's timers take it.
    pub(super) fn instant(&self, at: u64) -> tokio::time::Instant {
        (self.epoch + Duration::from_nanos(at)).into()
    }

    pub(super) fn begin(&self) {
        self.begun.store(self.now(), Relaxed);
    }

    /// When a user sends first, in an open loop: all users in turn, evenly.
    pub(super) fn first(&self, user: u32) -> u64 {
        let share = u128::from(self.interval) * u128::from(user) / u128::from(self.users);
        self.begun.load(Relaxed) + share as u64
    }

    pub(super) fn measure(&self) {
        self.measure_until.store(u64::MAX, Relaxed);
        self.measure_from.store(self.now(), Relaxed);
    }

    pub(super) fn end_measuring(&self) -> Duration {
        let now = self.now();
        self.measure_until.store(now, Relaxed);
        Duration::from_nanos(now.saturating_sub(self.measure_from.load(Relaxed)))
    }

    /// Whether a moment is inside the window.
    pub(super) fn is_measured(&self, at: u64) -> bool {
        at >= self.measure_from.load(Relaxed) && at < self.measure_until.load(Relaxed)
    }

    pub(super) fn stop(&self) {
        self.send_until.store(0, Relaxed);
    }

    pub(super) fn is_stopped(&self, now: u64) -> bool {
        now >= self.send_until.load(Relaxed)
    }

    /// Takes one of the messages that are left; false if there is none.
    pub(super) fn claim_message(&self) -> bool {
        self.workload.messages.is_none() || self.left.fetch_sub(1, Relaxed) > 0
    }

    /// Whether none is left.
    pub(super) fn is_spent(&self) -> bool {
        self.left.load(Relaxed) <= 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(arrivals: ArrivalModel, messages: Option<u64>) -> Plan {
        let workload = Workload {
            arrivals,
            size: 0,
            client_ids: false,
            acks: true,
            messages,
        };
        Plan::new(workload, 4)
    }

    #[test]
    fn an_open_loop_is_spread_evenly() {
        let plan = plan(ArrivalModel::Open { rate: 2_000.0 }, None);
        assert_eq!(plan.interval, 2_000_000);
        let firsts: Vec<u64> = (0..4).map(|user| plan.first(user)).collect();
        assert_eq!(firsts, [0, 500_000, 1_000_000, 1_500_000]);
    }

    #[test]
    fn a_number_of_messages_is_kept() {
        let plan = plan(ArrivalModel::Closed { in_flight: 1 }, Some(2));
        assert_eq!(
            [
                plan.claim_message(),
                plan.claim_message(),
                plan.is_spent(),
                plan.claim_message()
            ],
            [true, true, true, false]
        );
    }

    #[test]
    fn only_the_window_is_measured() {
        let plan = plan(ArrivalModel::Closed { in_flight: 1 }, None);
        assert!(!plan.is_measured(plan.now()));
        plan.measure();
        let inside = plan.now();
        assert!(plan.is_measured(inside));
        plan.end_measuring();
        assert!(plan.is_measured(inside) && !plan.is_measured(plan.now()));
    }
}
