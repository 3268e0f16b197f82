//! Clients that spoil it for others: they flood, read nothing, or come with wrong tokens, as fast as the server lets them.
//!
//! What they cause is seen in what the honest ones measure; here it is only counted how often they did it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use serde::Serialize;
use shared::UserId;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::connection::{ConnectError, Connection};
use super::runtime_pool::RuntimePool;
use super::server::Server;
use super::users::BenchUser;
use super::wire::{self, Frame};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Requests that are sent at once, before it is looked what came back.
const BATCH: u32 = 64;
/// Time between two of these: so it sends many times as much as a server should take of one client. More would only cost the machine,
/// which the server may be on as well.
const BATCH_INTERVAL: Duration = Duration::from_millis(10);
/// How long a client that reads nothing goes on when it can't send any more.
const STALL: Duration = Duration::from_secs(10);
/// Time until a client that was ended comes back.
const RETURN_DELAY: Duration = Duration::from_millis(100);

/// The hostile clients of a load, until this is dropped. They have a thread of their own, so that they cost the server, and not those who
/// measure it.
#[derive(Debug)]
pub struct HostileClients {
    _thread: RuntimePool,
    counters: Arc<Counters>,
    clients: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Counters {
    floods: AtomicU64,
    refused: AtomicU64,
    stalled: AtomicU64,
    wrong_tokens: AtomicU64,
    ended: AtomicU64,
}

/// What hostile clients did.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HostileReport {
    /// How many there were.
    pub clients: usize,
    /// Messages that they sent without waiting.
    pub flooded: u64,
    /// Answers that refused one.
    pub refused: u64,
    /// Requests whose answers they did not read.
    pub unread: u64,
    /// Times that they came with a wrong token.
    pub wrong_tokens: u64,
    /// Connections of theirs that were refused or ended.
    pub ended: u64,
}

/// What a hostile client does.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Flood,
    Stall,
    WrongToken,
}

impl HostileClients {
    /// Starts one for each of these users: a third of each kind. Floods go to one of `victims` each.
    ///
    /// # Errors
    /// If there can be no thread.
    pub fn start(server: &Server, users: &[BenchUser], victims: &[BenchUser]) -> io::Result<Self> {
        let pool = RuntimePool::start(1)?;
        let counters: Arc<Counters> = Arc::default();
        let clients = users.iter().zip(victims.iter().cycle()).enumerate();
        let clients = clients.map(|(number, (user, victim))| {
            let kind = [Kind::Flood, Kind::WrongToken, Kind::Stall][number % 3];
            let (server, user, victim, counters) = (server.clone(), user.clone(), victim.id, Arc::clone(&counters));
            pool.spawn(number, async move {
                loop {
                    // All end badly.
                    let _ = kind.run(&server, &user, victim, &counters).await;
                    counters.ended.fetch_add(1, Ordering::Relaxed);
                    sleep(RETURN_DELAY).await;
                }
            })
        });
        Ok(Self {
            clients: clients.collect(),
            counters,
            _thread: pool,
        })
    }

    /// What they did so far.
    pub fn report(&self) -> HostileReport {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        HostileReport {
            clients: self.clients.len(),
            flooded: of(&self.counters.floods),
            refused: of(&self.counters.refused),
            unread: of(&self.counters.stalled),
            wrong_tokens: of(&self.counters.wrong_tokens),
            ended: of(&self.counters.ended),
        }
    }
}

impl Drop for HostileClients {
    fn drop(&mut self) {
        self.clients.iter().for_each(JoinHandle::abort);
    }
}

impl Kind {
    async fn run(
        self,
        server: &Server,
        user: &BenchUser,
        victim: UserId,
        counters: &Counters,
    ) -> Result<(), ConnectError> {
        match self {
            Self::Flood => flood(server, user, victim, counters).await,
            Self::Stall => stall(server, user, counters).await,
            Self::WrongToken => {
                counters.wrong_tokens.fetch_add(1, Ordering::Relaxed);
                let mut token = user.token.clone();
                token.truncate(token.len().saturating_sub(4));
                token.push_str("AAAA");
                Connection::open(server, &token, CONNECT_TIMEOUT).await.map(drop)
            }
        }
    }
}

/// Sends without waiting for answers.
async fn flood(server: &Server, user: &BenchUser, victim: UserId, counters: &Counters) -> Result<(), ConnectError> {
    let mut connection = Connection::open(server, &user.token, CONNECT_TIMEOUT).await?;
    for number in 0_u32.. {
        connection
            .feed(wire::send_message(Some(number), victim, None, |text| {
                text.push_str("flood")
            }))
            .await?;
        counters.floods.fetch_add(1, Ordering::Relaxed);
        if number.is_multiple_of(BATCH) {
            connection.flush().await?;
            while let Some(frame) = connection.next().now_or_never() {
                let frame = frame?;
                match Frame::of(&frame) {
                    Frame::Answer(_, body) if wire::is_error(body) => {
                        counters.refused.fetch_add(1, Ordering::Relaxed);
                    }
                    Frame::Ping => connection.send(wire::PONG).await?,
                    Frame::Disconnected => return Err(ConnectError::Closed),
                    _ => {}
                }
            }
            sleep(BATCH_INTERVAL).await;
        }
    }
    Ok(())
}

/// Asks for pages and reads none.
async fn stall(server: &Server, user: &BenchUser, counters: &Counters) -> Result<(), ConnectError> {
    let mut connection = Connection::open(server, &user.token, CONNECT_TIMEOUT).await?;
    for number in 0_u32.. {
        let ask = format!(r#"42{number}["conversations",{{"limit":200}}]"#);
        connection.feed(ask).await?;
        counters.stalled.fetch_add(1, Ordering::Relaxed);
        if number.is_multiple_of(BATCH) {
            let sent = timeout(STALL, connection.flush()).await;
            sent.unwrap_or(Err(ConnectError::Timeout))?;
            sleep(BATCH_INTERVAL).await;
        }
    }
    Ok(())
}
