//! Accepting connections, with the limits in time and number that `axum::serve` does not set.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures_util::future::join_all;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::bind::Listener;
use super::client_address::ClientAddress;
use super::connection::{Came, CloseHandle, Connection};
use super::handshake;
use super::intake::HEADER_BYTES;
use super::places::{Place, Places};
use super::proxy_protocol;
use super::registry::Registry;
use super::socket::{Socket, shown};
use super::stream::Stream;
use crate::rates::addresses::OpenConnection;

/// How long a client may take to send the head of a request on one of them.
const RESERVED_HEADER_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a client may take to send the head of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);

/// Time before `accept` is tried again after it failed: the process has no more file descriptors then.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// Connections that are held at a time where administration is served: they have places of their own, so that an administrator
/// gets in however many others are there.
const ADMIN_CONNECTIONS: usize = 64;

/// File descriptors that the process needs beside its connections: for the store, the log, the runtime.
const RESERVED_FILES: u64 = 200;

/// Raises the limit of open files as far as the system allows. Many systems begin with 1,024.
pub fn raise_file_limit(connections: u32) {
    let wanted = u64::from(connections) + RESERVED_FILES;
    match rlimit::increase_nofile_limit(wanted) {
        Ok(files) if files < wanted => {
            tracing::warn!(
                files,
                wanted,
                "the limit of open files is below what MAX_CONNECTIONS needs (ulimit -n)"
            );
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the limit of open files could not be raised"),
    }
}

/// A way in.
pub struct Entrance {
    /// Where.
    pub listener: Listener,
    /// What it takes to speak TLS there, if that is spoken.
    pub tls: Option<Arc<ServerConfig>>,
    /// Whether it is the one for administration.
    pub is_for_administration: bool,
}

/// What all connections of a server share.
struct Serving {
    router: Router,
    registry: Arc<Registry>,
    connections: TaskTracker,
    /// Begins the end of all connections.
    stop: CancellationToken,
    /// Ends those that go on.
    cut: CancellationToken,
}

/// Serves connections until `stop` is cancelled, then lets the ones in progress end, for at most `grace`. `limit` are
/// held at a time, and some more that only probes can use; and some for administration.
pub async fn serve(
    entrances: Vec<Entrance>,
    router: Router,
    registry: Arc<Registry>,
    limit: usize,
    stop: CancellationToken,
    grace: Duration,
) {
    let (places, for_administration) = (Places::new(limit), Places::new(ADMIN_CONNECTIONS));
    let serving = Serving {
        router,
        registry,
        connections: TaskTracker::new(),
        stop,
        cut: CancellationToken::new(),
    };
    let taking = entrances.into_iter().map(|entrance| {
        let places = match entrance.is_for_administration {
            true => &for_administration,
            false => &places,
        };
        take(entrance, places, &serving)
    });
    join_all(taking).await;
    let Serving { connections, cut, .. } = serving;
    connections.close();
    if tokio::time::timeout(grace, connections.wait()).await.is_err() {
        tracing::warn!("some HTTP requests did not end in time and were cut off");
        cut.cancel();
        connections.wait().await;
    }
}

/// Takes the connections of one way in, until the stop begins.
async fn take(entrance: Entrance, places: &Places, serving: &Serving) {
    let mut failing = false;
    loop {
        let accepted = tokio::select! {
            () = serving.stop.cancelled() => break,
            accepted = entrance.listener.accept() => accepted,
        };
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, "connections can't be accepted");
                }
                tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
                continue;
            }
        };
        failing = false;
        let registry = &serving.registry;
        // A trusted proxy has many clients; each is counted by itself, as soon as it is known. Administration has places of its own.
        let client = match entrance.is_for_administration || registry.proxies.trust(peer) {
            true => ClientAddress::of_proxy(peer),
            false => ClientAddress::new(peer, registry),
        };
        let Ok(open) = client.connect(registry) else {
            registry.count_refused_address();
            continue;
        };
        let Some(place) = places.acquire() else {
            registry.count_refused_connection();
            continue;
        };
        if let Err(error) = socket.tune() {
            let peer = shown(peer);
            tracing::debug!(peer, %error, "a connection was gone before it could be served");
            continue;
        }
        let came = Came {
            peer,
            is_for_administration: entrance.is_for_administration,
        };
        let accepted = Accepted {
            socket,
            came,
            client,
            open,
            place,
        };
        serving.begin(accepted, entrance.tls.clone());
    }
}

impl Serving {
    /// Serves a connection in a task of its own.
    fn begin(&self, accepted: Accepted, tls: Option<Arc<ServerConfig>>) {
        let (router, registry) = (self.router.clone(), Arc::clone(&self.registry));
        let (stop, cut) = (self.stop.clone(), self.cut.clone());
        self.connections.spawn(async move {
            let begun = stop.run_until_cancelled(begin(accepted, tls, &registry)).await;
            if let Some(Some((connection, stream))) = begun {
                speak(connection, stream, router, stop, cut).await;
            }
        });
    }
}

/// Speaks HTTP over a connection, until either side ends it.
async fn speak(
    connection: Arc<Connection>,
    stream: Stream,
    router: Router,
    stop: CancellationToken,
    cut: CancellationToken,
) {
    let (reserved, peer) = (connection.is_reserved(), connection.client().to_string());
    let handle = CloseHandle::new(&connection);
    drop(connection);
    let service = router.map_request(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(handle.clone());
        request
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(if reserved {
            RESERVED_HEADER_TIMEOUT
        } else {
            HEADER_TIMEOUT
        })
        .keep_alive(!reserved)
        .max_buf_size(HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let Some(ended) = cut.run_until_cancelled(connection).await else {
                return;
            };
            ended
        }
    };
    if let Err(error) = ended {
        tracing::debug!(peer, %error, "a connection ended badly");
    }
}

/// A connection that was accepted.
struct Accepted {
    socket: Socket,
    came: Came,
    client: ClientAddress,
    open: Option<OpenConnection>,
    place: Place,
}

impl Accepted {
    /// The same, as the proxy says that it comes from; `None` if that is not said, or not allowed.
    async fn proxied(mut self, registry: &Registry) -> Option<Self> {
        match proxy_protocol::take(&mut self.socket).await {
            Ok(Some(client)) if !registry.proxies.trust(client) => self.client = ClientAddress::new(client, registry),
            // A proxy before this one, whose requests say who their client is; or the proxy itself.
            Ok(Some(proxy)) => self.client = ClientAddress::of_proxy(proxy),
            Ok(None) => {}
            Err(error) => {
                registry.count_proxy_header();
                tracing::debug!(proxy = %self.client, %error, "a connection does not begin with a PROXY header");
                return None;
            }
        }
        match self.client.connect(registry) {
            Ok(open) => Some(Self { open, ..self }),
            Err(_) => {
                registry.count_refused_address();
                None
            }
        }
    }
}

/// What comes before HTTP: the word of a proxy, and TLS. Nothing if that does not come, or not in time.
async fn begin(
    mut accepted: Accepted,
    tls: Option<Arc<ServerConfig>>,
    registry: &Arc<Registry>,
) -> Option<(Arc<Connection>, Stream)> {
    if !accepted.came.is_for_administration && registry.proxies.speak_first(accepted.came.peer) {
        accepted = accepted.proxied(registry).await?;
    }
    let connection = Connection::new(
        accepted.socket,
        accepted.came,
        accepted.client,
        accepted.open,
        accepted.place,
        registry,
    );
    let stream = match tls {
        None => Stream::new(Arc::clone(&connection)),
        Some(config) => handshake::accept(Arc::clone(&connection), config).await?,
    };
    Some((connection, stream))
}
