//! Accepting connections, with the limits in time and number that `axum::serve` does not set.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::client_address::ClientAddress;
use super::connection::{CloseHandle, Connection};
use super::intake::HEADER_BYTES;
use super::places::{Place, Places};
use super::proxy_protocol;
use super::registry::Registry;
use super::stream::Stream;
use crate::rates::addresses::OpenConnection;

/// How long a client may take to send the head of a request on one of them.
const RESERVED_HEADER_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a client may take to send the head of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);

/// How long sent data may stay unacknowledged before the kernel ends the connection: a reader that has stalled would
/// otherwise hold its writer for ever. As long as a Socket.IO ping and its answer may take.
const STALL_TIMEOUT: Duration = Duration::from_secs(45);

/// Bytes that the kernel takes beyond what is on its way to the client: what waits longer waits here, where it is charged.
const UNSENT_BYTES: u32 = 128 << 10;

/// Time before `accept` is tried again after it failed: the process has no more file descriptors then.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

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

/// Serves connections until `stop` is cancelled, then lets the ones in progress end, for at most `grace`. `limit` are
/// held at a time, and some more that only probes can use.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    registry: Arc<Registry>,
    limit: usize,
    stop: CancellationToken,
    grace: Duration,
) {
    let places = Places::new(limit);
    let connections = TaskTracker::new();
    let cut = CancellationToken::new();
    let mut failing = false;
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (tcp, peer) = match accepted {
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
        // A trusted proxy has many clients; each is counted by itself, as soon as it is known.
        let peer_address = match registry.proxies.trust(peer.ip()) {
            true => ClientAddress::of_proxy(peer.ip()),
            false => ClientAddress::new(peer.ip(), &registry),
        };
        let Ok(open) = peer_address.connect(&registry) else {
            registry.count_refused_address();
            continue;
        };
        let Some(place) = places.acquire() else {
            registry.count_refused_connection();
            continue;
        };
        if let Err(error) = tune(&tcp) {
            tracing::debug!(%peer, %error, "a connection was gone before it could be served");
            continue;
        }
        let accepted = Accepted {
            tcp,
            client: peer_address,
            open,
            place,
        };
        let (router, registry, stop, cut) = (router.clone(), Arc::clone(&registry), stop.clone(), cut.clone());
        connections.spawn(async move {
            let speaks_first = registry.proxies.speak_first(peer.ip());
            let accepted = match speaks_first {
                true => match stop.run_until_cancelled(accepted.proxied(&registry)).await {
                    Some(Some(accepted)) => accepted,
                    _ => return,
                },
                false => accepted,
            };
            accepted.serve(router, &registry, stop, cut).await;
        });
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(grace, connections.wait()).await.is_err() {
        tracing::warn!("some HTTP requests did not end in time and were cut off");
        cut.cancel();
        connections.wait().await;
    }
}

/// A connection that was accepted.
struct Accepted {
    tcp: TcpStream,
    client: ClientAddress,
    open: Option<OpenConnection>,
    place: Place,
}

impl Accepted {
    /// The same, as the proxy says that it comes from; `None` if that is not said, or not allowed.
    async fn proxied(mut self, registry: &Registry) -> Option<Self> {
        match proxy_protocol::take(&mut self.tcp).await {
            Ok(Some(client)) if !registry.proxies.trust(client) => self.client = ClientAddress::new(client, registry),
            // A proxy before this one, whose requests say who their client is; or the proxy itself.
            Ok(Some(proxy)) => self.client = ClientAddress::of_proxy(proxy),
            Ok(None) => {}
            Err(error) => {
                registry.count_proxy_header();
                tracing::debug!(proxy = %self.client.address, %error, "a connection does not begin with a PROXY header");
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

    /// Serves it until it ends.
    async fn serve(self, router: Router, registry: &Arc<Registry>, stop: CancellationToken, cut: CancellationToken) {
        let peer = self.client.address;
        let reserved = self.place.is_reserved();
        let connection = Connection::new(self.tcp, self.client, self.open, self.place, registry);
        let handle = CloseHandle::new(&connection);
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
            .serve_connection(TokioIo::new(Stream::new(connection)), TowerToHyperService::new(service))
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
            tracing::debug!(%peer, %error, "a connection ended badly");
        }
    }
}

fn tune(tcp: &TcpStream) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let socket = SockRef::from(tcp);
    socket.set_tcp_user_timeout(Some(STALL_TIMEOUT))?;
    socket.set_tcp_notsent_lowat(UNSENT_BYTES)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(STALL_TIMEOUT))
}
