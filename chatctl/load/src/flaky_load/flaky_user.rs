//! One user whose connection breaks: keeps what has no answer, comes back, asks for what was missed, sends again.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use chatctl_client::backoff::Backoff;
use parking_lot::Mutex;
use shared::events::{self, Answer, Sent};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_tungstenite::tungstenite;

use super::recovery::{self, Recovery};
use super::{FlakyStats, Plan, UserState};
use crate::connection::{ConnectError, Connection};
use crate::server::Server;
use crate::stamp::Stamp;
use crate::wire::{self, Frame};

/// How long one attempt may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Wait before repeating what was refused without saying when to try again.
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// Requests for pages have numbers from here on, messages have those below.
const FIRST_PAGE: u32 = 1 << 31;
/// Timers of the runtime are this coarse, in nanoseconds, and go off late, never early.
const TIMER_RESOLUTION_NANOS: u64 = 1_000_000;

/// A user of the load.
pub(super) struct FlakyUser {
    pub(super) plan: Arc<Plan>,
    pub(super) server: Server,
    pub(super) token: String,
    pub(super) me: Arc<UserState>,
    pub(super) partner: Arc<UserState>,
    /// Of all users of this thread. Locked for moments.
    pub(super) stats: Arc<Mutex<FlakyStats>>,
    pub(super) recovery: Recovery,
    /// So many connect for the first time at once.
    pub(super) handshakes: Arc<Semaphore>,
    /// When the next message is due, and when the connection is cut next, in nanoseconds since the load began.
    pub(super) next: u64,
    pub(super) cut: Option<u64>,
    /// Until then nothing is sent again: the server asked for that.
    pub(super) pause: Option<Instant>,
    /// The number of the next page.
    pub(super) page: u32,
}

/// A return, until all that was missed is here.
struct Return {
    /// When the connection before was lost; none for the first one.
    lost: Option<Instant>,
    /// When the first attempt began that the server took.
    begun: Instant,
    /// What had been acknowledged by then.
    missing: Vec<u32>,
    /// Whether the server said that it has sent what was missed.
    recovered: bool,
}

/// How a connection ended.
enum End {
    /// By us, as planned.
    Cut,
    /// By the server, or it broke.
    Broken(ConnectError),
}

impl FlakyUser {
    /// Lives until the pool ends.
    pub(super) async fn live(mut self) {
        let mut lost = None;
        loop {
            let (connection, coming_back) = self.connect(lost).await;
            self.plan.connected.fetch_add(1, Relaxed);
            let end = self.work(connection, coming_back).await;
            self.plan.connected.fetch_sub(1, Relaxed);
            self.me.is_here.store(false, Relaxed);
            self.me.outbox.lock().disconnected();
            lost = Some(Instant::now());
            match end {
                End::Cut => {
                    self.stats.lock().cuts += 1;
                    sleep(self.plan.workload.away).await;
                }
                End::Broken(error) => self.stats.lock().trouble(&error),
            }
        }
    }

    /// Tries until it works.
    async fn connect(&mut self, lost: Option<Instant>) -> (Connection, Return) {
        let mut backoff = Backoff::default();
        let mut begun = None;
        loop {
            // All at once at the beginning is not what is measured here; later nobody waits for another.
            let permit = match lost {
                None => self.handshakes.clone().acquire_owned().await.ok(),
                Some(_) => None,
            };
            let from = *begun.get_or_insert_with(Instant::now);
            let missing = self.me.inbox.lock().missing(&self.partner.outbox.lock());
            let frame = self.recovery.connect(&self.token);
            let opened = Connection::open_answered(&self.server, frame, CONNECT_TIMEOUT).await;
            drop(permit);
            match opened {
                Ok((connection, mut frames)) => {
                    // The last one says whose session it is, and so whether the offsets of those before are of it.
                    let recovered = frames.pop().is_some_and(|frame| self.recovery.connected(&frame));
                    frames.iter().for_each(|frame| self.event(frame));
                    let coming_back = Return {
                        lost,
                        begun: from,
                        missing,
                        recovered,
                    };
                    return (connection, coming_back);
                }
                Err(error) => {
                    if is_away(&error) {
                        begun = None;
                    }
                    self.stats.lock().trouble(&error);
                }
            }
            sleep(backoff.next(rand::random())).await;
        }
    }

    async fn work(&mut self, mut connection: Connection, coming_back: Return) -> End {
        match self.converse(&mut connection, coming_back).await {
            Ok(()) => End::Cut,
            Err(error) => End::Broken(error),
        }
    }

    /// Sends what is due and hears what comes, until the connection is to be cut.
    async fn converse(&mut self, connection: &mut Connection, coming_back: Return) -> Result<(), ConnectError> {
        let mut coming_back = Some(coming_back);
        self.catch_up(&mut coming_back);
        loop {
            let running = self.plan.running();
            if let Some(cut) = self.cut.filter(|cut| running.is_some_and(|now| *cut <= now)) {
                let every = self.plan.workload.cut_every.map_or(0, |every| every.as_nanos() as u64);
                self.cut = Some(cut + every);
                return Ok(());
            }
            self.send_due(connection, running).await?;
            let mut wake = self.pause;
            if running.is_some() {
                let due = self.plan.instant(self.next.saturating_sub(TIMER_RESOLUTION_NANOS));
                let cut = self.cut.map(|cut| self.plan.instant(cut));
                wake = [wake, Some(due), cut].into_iter().flatten().min();
            }
            let timer = async {
                match wake {
                    Some(at) => sleep_until(at).await,
                    // Nothing is due before the load begins, or after it has ended.
                    None => self.plan.begins().await,
                }
            };
            tokio::select! {
                biased;
                frame = connection.next() => {
                    let frame = frame?;
                    self.hear(connection, &frame, &mut coming_back).await?;
                    self.catch_up(&mut coming_back);
                }
                () = timer => {}
            }
        }
    }

    async fn send_due(&mut self, connection: &mut Connection, running: Option<u64>) -> Result<(), ConnectError> {
        while running.is_some_and(|now| self.next <= now + TIMER_RESOLUTION_NANOS) {
            self.me.outbox.lock().add(self.next);
            self.next += self.plan.interval;
        }
        if self.pause.is_some_and(|until| Instant::now() < until) {
            return Ok(());
        }
        self.pause = None;
        let mut fed = false;
        loop {
            // The lock must not be held while something is sent.
            let due = self.me.outbox.lock().next();
            let Some((number, id, planned)) = due else { break };
            let stamp = Stamp {
                sender: self.me.number,
                sequence: number,
                at: planned,
            };
            let text = |out: &mut String| self.plan.stamper.write(out, stamp);
            let frame = wire::send_message(Some(number), self.partner.id, Some(id), text);
            connection.feed(frame).await?;
            self.stats.lock().sendings += 1;
            fed = true;
        }
        if fed { connection.flush().await } else { Ok(()) }
    }

    async fn hear(
        &mut self,
        connection: &mut Connection,
        text: &str,
        coming_back: &mut Option<Return>,
    ) -> Result<(), ConnectError> {
        match Frame::of(text) {
            Frame::Ping => connection.send(wire::PONG).await?,
            Frame::Disconnected => return Err(ConnectError::Closed),
            Frame::Answer(number, body) if number >= FIRST_PAGE => {
                let Some((messages, next, has_more)) = recovery::page(body) else {
                    return Err(ConnectError::Refused(body.to_owned()));
                };
                messages.iter().for_each(|message| self.message(message));
                self.recovery.go_on(&next);
                self.recovered(connection, coming_back, has_more).await?;
            }
            Frame::Answer(number, body) => self.answered(number, body),
            Frame::Event(events::SYNC_DONE, frame) => {
                if let Some(done) = recovery::sync_done(frame) {
                    self.recovery.go_on(&done.next);
                    self.recovered(connection, coming_back, done.has_more).await?;
                }
            }
            Frame::Event(events::SYNC_RESET, _) => {
                self.recovery.go_on("");
                return Err(ConnectError::Refused("sync_reset".to_owned()));
            }
            Frame::Event(..) => self.event(text),
            _ => {}
        }
        Ok(())
    }

    /// Books what an event says, if it is a message, and how far it takes the copy.
    fn event(&mut self, frame: &str) {
        let Frame::Event(name, _) = Frame::of(frame) else {
            return;
        };
        if name.strip_prefix("receive_message_") == Some(&self.me.text) {
            self.message(frame);
        }
        self.recovery.heard(frame);
    }

    /// What was missed has come, or there is more of it.
    async fn recovered(
        &mut self,
        connection: &mut Connection,
        coming_back: &mut Option<Return>,
        has_more: bool,
    ) -> Result<(), ConnectError> {
        if has_more {
            self.page = self.page.wrapping_add(1) | FIRST_PAGE;
            return connection.send(self.recovery.page(self.page)).await;
        }
        if let Some(coming_back) = coming_back {
            coming_back.recovered = true;
        }
        Ok(())
    }

    /// Books a message of the partner, wherever in a text it stands.
    fn message(&self, text: &str) {
        let stamp = self.plan.stamper.read(text);
        let Some(stamp) = stamp.filter(|stamp| stamp.sender == self.partner.number) else {
            return;
        };
        if let Some(id) = wire::message_id(text) {
            self.me.inbox.lock().add(stamp.sequence, id);
        }
    }

    fn answered(&mut self, number: u32, body: &str) {
        if !wire::is_error(body) {
            self.me.outbox.lock().acknowledge(number);
            return;
        }
        self.me.outbox.lock().refuse(number);
        let mut stats = self.stats.lock();
        stats.refused += 1;
        match serde_json::from_str::<(Answer<Sent>,)>(body) {
            Ok((Answer::Error(error),)) => {
                stats.error(&error.code.to_string());
                let wait = error.retry_after_ms.map_or(RETRY_DELAY, Duration::from_millis);
                self.pause = Some(Instant::now() + wait);
            }
            _ => {
                stats.error("unreadable_error");
                self.pause = Some(Instant::now() + RETRY_DELAY);
            }
        }
    }

    /// Books a return once all that was missed has come.
    fn catch_up(&self, coming_back: &mut Option<Return>) {
        let Some(open) = coming_back else { return };
        if !open.recovered {
            return;
        }
        self.me.inbox.lock().strike(&mut open.missing);
        if !open.missing.is_empty() {
            return;
        }
        if let Some(lost) = open.lost {
            let mut stats = self.stats.lock();
            stats.returns += 1;
            stats.caught_up.record(open.begun.elapsed());
            stats.away.record(lost.elapsed());
        }
        self.me.is_here.store(true, Relaxed);
        *coming_back = None;
    }
}

/// Whether there was no server that could take the attempt: the port is closed, or a proxy says that nobody is behind it.
fn is_away(error: &ConnectError) -> bool {
    match error {
        ConnectError::Tcp(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
        ConnectError::WebSocket(error) => match &**error {
            tungstenite::Error::Http(response) => matches!(response.status().as_u16(), 502..=504),
            _ => false,
        },
        _ => false,
    }
}
