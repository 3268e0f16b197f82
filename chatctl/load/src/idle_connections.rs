//! Connections that are only there: they answer pings, come back when they are lost, and drop all at once when told.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use shared::UserId;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::connection::{ConnectError, Connection};
use super::interrupt_counter::InterruptCounter;
use super::runtime_pool::RuntimePool;
use super::server::Server;
use super::stats::Latencies;
use super::users::BenchUser;
use super::wire;

/// How long one attempt may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// A failed attempt is repeated after half to one and a half of this, as stock clients do at first.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Why a connection that was there is not any more.
const LOST: &str = "connection lost";
/// How much later than its own beginning a connection sends what the next one is to miss: that one has its cursor then.
const SEND_DELAY: Duration = Duration::from_secs(1);

/// The connections, each a task on the threads of a [`RuntimePool`].
#[derive(Debug)]
pub struct IdleConnections {
    server: Server,
    wave: watch::Sender<Wave>,
    events: mpsc::UnboundedReceiver<ConnectionEvent>,
    report: mpsc::UnboundedSender<ConnectionEvent>,
    size: usize,
    present: usize,
    /// Messages that each is to miss; none where nobody catches up.
    missed: Option<usize>,
}

/// One time of all connecting.
#[derive(Debug, Clone)]
struct Wave {
    number: u32,
    spread: Duration,
    /// As many handshakes at a time as it has permits.
    handshakes: Arc<Semaphore>,
}

/// What happened to one connection, in which wave.
#[derive(Debug)]
struct ConnectionEvent {
    wave: u32,
    change: ConnectionChange,
}

#[derive(Debug)]
enum ConnectionChange {
    /// And has caught up, if that was asked for.
    Connected {
        took: Duration,
        at: Instant,
    },
    Failed(String),
    Lost,
}

/// How it goes, in words.
#[derive(Debug)]
pub struct ConnectProgress<'a> {
    present: usize,
    size: usize,
    /// Why the last one is not connected, if that is newer.
    trouble: Option<&'a str>,
}

impl fmt::Display for ConnectProgress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} connected", self.present, self.size)?;
        self.trouble.map_or(Ok(()), |why| write!(f, " ({why})"))
    }
}

/// How it went until all were connected.
#[derive(Debug, Default)]
pub struct ConnectResults {
    /// How many are connected.
    pub connected: usize,
    /// Time until the last of them was.
    pub took: Duration,
    /// The time of each handshake, from the TCP connection to the accepted token, or to having caught up.
    pub handshake: Latencies,
    /// The time of each from the beginning of all until it was connected.
    pub since_begin: Latencies,
    /// Attempts that failed and connections that were lost, by reason.
    pub failures: BTreeMap<String, u64>,
    /// Whether all are there.
    pub complete: bool,
}

impl IdleConnections {
    /// No connections yet; later so many connect at a time.
    #[expect(clippy::disallowed_methods, reason = "one report a connection")]
    pub fn new(server: &Server, concurrency: usize) -> Self {
        let (report, events) = mpsc::unbounded_channel();
        let wave = Wave {
            number: 0,
            spread: Duration::ZERO,
            handshakes: Arc::new(Semaphore::new(concurrency)),
        };
        Self {
            server: server.clone(),
            wave: watch::Sender::new(wave),
            events,
            report,
            size: 0,
            present: 0,
            missed: None,
        }
    }

    /// Lets every connection ask for what it missed, and be there only when it has got it. Once, when it is there for the
    /// first time, it sends so many messages to the next one, who misses them.
    pub fn catching_up(mut self, missed: usize) -> Self {
        self.missed = Some(missed);
        self
    }

    /// Adds connections, which begin to connect at once.
    pub fn add(&mut self, pool: &RuntimePool, users: &[BenchUser]) {
        for (number, user) in users.iter().enumerate() {
            let next = users[(number + 1) % users.len()].id;
            let connection = IdleConnection {
                server: self.server.clone(),
                token: user.token.clone(),
                cursor: self.missed.map(|_| String::new()),
                to_send: self.missed.unwrap_or(0),
                next,
                wave: self.wave.subscribe(),
                report: self.report.clone(),
            };
            pool.spawn(number, connection.live());
        }
        self.size += users.len();
    }

    /// Drops all connections; each comes back by itself after a random time up to `spread`.
    pub fn drop_all(&mut self, spread: Duration) {
        self.present = 0;
        let handshakes = Arc::new(Semaphore::new(self.size));
        self.wave.send_modify(|wave| {
            wave.number += 1;
            wave.spread = spread;
            wave.handshakes = handshakes;
        });
    }

    /// Waits until all are connected; gives up after a time or at an interrupt. `show` hears how it goes.
    pub async fn wait_until_connected(
        &mut self,
        begun: Instant,
        within: Duration,
        interrupt: &InterruptCounter,
        show: impl Fn(ConnectProgress<'_>),
    ) -> ConnectResults {
        let mut results = ConnectResults::default();
        let current = self.wave.borrow().number;
        while self.present < self.size {
            let events = tokio::select! {
                events = timeout_at(begun + within, self.events.recv()) => events,
                () = interrupt.wait_for(1) => break,
            };
            let Ok(Some(ConnectionEvent { wave, change })) = events else {
                break;
            };
            match change {
                ConnectionChange::Connected { took, at } if wave == current => {
                    self.present += 1;
                    results.took = at.duration_since(begun);
                    results.handshake.record(took);
                    results.since_begin.record(results.took);
                    show(self.going(None));
                }
                ConnectionChange::Lost if wave == current => {
                    self.present -= 1;
                    show(self.going(Some(LOST)));
                    *results.failures.entry(LOST.to_owned()).or_default() += 1;
                }
                ConnectionChange::Failed(reason) => {
                    show(self.going(Some(&reason)));
                    *results.failures.entry(reason).or_default() += 1;
                }
                ConnectionChange::Connected { .. } | ConnectionChange::Lost => {}
            }
        }
        results.connected = self.present;
        results.complete = self.present == self.size;
        results
    }

    fn going<'a>(&self, trouble: Option<&'a str>) -> ConnectProgress<'a> {
        ConnectProgress {
            present: self.present,
            size: self.size,
            trouble,
        }
    }

    /// How many connections were lost since all were connected.
    pub fn lost(&mut self) -> u64 {
        let mut lost = 0;
        while let Ok(events) = self.events.try_recv() {
            lost += u64::from(matches!(events.change, ConnectionChange::Lost));
        }
        lost
    }
}

struct IdleConnection {
    server: Server,
    token: String,
    /// From where it goes on, if it catches up.
    cursor: Option<String>,
    /// Messages that it is still to send, and to whom.
    to_send: usize,
    next: UserId,
    wave: watch::Receiver<Wave>,
    report: mpsc::UnboundedSender<ConnectionEvent>,
}

impl IdleConnection {
    async fn live(mut self) {
        loop {
            let wave = self.wave.borrow_and_update().clone();
            let pause = wave.spread.mul_f64(rand::random());
            sleep_until(Instant::now() + pause).await;
            let Some(mut connection) = self.connect(&wave).await else {
                continue;
            };
            let mut next_wave = self.wave.clone();
            tokio::select! {
                _ = self.stay(&mut connection) => self.report(wave.number, ConnectionChange::Lost),
                changed = next_wave.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Tries until it works; none if there is another wave meanwhile.
    async fn connect(&mut self, wave: &Wave) -> Option<Connection> {
        loop {
            let permit = wave.handshakes.acquire().await;
            let begun = Instant::now();
            let opened = self.open().await;
            drop(permit);
            match opened {
                Ok(connection) => {
                    let at = Instant::now();
                    let took = at - begun;
                    self.report(wave.number, ConnectionChange::Connected { took, at });
                    return Some(connection);
                }
                Err(error) => self.report(wave.number, ConnectionChange::Failed(error.to_string())),
            }
            tokio::select! {
                () = sleep(RETRY_DELAY.mul_f64(0.5 + rand::random::<f64>())) => {}
                _ = self.wave.changed() => return None,
            }
        }
    }

    async fn open(&mut self) -> Result<Connection, ConnectError> {
        let Some(cursor) = &mut self.cursor else {
            return Connection::open(&self.server, &self.token, CONNECT_TIMEOUT).await;
        };
        let frame = wire::connect_since(&self.token, cursor);
        let mut connection = Connection::open_with(&self.server, frame, CONNECT_TIMEOUT).await?;
        *cursor = connection.caught_up().await?;
        Ok(connection)
    }

    /// Keeps the connection until it ends. Sends what the next one is to miss, once.
    async fn stay(&mut self, connection: &mut Connection) -> ConnectError {
        if self.to_send > 0 {
            sleep(SEND_DELAY).await;
            for _ in 0..std::mem::take(&mut self.to_send) {
                let frame = wire::send_message(None, self.next, None, |text| text.push_str("missed"));
                if let Err(error) = connection.feed(frame).await {
                    return error;
                }
            }
            if let Err(error) = connection.flush().await {
                return error;
            }
        }
        connection.idle().await
    }

    fn report(&self, wave: u32, change: ConnectionChange) {
        // Nobody listens any more at the end.
        let _ = self.report.send(ConnectionEvent { wave, change });
    }
}
