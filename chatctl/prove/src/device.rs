//! One device of one user: it connects with its cursor, keeps its copy, sends, marks, is cut off and comes back.
//!
//! | module | what it owns |
//! |---|---|
//! | [`connection`] | one connection: the loop, and what is sent on it |
//! | [`events`] | what the server tells |
//! | [`answers`] | what the server answers |

mod answers;
mod connection;
mod events;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use chatctl_client::backoff::Backoff;
use chatctl_load::connection::{ConnectError, Connection};
use chatctl_load::server::Server;
use parking_lot::Mutex;
use shared::{ErrorCode, MessageId, UserId};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use self::connection::{DeviceConnection, End};
use super::measurements::Measurements;
use super::message_copy::MessageCopy;
use super::plan::{Plan, Script};
use super::record::{DeviceRecord, micros};
use super::tokens::Tokens;
use super::violation::{Example, Findings, Kind};
use super::virtual_user::VirtualUser;
use super::wire;

/// How long a connection may take up to the point where events can be sent.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait before the next try to connect: faults come often, and being away proves nothing.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(2);
/// How long an event that was on its way when a device caught up may take.
const IN_FLIGHT_TIMEOUT: Duration = Duration::from_secs(2);
/// How a server refuses a token.
const REFUSED_TOKEN: &str = shared::events::AUTHENTICATION_ERROR;

/// What all devices share.
#[derive(Debug)]
pub(super) struct RunContext {
    /// Who does what.
    pub(super) plan: Plan,
    /// Where they connect to: nodes of one deployment.
    pub(super) nodes: Vec<Server>,
    /// Signs the users' tokens.
    pub(super) tokens: Arc<Tokens>,
    /// Whether they hold for the whole run.
    pub(super) tokens_hold: bool,
    /// The users' ids by their number.
    pub(super) people: Vec<UserId>,
    /// When the run began.
    pub(super) epoch: Instant,
    /// The mean time between two new messages of one device.
    pub(super) interval: Duration,
    /// Unanswered messages of one device at most.
    pub(super) in_flight: usize,
    /// Locked for moments by every device, and by the coordinator.
    pub(super) measurements: Mutex<Measurements>,
    /// Numbers the connections.
    pub(super) connections: AtomicU32,
    /// Devices that have caught up now. Only ever read to wait for it, as are the next two.
    pub(super) live: AtomicUsize,
    /// Devices that have done the last sync.
    pub(super) synced: AtomicUsize,
    /// When anything was heard last, in microseconds since the run began.
    pub(super) heard_at: AtomicU64,
}

impl RunContext {
    /// Microseconds since the run began.
    pub(super) fn now(&self) -> u64 {
        micros(self.epoch.elapsed())
    }
}

/// What the coordinator wants of the devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Connect, nothing more.
    Gather,
    /// Write, read, leave, come back.
    Run,
    /// Come back and stay; nothing new, but repeat what was not answered.
    Settle,
    /// Sync once more from the last cursor.
    Sync {
        /// Whether everything was answered and still before: then it must bring nothing new.
        settled: bool,
    },
    /// End.
    Close,
}

/// A device.
#[derive(Debug)]
pub(super) struct Device {
    context: Arc<RunContext>,
    user: Arc<VirtualUser>,
    number: usize,
    script: Script,
    phase: watch::Receiver<Phase>,
    /// The second in which the token of its last connection was made.
    made: i64,
    /// To which node it connects next; of any size.
    node: usize,
    copy: MessageCopy,
    /// The newest messages of each peer, to choose from what to mark.
    recent: HashMap<UserId, VecDeque<MessageId>>,
    strays: Findings,
    sessions: Vec<Vec<(MessageId, super::record::How)>>,
    repaired: HashSet<MessageId>,
    updates: HashMap<UserId, shared::Conversation>,
    updates_due: HashSet<UserId>,
    reset: bool,
    last_sync: LastSync,
    /// Why the last try to connect failed.
    trouble: String,
}

/// How far a device is with its last sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LastSync {
    /// Not asked for yet.
    Ahead,
    /// Under way; whether the device had caught up before and stayed.
    Begun {
        was_live: bool,
    },
    Done,
}

impl Device {
    pub(super) fn new(
        context: &Arc<RunContext>,
        user: &Arc<VirtualUser>,
        number: usize,
        phase: watch::Receiver<Phase>,
    ) -> Self {
        Self {
            script: context.plan.script(user.number, number),
            context: Arc::clone(context),
            user: Arc::clone(user),
            number,
            phase,
            made: 0,
            node: user.number + number,
            copy: MessageCopy::default(),
            recent: HashMap::new(),
            strays: Findings::default(),
            sessions: Vec::new(),
            repaired: HashSet::new(),
            updates: HashMap::new(),
            updates_due: HashSet::new(),
            reset: false,
            last_sync: LastSync::Ahead,
            trouble: "it never tried".to_owned(),
        }
    }

    /// Lives until the coordinator ends it, and returns what it knows then.
    pub(super) async fn live(mut self) -> DeviceRecord {
        let mut backoff = Backoff::default();
        while self.phase() != Phase::Close {
            let begun = Instant::now();
            match self.connect().await {
                Ok(connection) => {
                    let end = DeviceConnection::new(&mut self, connection, begun).run().await;
                    self.ended(end, &mut backoff).await;
                }
                Err(error) => {
                    self.refused(&error);
                    self.trouble = error.to_string();
                    {
                        let mut measurements = self.context.measurements.lock();
                        measurements.counts.connects_failed += 1;
                        measurements.trouble = Some(self.trouble.clone());
                    }
                    let wait = backoff.next(rand::random()).min(MAX_RETRY_DELAY);
                    self.wait(wait, |phase| phase == Phase::Close).await;
                }
            }
        }
        let stranded = (self.last_sync != LastSync::Done).then_some(self.trouble);
        DeviceRecord {
            number: self.number,
            sessions: self.sessions,
            copy: self.copy,
            repaired: self.repaired,
            updates: self.updates,
            updates_due: self.updates_due,
            strays: self.strays,
            reset: self.reset,
            stranded,
        }
    }

    async fn connect(&mut self) -> Result<Connection, ConnectError> {
        let (token, made) = match self.context.tokens_hold {
            true => (self.user.token.clone(), self.made),
            false => self.context.tokens.fresh(self.user.id),
        };
        self.made = made;
        let frame = wire::connect(&token, self.copy.cursor());
        // Whoever comes back comes to another node.
        let node = &self.context.nodes[self.node % self.context.nodes.len()];
        self.node = self.node.wrapping_add(1);
        let connection = Connection::open_with(node, frame, CONNECT_TIMEOUT).await?;
        self.context.measurements.lock().counts.connects += 1;
        Ok(connection)
    }

    /// A refused token is a lie; everything else happens while servers restart.
    fn refused(&mut self, error: &ConnectError) {
        if let ConnectError::Refused(why) = error
            && why.contains(REFUSED_TOKEN)
            && !(why.contains(ErrorCode::TokenRevoked.as_str())
                && self.context.tokens.may_be_revoked(self.user.id, self.made))
        {
            self.complain(Kind::Refused, Example::new(format!("connecting: {why}")));
        }
    }

    /// After a connection: how it went on, and when to come back.
    async fn ended(&mut self, end: End, backoff: &mut Backoff) {
        if let LastSync::Begun { was_live } = &mut self.last_sync {
            // What the next connection brings may have come while there was none.
            *was_live = false;
        }
        let mut away = backoff.next(rand::random()).min(MAX_RETRY_DELAY);
        {
            let counts = &mut self.context.measurements.lock().counts;
            match &end {
                End::Left(leave) => {
                    counts.cuts += 1;
                    counts.crashes += u64::from(leave.crash);
                }
                End::Silent => counts.timeouts += 1,
                End::Reset | End::Broken { .. } => counts.disconnects += 1,
                End::Closed => {}
            }
        }
        match end {
            End::Left(leave) => {
                if leave.crash {
                    self.copy.crash();
                }
                away = leave.away;
                backoff.reset();
            }
            End::Broken { why, was_live } => {
                self.trouble = why;
                if was_live {
                    backoff.reset();
                }
            }
            End::Silent => "no answer in time".clone_into(&mut self.trouble),
            End::Reset => {
                self.reset = true;
                self.copy.advance("");
                self.copy.save();
            }
            End::Closed => return,
        }
        self.wait(away, |phase| !matches!(phase, Phase::Gather | Phase::Run))
            .await;
    }

    /// Waits, unless the coordinator wants something else meanwhile.
    async fn wait(&mut self, time: Duration, other: impl Fn(Phase) -> bool) {
        let begun = self.phase();
        tokio::select! {
            () = sleep(time) => {}
            _ = self.phase.wait_for(|phase| *phase != begun && other(*phase)) => {}
        }
    }

    fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    fn complain(&mut self, kind: Kind, example: Example) {
        self.strays.add(kind, example.of(self.user.id).on(self.number));
    }
}

/// Counts a device as one that has caught up for as long as it exists.
#[derive(Debug)]
struct CaughtUpGuard {
    context: Arc<RunContext>,
    since: Instant,
}

impl CaughtUpGuard {
    fn new(context: &Arc<RunContext>) -> Self {
        context.live.fetch_add(1, Relaxed);
        Self {
            context: Arc::clone(context),
            since: Instant::now(),
        }
    }

    /// Whether events that come now began after it had caught up, so that they carry a cursor.
    fn is_settled(&self) -> bool {
        self.since.elapsed() > IN_FLIGHT_TIMEOUT
    }
}

impl Drop for CaughtUpGuard {
    fn drop(&mut self) {
        self.context.live.fetch_sub(1, Relaxed);
    }
}
