//! From a configuration to a running server, and to its orderly end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use shared::presence::Typing;
use shared::{Conversation, events};
use socketioxide::SocketIo;
use socketioxide::extract::{SocketRef, TryData};
use socketioxide::handler::ConnectHandler;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::auth::{Verifier, secret};
use crate::chat::{Committer, Directory, Horizon, Mint, Receipts, Watch, now};
use crate::config::{Config, Secret};
use crate::http::store_check::StoreCheck;
use crate::net::{connection::EndReason, listener, registry::Registry};
use crate::socket::connect::{self, ConnectRefused, Handshake, STORE_PATIENCE};
use crate::socket::foreign;
use crate::socket::outlet::Outlet;
use crate::socket::resume::Resume;
use crate::store::{self, Store, StoreError};
use crate::{net, router, socket::request::Reply};

/// Packets that may wait for one client. A commit can answer a whole batch of one sender at once.
const CLIENT_BUFFER: usize = 4_096;

/// Largest transport message, in bytes: twice the largest event, so that one that is too large is answered rather
/// than cut off.
const TRANSPORT_BYTES: usize = 2 * shared::limits::EVENT_BYTES;

/// Bytes that each WebSocket reads at once, and holds all the time: most events are smaller, larger ones take a few
/// reads more.
const WS_READ_BUFFER: usize = 512;

/// How long what is in flight may take to end when the server stops; the parts of a stop stay below 10 s in all.
const GRACE: Duration = Duration::from_secs(3);

/// Why a server could not start, or ended badly.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no secret to check tokens with.
    #[error("the secret could not be read or created: {0}")]
    Secret(io::Error),
    /// The configured store could not be opened.
    #[error("{store} can't be used: {cause}")]
    Open {
        /// Which one, and the setting that named it.
        store: &'static str,
        /// Why not.
        cause: StoreError,
    },
    /// The store failed at the start or at the end.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The address could not be listened on.
    #[error("can't listen on {address}: {cause}")]
    Listen {
        /// The host and port that were configured.
        address: String,
        /// Why not.
        cause: io::Error,
    },
}

/// Runs a server until `stop` is cancelled, also while it starts. `started` is told the port once connections are accepted.
pub async fn run(config: Config, stop: CancellationToken, started: impl FnOnce(u16)) -> Result<(), RunError> {
    let Some(secret) = unless_stopped(&stop, load_secret(&config)).await? else {
        return Ok(());
    };
    if config.legacy_open_history {
        tracing::warn!("LEGACY_OPEN_HISTORY is on: anyone can read every conversation without a token");
    }
    listener::raise_file_limit(config.max_connections);
    let address = format!("{}:{}", config.host, config.port);
    let listen_error = |cause| RunError::Listen {
        address: address.clone(),
        cause,
    };
    let listener = listener::listen((config.host, config.port).into()).map_err(listen_error)?;
    let port = listener.local_addr().map_err(listen_error)?.port();
    let Some(store) = unless_stopped(&stop, open_store(&config)).await? else {
        return Ok(());
    };

    let (sockets, io) = SocketIo::builder()
        .max_buffer_size(CLIENT_BUFFER)
        .max_payload(TRANSPORT_BYTES as u64)
        .ws_max_message_size(TRANSPORT_BYTES)
        .ws_max_frame_size(TRANSPORT_BYTES)
        .ws_read_buffer_size(WS_READ_BUFFER)
        .connect_timeout(STORE_PATIENCE - Duration::from_secs(2))
        .upgrade_timeout(Duration::from_secs(5))
        .build_layer();
    let app = assemble(config, &secret, store, &io);
    serve_sockets(&io, &app);
    let keepers = keep(&app);
    let origins = Arc::new(app.config.cors_origins.clone());
    let routes = router::routes(Arc::clone(&app), sockets, &origins);
    let limit = app.config.max_connections as usize;
    let serving = listener::serve(
        listener,
        routes,
        Arc::clone(&app.registry),
        limit,
        app.stopping.clone(),
        GRACE,
    );
    let server = tokio::spawn(serving);
    started(port);

    stop.cancelled().await;
    tracing::info!("stopping");
    app.stopping.cancel();
    if tokio::time::timeout(GRACE, app.committer.stop()).await.is_err() {
        tracing::warn!("some messages were still waiting for the store; their senders were not answered");
    }
    // Ends the transports, not the namespaces: so that clients come back by themselves.
    if tokio::time::timeout(GRACE, io.close()).await.is_err() {
        tracing::warn!("some connections did not end in time and were cut off");
    }
    for task in keepers.into_iter().chain([server]) {
        if let Err(error) = task.await {
            tracing::error!(%error, "a task of the server failed");
        }
    }
    app.store.close(now()).await?;
    Ok(())
}

/// A step of the start; nothing if the server is to stop before it is done: then nobody waits for a database that
/// does not answer, or for a file that can't be read.
async fn unless_stopped<T>(
    stop: &CancellationToken,
    step: impl Future<Output = Result<T, RunError>>,
) -> Result<Option<T>, RunError> {
    stop.run_until_cancelled(step).await.transpose()
}

async fn load_secret(config: &Config) -> Result<Secret, RunError> {
    let config = config.clone();
    let loaded = tokio::task::spawn_blocking(move || secret::load(&config)).await;
    loaded
        .unwrap_or_else(|panic| Err(panic.into()))
        .map_err(RunError::Secret)
}

async fn open_store(config: &Config) -> Result<Arc<dyn Store>, RunError> {
    let store = store::open::open(config).await?;
    if let Err(error) = store.heartbeat(now()).await {
        store.close(now()).await?;
        return Err(error.into());
    }
    Ok(store)
}

/// The parts of a server, wired together.
fn assemble(config: Config, secret: &Secret, store: Arc<dyn Store>, io: &SocketIo) -> Arc<App> {
    let directory = Arc::new(Directory::new(config.max_connections_per_user as usize));
    let horizon = Horizon::new(Arc::clone(&store));
    let outlet = Outlet {
        io: io.clone(),
        directory: Arc::clone(&directory),
        horizon: Arc::clone(&horizon),
        updates: Arc::default(),
    };
    let (committed, marked) = (outlet.clone(), outlet.clone());
    let queue = config.max_queued_messages as usize;
    Arc::new(App {
        verifier: Verifier::new(secret),
        committer: Committer::<Reply>::start(Arc::clone(&store), &horizon, queue, move |done| committed.settle(done)),
        receipts: Receipts::start(Arc::clone(&store), Arc::clone(&horizon), move |done| {
            marked.marked(done)
        }),
        watch: Arc::new(Watch::new(Arc::clone(&store), Arc::clone(&directory))),
        presence: Arc::default(),
        typists: Arc::default(),
        mint: Mint::new(),
        stopping: CancellationToken::new(),
        store_check: StoreCheck::default(),
        reads: Arc::default(),
        horizon,
        outlet,
        store,
        directory,
        registry: Registry::new(),
        config,
    })
}

/// Starts what goes on beside the requests, each until the server stops.
fn keep(app: &Arc<App>) -> [JoinHandle<()>; 7] {
    let (store, stop) = (|| Arc::clone(&app.store), || app.stopping.clone());
    let outlet = || app.outlet.clone();
    let (updated, present, expired, heard) = (outlet(), outlet(), outlet(), outlet());
    let hearing = outlet();
    let hears = move |user| hearing.hearing(user);
    let typed = move |typist, receiver| {
        let typing = Typing {
            user_id: typist,
            is_typing: false,
        };
        expired.tell_plainly(receiver, events::TYPING, &typing);
    };
    let told = move |user, conversation: &Conversation| updated.updated(user, conversation);
    [
        tokio::spawn(Arc::clone(&app.presence).keep(store(), stop())),
        tokio::spawn(Arc::clone(&app.reads).keep(store(), stop())),
        tokio::spawn(Arc::clone(&app.outlet.updates).keep(store(), stop(), hears, told)),
        tokio::spawn(Arc::clone(&app.watch).keep(stop(), move |follower, state| present.present(follower, state))),
        tokio::spawn(Arc::clone(&app.typists).keep(stop(), typed)),
        tokio::spawn(foreign::hear(store(), stop(), heard)),
        tokio::spawn(Arc::clone(&app.registry).look_after(stop())),
    ]
}

/// The one namespace. All is done in the middleware; the connect handler only sends what was missed.
fn serve_sockets(io: &SocketIo, app: &Arc<App>) {
    let app = Arc::clone(app);
    let admit =
        move |socket: SocketRef, handshake: TryData<Handshake>| connect::connect(Arc::clone(&app), socket, handshake);
    let connected = async |socket: SocketRef| {
        if let Some(resume) = socket.extensions.remove::<Resume>() {
            resume.run(socket).await;
        }
    };
    io.ns("/", connected.with(admit));
    // The library would answer every other one with its name, however long, whether or not the client reads.
    let names = io.clone();
    let refuse = move |socket: SocketRef| {
        net::link::end(&socket, EndReason::Namespace);
        names.delete_ns(socket.ns());
        std::future::ready(Err(ConnectRefused::Namespace))
    };
    let never = async |_: SocketRef| {};
    if let Err(error) = io.dyn_ns("/{*name}", never.with(refuse)) {
        tracing::error!(%error, "other namespaces can't be refused");
    }
}
