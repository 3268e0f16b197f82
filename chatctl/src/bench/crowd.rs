//! Connections that are only there: they answer pings, come back when they are lost, and drop all at once when told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::connection::{Connection, Server};
use super::fleet::Fleet;
use super::interrupt::Interrupt;
use super::stats::Latencies;
use super::users::BenchUser;

/// How long one attempt may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// A failed attempt is repeated after half to one and a half of this, as stock clients do at first.
const PAUSE: Duration = Duration::from_secs(1);

/// The connections, each a task on the fleet's threads.
#[derive(Debug)]
pub(crate) struct Crowd {
    server: Server,
    wave: watch::Sender<Wave>,
    news: mpsc::UnboundedReceiver<News>,
    tell: mpsc::UnboundedSender<News>,
    size: usize,
    present: usize,
}

/// One time of all connecting.
#[derive(Debug, Clone)]
struct Wave {
    number: u32,
    spread: Duration,
    /// As many handshakes at a time as it has permits.
    gate: Arc<Semaphore>,
}

/// What happened to one connection, in which wave.
#[derive(Debug)]
struct News {
    wave: u32,
    what: What,
}

#[derive(Debug)]
enum What {
    Connected { took: Duration, at: Instant },
    Failed(String),
    Lost,
}

/// How the crowd came together.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    /// How many are connected.
    pub(crate) connected: usize,
    /// Time until the last of them was.
    pub(crate) took: Duration,
    /// The time of each handshake, from the TCP connection to the accepted token.
    pub(crate) handshake: Latencies,
    /// The time of each from the beginning of all until it was connected.
    pub(crate) since_begin: Latencies,
    /// Attempts that failed and connections that were lost, by reason.
    pub(crate) failures: BTreeMap<String, u64>,
    /// Whether all are there.
    pub(crate) complete: bool,
}

impl Crowd {
    /// An empty crowd, of which so many connect at a time.
    pub(crate) fn new(server: &Server, concurrency: usize) -> Self {
        let (tell, news) = mpsc::unbounded_channel();
        let wave = Wave {
            number: 0,
            spread: Duration::ZERO,
            gate: Arc::new(Semaphore::new(concurrency)),
        };
        Self {
            server: server.clone(),
            wave: watch::Sender::new(wave),
            news,
            tell,
            size: 0,
            present: 0,
        }
    }

    /// Adds connections, which begin to connect at once.
    pub(crate) fn add(&mut self, fleet: &Fleet, users: &[BenchUser]) {
        for (number, user) in users.iter().enumerate() {
            let member = Member {
                server: self.server.clone(),
                token: user.token.clone(),
                wave: self.wave.subscribe(),
                tell: self.tell.clone(),
            };
            fleet.spawn(number, member.live());
        }
        self.size += users.len();
    }

    /// Drops all connections; each comes back by itself after a random time up to `spread`.
    pub(crate) fn scatter(&mut self, spread: Duration) {
        self.present = 0;
        let gate = Arc::new(Semaphore::new(self.size));
        self.wave.send_modify(|wave| {
            wave.number += 1;
            wave.spread = spread;
            wave.gate = gate;
        });
    }

    /// Waits until all are connected; gives up after a time or at an interrupt. `connected` hears how many are.
    pub(crate) async fn assemble(
        &mut self,
        begun: Instant,
        within: Duration,
        interrupt: &Interrupt,
        connected: impl Fn(usize),
    ) -> Assembly {
        let mut assembly = Assembly::default();
        let current = self.wave.borrow().number;
        while self.present < self.size {
            let news = tokio::select! {
                news = timeout_at(begun + within, self.news.recv()) => news,
                () = interrupt.reaches(1) => break,
            };
            let Ok(Some(News { wave, what })) = news else { break };
            match what {
                What::Connected { took, at } if wave == current => {
                    self.present += 1;
                    assembly.took = at.duration_since(begun);
                    assembly.handshake.record(took);
                    assembly.since_begin.record(assembly.took);
                    connected(self.present);
                }
                What::Lost if wave == current => {
                    self.present -= 1;
                    *assembly.failures.entry("connection lost".to_owned()).or_default() += 1;
                }
                What::Failed(reason) => *assembly.failures.entry(reason).or_default() += 1,
                What::Connected { .. } | What::Lost => {}
            }
        }
        assembly.connected = self.present;
        assembly.complete = self.present == self.size;
        assembly
    }

    /// How many connections were lost since the crowd came together.
    pub(crate) fn lost(&mut self) -> u64 {
        let mut lost = 0;
        while let Ok(news) = self.news.try_recv() {
            lost += u64::from(matches!(news.what, What::Lost));
        }
        lost
    }
}

struct Member {
    server: Server,
    token: String,
    wave: watch::Receiver<Wave>,
    tell: mpsc::UnboundedSender<News>,
}

impl Member {
    async fn live(mut self) {
        loop {
            let wave = self.wave.borrow_and_update().clone();
            let pause = wave.spread.mul_f64(rand::random());
            sleep_until(Instant::now() + pause).await;
            let Some(mut connection) = self.connect(&wave).await else {
                continue;
            };
            tokio::select! {
                _ = connection.idle() => self.tell(wave.number, What::Lost),
                changed = self.wave.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Tries until it works; none if there is another wave meanwhile.
    async fn connect(&mut self, wave: &Wave) -> Option<Connection> {
        loop {
            let permit = wave.gate.acquire().await;
            let begun = Instant::now();
            let opened = Connection::open(&self.server, &self.token, PATIENCE).await;
            drop(permit);
            match opened {
                Ok(connection) => {
                    let at = Instant::now();
                    let took = at - begun;
                    self.tell(wave.number, What::Connected { took, at });
                    return Some(connection);
                }
                Err(error) => self.tell(wave.number, What::Failed(error.to_string())),
            }
            tokio::select! {
                () = sleep(PAUSE.mul_f64(0.5 + rand::random::<f64>())) => {}
                _ = self.wave.changed() => return None,
            }
        }
    }

    fn tell(&self, wave: u32, what: What) {
        // Nobody listens any more at the end.
        let _ = self.tell.send(News { wave, what });
    }
}
