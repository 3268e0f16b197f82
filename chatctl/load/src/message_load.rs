//! A load: users in pairs who send each other messages and keep account of what arrives.
//!
//! User `i` writes to user `i ^ 1`; an odd last one writes to themself. Both of a pair live on the same thread.
//!
//! | module | what it owns |
//! |---|---|
//! | [`plan`] | what is sent and how fast, and the window that is measured |
//! | [`virtual_user`] | one user's connection: sends, and books what comes back |
//! | [`probe`] | whether the server acknowledges at all |

mod plan;
mod probe;
mod virtual_user;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use shared::UserId;
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep};

use self::plan::Plan;
pub use self::plan::{ArrivalModel, Workload};
pub use self::probe::acknowledges;
use self::virtual_user::VirtualUser;
use super::connection::Connection;
use super::interrupt_counter::InterruptCounter;
use super::ledger::{ReceiveLedger, SendLedger, Tally};
use super::runtime_pool::RuntimePool;
use super::server::Server;
use super::stats::{Counters, Measured, Stats};
use super::users::BenchUser;

/// The code by which a server that stops refuses messages.
const SHUTTING_DOWN: &str = "shutting_down";
/// Handshakes at a time while a load is being connected; storms are measured elsewhere.
const MAX_HANDSHAKES: usize = 64;
/// How long one connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a coordinator looks whether something has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// One user, as both ends of the conversation see them.
#[derive(Debug)]
struct UserState {
    /// The user's number in this load.
    number: u32,
    id: UserId,
    /// The id as events carry it.
    text: String,
    /// What this user sent. Locked for moments by the tasks of this user and, without acks, of the partner.
    sent: Mutex<SendLedger>,
    /// What this user heard. Locked for moments by the user's task, and at the end.
    received: Mutex<ReceiveLedger>,
    /// Wakes the user's task when a message was delivered, on servers that acknowledge nothing.
    delivered: Notify,
}

/// A connected load.
#[derive(Debug)]
pub struct MessageLoad {
    plan: Arc<Plan>,
    users: Vec<Arc<UserState>>,
    /// One per thread. Locked for moments by the users of that thread and by the coordinator.
    stats: Vec<Arc<Mutex<Stats>>>,
    start: watch::Sender<bool>,
}

impl MessageLoad {
    /// Connects all users; nothing is sent yet. `connected` hears how many there are so far.
    ///
    /// # Errors
    /// If one can't connect, or on an interrupt.
    pub async fn connect(
        pool: &RuntimePool,
        server: &Server,
        users: &[BenchUser],
        workload: Workload,
        interrupt: &InterruptCounter,
        connected: impl Fn(usize),
    ) -> anyhow::Result<Self> {
        let load = Self {
            plan: Arc::new(Plan::new(workload, users.len())),
            users: (0..)
                .zip(users)
                .map(|(number, user)| UserState::new(number, user.id))
                .collect(),
            stats: (0..pool.threads()).map(|_| Arc::default()).collect(),
            start: watch::Sender::new(false),
        };
        let handshakes = Arc::new(Semaphore::new(MAX_HANDSHAKES));
        let (done, mut results) = mpsc::channel(MAX_HANDSHAKES);
        for (number, user) in users.iter().enumerate() {
            let (handshakes, done, server, token) = (
                Arc::clone(&handshakes),
                done.clone(),
                server.clone(),
                user.token.clone(),
            );
            let start = load.start.subscribe();
            let thread = number / 2 % pool.threads();
            let stats = Arc::clone(&load.stats[thread]);
            let me = Arc::clone(&load.users[number]);
            let partner = Arc::clone(load.users.get(number ^ 1).unwrap_or(&me));
            let plan = Arc::clone(&load.plan);
            pool.spawn(thread, async move {
                let permit = handshakes.acquire().await;
                let opened = Connection::open(&server, &token, CONNECT_TIMEOUT).await;
                drop(permit);
                match opened {
                    Ok(connection) => {
                        // The coordinator may have given up; then nothing starts this user.
                        let _ = done.send(Ok(())).await;
                        VirtualUser::new(plan, me, partner, stats, connection).run(start).await;
                    }
                    Err(error) => {
                        let _ = done.send(Err(error)).await;
                    }
                }
            });
        }
        drop(done);
        for count in 1..=users.len() {
            let result = tokio::select! {
                result = results.recv() => result,
                () = interrupt.wait_for(1) => anyhow::bail!("interrupted before anything was measured"),
            };
            if let Some(Err(error)) = result {
                anyhow::bail!(
                    "user {count} of {} can't connect to {}: {error}",
                    users.len(),
                    server.authority
                );
            }
            connected(count);
        }
        Ok(load)
    }

    /// Starts sending, unless it has started.
    pub fn begin(&self) {
        if !*self.start.borrow() {
            self.plan.begin();
            self.start.send_replace(true);
        }
    }

    /// Begins the window that is measured, now.
    pub fn measure(&self) {
        self.plan.measure();
    }

    /// Ends the window, now, and returns how long it was.
    pub fn end_measuring(&self) -> Duration {
        self.plan.end_measuring()
    }

    /// Nothing new is sent from now on.
    pub fn stop(&self) {
        self.plan.stop();
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        let mut sum = Counters::default();
        for stats in &self.stats {
            sum.add(&stats.lock().counters);
        }
        sum
    }

    /// What was measured in the window so far.
    pub fn measured(&self) -> Measured {
        let mut sum = Measured::default();
        for stats in &self.stats {
            sum.add(&stats.lock().measured);
        }
        sum
    }

    /// As [`measured`](Self::measured), and forgets it, for another window.
    pub fn take_measured(&self) -> Measured {
        let mut sum = Measured::default();
        for stats in &self.stats {
            sum.add(&std::mem::take(&mut stats.lock().measured));
        }
        sum
    }

    /// Whether a load with a fixed number of messages has sent them all and nothing is to be repeated.
    pub fn is_spent(&self) -> bool {
        let done = |counters: Counters| counters.refused == counters.retried && self.is_settled(&counters);
        self.plan.is_spent() && done(self.counters())
    }

    /// Waits until everything that was sent is answered and delivered, and conversations were told, if the server tells them
    /// at all. Gives up after `patience` or a second interrupt.
    pub async fn drain(&self, patience: Duration, interrupt: &InterruptCounter) {
        let end = Instant::now() + patience;
        let tells = |counters: &Counters| counters.untold < counters.delivered;
        let is_done = |counters: Counters| self.is_settled(&counters) && (counters.untold == 0 || !tells(&counters));
        while !is_done(self.counters()) && self.cut_off().is_none() && Instant::now() < end {
            tokio::select! {
                () = sleep(POLL_INTERVAL) => {}
                () = interrupt.wait_for(2) => return,
            }
        }
    }

    /// What happened if no connection is left.
    pub fn cut_off(&self) -> Option<String> {
        let stopping = || self.counters().errors.contains_key(SHUTTING_DOWN);
        self.plan.ends.lock().of_all(self.users.len() as u64, stopping)
    }

    /// Compares what was sent with what arrived.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for (number, user) in self.users.iter().enumerate() {
            let partner = self.users.get(number ^ 1).unwrap_or(user);
            tally.add(&user.sent.lock(), &partner.received.lock(), self.plan.workload.acks);
        }
        tally
    }

    fn is_settled(&self, counters: &Counters) -> bool {
        if self.plan.workload.acks {
            counters.sent == counters.acknowledged + counters.refused && counters.delivered >= counters.acknowledged
        } else {
            counters.delivered >= counters.sent
        }
    }
}

impl UserState {
    fn new(number: u32, id: UserId) -> Arc<Self> {
        Arc::new(Self {
            number,
            id,
            text: id.to_string(),
            sent: Mutex::default(),
            received: Mutex::default(),
            delivered: Notify::new(),
        })
    }
}
