//! Users in pairs who write to each other at a steady rate while their connections break: cut off by this program, or by a
//! server that restarts. Each comes back, gets what was missed, and sends again what had no answer.
//!
//! | module | what it owns |
//! |---|---|
//! | [`flaky_user`] | one user's life: connections, sending, hearing |
//! | [`recovery`] | how a client gets what it missed |
//! | [`account`] | what was sent and heard, and whether anything was lost or would be shown twice |

mod account;
mod flaky_user;
mod recovery;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use shared::UserId;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep};

use self::account::{Inbox, Outbox};
use self::flaky_user::FlakyUser;
use self::recovery::Recovery;
pub use self::recovery::RecoveryKind;
use super::connection::ConnectError;
use super::interrupt_counter::InterruptCounter;
use super::runtime_pool::RuntimePool;
use super::server::Server;
use super::stamp::{STAMP_BYTES, Stamper};
use super::stats::{Latencies, Summary};
use super::users::BenchUser;

/// Handshakes at a time while all connect for the first time.
const MAX_HANDSHAKES: usize = 64;
/// How often a coordinator looks.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// What has not come when nothing new came for so long is lost.
const QUIET_DURATION: Duration = Duration::from_secs(3);
/// Reasons of trouble that are told apart; what texts a server sends is not ours to bound otherwise.
const MAX_REASONS: usize = 20;

/// What the users do.
#[derive(Debug, Clone, Copy)]
pub struct FlakyWorkload {
    /// Messages a second of each user.
    pub rate: f64,
    /// Each connection is cut once in this time, each at another moment; never, if none.
    pub cut_every: Option<Duration>,
    /// How long a user is away after that.
    pub away: Duration,
    /// How the server gives what was missed.
    pub recovery: RecoveryKind,
}

/// What is common to all users of a load. Times are nanoseconds since it began.
#[derive(Debug)]
struct Plan {
    workload: FlakyWorkload,
    stamper: Stamper,
    interval: u64,
    /// When the load began; not yet, if none.
    begun: watch::Sender<Option<Instant>>,
    stopped: AtomicBool,
    connected: AtomicUsize,
}

impl Plan {
    /// Now, if the load has begun.
    fn now(&self) -> Option<u64> {
        self.begun.borrow().map(|begun| begun.elapsed().as_nanos() as u64)
    }

    /// Now, if the load goes on.
    fn running(&self) -> Option<u64> {
        self.now().filter(|_| !self.stopped.load(Relaxed))
    }

    /// The moment as timers take it.
    fn instant(&self, at: u64) -> Instant {
        self.begun.borrow().unwrap_or_else(Instant::now) + Duration::from_nanos(at)
    }

    /// Returns when the load begins; never, if it has begun.
    async fn begins(&self) {
        let mut begun = self.begun.subscribe();
        let has_begun = begun.borrow_and_update().is_some();
        if has_begun || begun.changed().await.is_err() {
            std::future::pending().await
        }
    }
}

/// One user, as both ends of the conversation see them.
#[derive(Debug)]
struct UserState {
    number: u32,
    id: UserId,
    /// The id as events carry it.
    text: String,
    /// Both are locked for moments, by the tasks of both ends and at the end; the inbox first, where both are.
    outbox: Mutex<Outbox>,
    inbox: Mutex<Inbox>,
    /// Connected, and has what was missed.
    is_here: AtomicBool,
}

/// What the users of one thread count.
#[derive(Debug, Default)]
struct FlakyStats {
    cuts: u64,
    returns: u64,
    sendings: u64,
    refused: u64,
    caught_up: Latencies,
    away: Latencies,
    errors: BTreeMap<String, u64>,
}

impl FlakyStats {
    fn error(&mut self, code: &str) {
        if let Some(count) = self.errors.get_mut(code) {
            *count += 1;
        } else if self.errors.len() < MAX_REASONS {
            self.errors.insert(code.to_owned(), 1);
        }
    }

    fn trouble(&mut self, error: &ConnectError) {
        self.error(&error.to_string());
    }

    fn add(&mut self, other: &Self) {
        self.cuts += other.cuts;
        self.returns += other.returns;
        self.sendings += other.sendings;
        self.refused += other.refused;
        self.caught_up.add(&other.caught_up);
        self.away.add(&other.away);
        for (code, count) in &other.errors {
            *self.errors.entry(code.clone()).or_default() += count;
        }
    }
}

/// How a load stands.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FlakyResults {
    /// Messages that the users meant to send.
    pub messages: u64,
    /// Of those, acknowledged.
    pub acknowledged: u64,
    /// Messages that reached their receiver, each counted once.
    pub delivered: u64,
    /// Acknowledged, and never delivered.
    pub lost: u64,
    /// Came twice under two ids: their receiver would show them twice.
    pub duplicated: u64,
    /// Came again under the same id, by which a client knows them; no fault.
    pub repeated: u64,
    /// Without an answer at the end.
    pub unanswered: u64,
    /// Sendings beyond the first of a message.
    pub resent: u64,
    /// Answered with an error, to be sent again.
    pub refused: u64,
    /// Connections that were cut off on purpose.
    pub cuts: u64,
    /// Times that somebody came back and had all that was missed.
    pub returns: u64,
    /// Users who are not back at the end, or don't have what they missed.
    pub never_returned: u64,
    /// From the first attempt that a server took until all that was missed was there.
    pub caught_up: Option<Summary>,
    /// From the end of a connection until all that was missed was there on another.
    pub away: Option<Summary>,
    /// Failed attempts, broken connections and error answers, by reason.
    pub errors: BTreeMap<String, u64>,
}

impl FlakyResults {
    /// Whether everything arrived once and everybody is back.
    pub fn is_clean(&self) -> bool {
        self.lost + self.duplicated + self.unanswered + self.never_returned == 0 && self.delivered == self.messages
    }

    fn is_settled(&self) -> bool {
        self.never_returned == 0 && self.unanswered == 0 && self.delivered >= self.messages
    }
}

/// A load whose users connect, and come back by themselves.
#[derive(Debug)]
pub struct FlakyLoad {
    plan: Arc<Plan>,
    users: Vec<Arc<UserState>>,
    /// One per thread. Locked for moments.
    stats: Vec<Arc<Mutex<FlakyStats>>>,
}

impl FlakyLoad {
    /// Lets all users connect; nothing is sent before [`begin`](Self::begin). There must be an even number of them.
    pub fn connect(pool: &RuntimePool, server: &Server, users: &[BenchUser], workload: FlakyWorkload) -> Self {
        let interval = (1e9 / workload.rate) as u64;
        let load = Self {
            plan: Arc::new(Plan {
                stamper: Stamper::new(rand::random(), STAMP_BYTES),
                interval,
                begun: watch::Sender::new(None),
                stopped: AtomicBool::new(false),
                connected: AtomicUsize::new(0),
                workload,
            }),
            users: (0..)
                .zip(users)
                .map(|(number, user)| UserState::new(number, user.id))
                .collect(),
            stats: (0..pool.threads()).map(|_| Arc::default()).collect(),
        };
        let handshakes = Arc::new(Semaphore::new(MAX_HANDSHAKES));
        for (number, user) in users.iter().enumerate() {
            let thread = number / 2 % pool.threads();
            let me = Arc::clone(&load.users[number]);
            let share = |of: u64| (u128::from(of) * number as u128 / users.len() as u128) as u64;
            let every = workload.cut_every.map(|every| every.as_nanos() as u64);
            let user = FlakyUser {
                plan: Arc::clone(&load.plan),
                server: server.clone(),
                token: user.token.clone(),
                partner: Arc::clone(load.users.get(number ^ 1).unwrap_or(&me)),
                me,
                stats: Arc::clone(&load.stats[thread]),
                recovery: Recovery::new(workload.recovery),
                handshakes: Arc::clone(&handshakes),
                next: share(interval),
                // At random, so that both of a pair are away together, or one alone.
                cut: every.map(|every| (every as f64 * rand::random::<f64>()) as u64),
                pause: None,
                page: 0,
            };
            pool.spawn(thread, user.live());
        }
        load
    }

    /// Waits until all are connected for the first time.
    ///
    /// # Errors
    /// If they are not within a time, or on an interrupt.
    pub async fn gather(
        &self,
        patience: Duration,
        interrupt: &InterruptCounter,
        show: impl Fn(usize),
    ) -> anyhow::Result<()> {
        let end = Instant::now() + patience;
        loop {
            let here = self.here();
            if here == self.users.len() {
                return Ok(());
            }
            show(here);
            if Instant::now() >= end {
                let errors = self
                    .stats()
                    .errors
                    .into_keys()
                    .next()
                    .unwrap_or_else(|| "no reason was given".to_owned());
                anyhow::bail!(
                    "only {here} of {} users connected within {patience:?}: {errors}",
                    self.users.len()
                );
            }
            tokio::select! {
                () = sleep(POLL_INTERVAL) => {}
                () = interrupt.wait_for(1) => anyhow::bail!("interrupted before anything was measured"),
            }
        }
    }

    /// Starts the sending and the cuts, now.
    pub fn begin(&self) {
        self.plan.begun.send_replace(Some(Instant::now()));
    }

    /// Nothing new is sent, and nobody is cut off, from now on.
    pub fn stop(&self) {
        self.plan.stopped.store(true, Relaxed);
    }

    /// Waits until everybody is back and everything was delivered, or nothing comes any more.
    pub async fn settle(&self, patience: Duration, interrupt: &InterruptCounter) {
        let end = Instant::now() + patience;
        let (mut last, mut since) = (None, Instant::now());
        loop {
            let results = self.results();
            if results.is_settled() || Instant::now() >= end {
                return;
            }
            let state = Some((
                results.acknowledged,
                results.delivered,
                results.never_returned,
                results.returns,
            ));
            if state != last {
                (last, since) = (state, Instant::now());
            }
            // Who is away, or has no answer, is waited for; what a server has lost is not.
            let is_quiet = self.connected() == self.users.len() && results.unanswered == 0;
            if is_quiet && since.elapsed() >= QUIET_DURATION {
                return;
            }
            tokio::select! {
                () = sleep(POLL_INTERVAL) => {}
                () = interrupt.wait_for(2) => return,
            }
        }
    }

    /// How many have a connection.
    pub fn connected(&self) -> usize {
        self.plan.connected.load(Relaxed)
    }

    /// How many have a connection and all that they missed.
    fn here(&self) -> usize {
        self.users.iter().filter(|user| user.is_here.load(Relaxed)).count()
    }

    fn stats(&self) -> FlakyStats {
        let mut sum = FlakyStats::default();
        for stats in &self.stats {
            sum.add(&stats.lock());
        }
        sum
    }

    /// What is known so far.
    pub fn results(&self) -> FlakyResults {
        let stats = self.stats();
        let mut results = FlakyResults {
            messages: 0,
            acknowledged: 0,
            delivered: 0,
            lost: 0,
            duplicated: 0,
            repeated: 0,
            unanswered: 0,
            resent: 0,
            refused: stats.refused,
            cuts: stats.cuts,
            returns: stats.returns,
            never_returned: (self.users.len() - self.here()) as u64,
            caught_up: stats.caught_up.summary(),
            away: stats.away.summary(),
            errors: stats.errors,
        };
        for (number, user) in self.users.iter().enumerate() {
            let inbox = self.users.get(number ^ 1).unwrap_or(user).inbox.lock();
            let outbox = user.outbox.lock();
            results.messages += outbox.len() as u64;
            results.acknowledged += outbox.acknowledged;
            results.unanswered += outbox.open();
            results.delivered += inbox.delivered;
            results.duplicated += inbox.duplicated;
            results.repeated += inbox.repeated;
            results.lost += inbox.lost(&outbox);
        }
        results.resent = stats.sendings.saturating_sub(results.messages);
        results
    }
}

impl UserState {
    fn new(number: u32, id: UserId) -> Arc<Self> {
        Arc::new(Self {
            number,
            id,
            text: id.to_string(),
            outbox: Mutex::default(),
            inbox: Mutex::default(),
            is_here: AtomicBool::new(false),
        })
    }
}
