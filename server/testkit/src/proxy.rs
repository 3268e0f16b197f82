//! A TCP proxy that is a bad network: what it does to the bytes between clients and a server is switched while it runs.
//!
//! It knows nothing of what is said through it. Everything is on loopback, and ends when the proxy is dropped.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// Bytes that are read, and delayed, at once.
const PIECE: usize = 16 * 1024;

/// What the network does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Bytes pass at once.
    Pass,
    /// Each piece is late by `fixed` and by up to `jitter` more. None overtakes another.
    Delay {
        /// The least delay.
        fixed: Duration,
        /// The most that comes on top, chosen anew for each piece.
        jitter: Duration,
    },
    /// Every connection is reset, the open ones and those that are tried.
    Reset,
    /// What is sent in this direction vanishes, ends of connections included, and nobody is told: half-open, as behind
    /// a router that forgot the connection. One that lost something stays so until it is [`cut`](Proxy::cut), whatever
    /// the network does later.
    Swallow(Direction),
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From clients to the server.
    ToServer,
    /// From the server to clients.
    ToClient,
    /// Either.
    Both,
}

impl Direction {
    fn includes(self, other: Self) -> bool {
        self == Self::Both || self == other
    }
}

/// A network between clients and one server. Dropping it resets all connections.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    state: watch::Sender<State>,
    counts: Arc<Counts>,
    /// Taken out to end it without waiting.
    runtime: Option<Runtime>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    link: Link,
    /// Grows with each cut; a connection that began before the last one is reset.
    cuts: u64,
}

#[derive(Debug, Default)]
struct Counts {
    attempts: AtomicU64,
    swallowed: AtomicU64,
}

impl Proxy {
    /// A network that passes everything on to this loopback port.
    pub fn to(server: u16) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime can be started");
        let listener = runtime
            .block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
            .expect("a loopback port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let first = State {
            link: Link::Pass,
            cuts: 0,
        };
        let (state, states) = watch::channel(first);
        let counts = Arc::new(Counts::default());
        runtime.spawn(accept(listener, server, states, Arc::clone(&counts)));
        Self {
            port,
            state,
            counts,
            runtime: Some(runtime),
        }
    }

    /// `http://127.0.0.1:<port>`, to be used in place of the server's.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The loopback port to be used in place of the server's.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Makes the network like this from now on.
    pub fn set(&self, link: Link) {
        self.state.send_modify(|state| state.link = link);
    }

    /// Lets everything pass again. Connections that lost something stay as they are.
    pub fn heal(&self) {
        self.set(Link::Pass);
    }

    /// Resets the connections that are open now; new ones are treated as before.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }

    /// How many connections were tried so far, refused ones included.
    pub fn attempts(&self) -> u64 {
        self.counts.attempts.load(Ordering::Relaxed)
    }

    /// How many bytes were swallowed so far.
    pub fn swallowed(&self) -> u64 {
        self.counts.swallowed.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(listener: TcpListener, server: u16, states: watch::Receiver<State>, counts: Arc<Counts>) {
    loop {
        // A client that was gone before it was accepted is no reason to stop.
        let Ok((client, _)) = listener.accept().await else {
            continue;
        };
        counts.attempts.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(connection(client, server, states.clone(), Arc::clone(&counts)));
    }
}

/// One connection, until both ends have ended it or the network resets it.
async fn connection(mut client: TcpStream, port: u16, states: watch::Receiver<State>, counts: Arc<Counts>) {
    let born = states.borrow().cuts;
    let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else {
        reset(&client);
        return;
    };
    // Otherwise the proxy would delay by itself. A connection that has ended meanwhile shows it below.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
    let mut watched = states.clone();
    let broken = tokio::select! {
        broken = watched.wait_for(|state| state.link == Link::Reset || state.cuts != born) => broken.is_ok(),
        ended = async {
            tokio::try_join!(
                pump(from_client, to_server, Direction::ToServer, &states, &counts),
                pump(from_server, to_client, Direction::ToClient, &states, &counts),
            )
        } => ended.is_err(),
    };
    if broken {
        reset(&client);
        reset(&server);
    }
}

/// Makes the connection end with a reset when it is dropped. One that has ended already needs none.
fn reset(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}

/// Moves bytes one way until they end; an error says that an end broke the connection.
async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    direction: Direction,
    states: &watch::Receiver<State>,
    counts: &Counts,
) -> std::io::Result<()> {
    let mut piece = vec![0; PIECE];
    let mut lost = false;
    loop {
        let bytes = from.read(&mut piece).await;
        let link = states.borrow().link;
        lost |= matches!(link, Link::Swallow(swallowed) if swallowed.includes(direction));
        match bytes {
            // The other end is never told, also not of a reset.
            Ok(0) | Err(_) if lost => std::future::pending().await,
            Ok(0) => return to.shutdown().await,
            Ok(bytes) if lost => {
                counts.swallowed.fetch_add(bytes as u64, Ordering::Relaxed);
            }
            Ok(bytes) => {
                if let Link::Delay { fixed, jitter } = link {
                    tokio::time::sleep(fixed + jitter.mul_f64(rand::random())).await;
                }
                to.write_all(&piece[..bytes]).await?;
            }
            Err(error) => return Err(error),
        }
    }
}
