//! From a configuration to a running server, and to its orderly end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use shared::presence::Typing;
use shared::{Conversation, events};
use socketioxide::extract::{SocketRef, TryData};
use socketioxide::handler::ConnectHandler;
use socketioxide::{ParserConfig, SocketIo};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::auth::Verifier;
use crate::auth::secret::{self, SecretError};
use crate::chat::{Backlog, Committer, Limits, MessageIdGenerator, Receipts, SettingsChanges};
use crate::clock::now;
use crate::config::{Config, Secret};
use crate::delivery::Dispatcher;
use crate::delivery::remote_changes::Hearer;
use crate::delivery::{ConnectionRegistry, DeliveryWatermark, PresenceSubscriptions, heartbeat};
use crate::storage::open::{OpenError, Opened};
use crate::storage::{self, Store, StoreError};
use crate::supervisor::{self, Supervisor};
use crate::transport::http::{client::ClientFiles, store_check::StoreCheck};
use crate::transport::socketio::connect::{self, ConnectRefused, STORE_PATIENCE};
use crate::transport::socketio::emit::Connecting;
use crate::transport::socketio::handshake::Handshake;
use crate::transport::socketio::request::Reply;
use crate::transport::socketio::resume::Resume;
use crate::transport::tcp::bind::{self, BindError};
use crate::transport::tcp::{
    connection::EndReason, engine::POLL_BYTES, link::Link, listener, origins::OriginCheck, registry::Registry, unserved,
};
use crate::{routes, stop};

/// Packets that may wait for one client. A commit can answer a whole batch of one sender at once.
const CLIENT_BUFFER: usize = 4_096;

/// Largest transport message, and all attachments of an event, in bytes, as the stock server has it: an event that is
/// too large is answered rather than cut off. What is not complete, and what the library keeps for the next
/// one, is charged (`net::intake`).
const TRANSPORT_BYTES: usize = 1 << 20;

/// Most binary attachments of an event, which has no use for any. Together they are bounded like a transport message: they
/// are held until the last one has come.
const ATTACHMENTS: usize = 64;

/// Longest name of a namespace that is repeated where it is refused.
const NAMESPACE_BYTES: usize = 128;

/// Bytes that each WebSocket reads at once, and holds all the time: most events are smaller, larger ones take a few
/// reads more.
const WS_READ_BUFFER: usize = 512;

/// Why a server could not start, or ended badly.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A setting is wrong, and was found to be before anything was begun.
    #[error("{name} is wrong: {why}")]
    Setting {
        /// The variable.
        name: &'static str,
        /// What is wrong, and what is allowed.
        why: String,
    },
    /// There is no secret to check tokens with.
    #[error("{0}")]
    Secret(SecretError),
    /// The configured store could not be opened.
    #[error("{store} can't be used: {cause}")]
    Open {
        /// Which one, and the setting that named it.
        store: &'static str,
        /// Why not.
        cause: StoreError,
    },
    /// A part of the server failed, and the rest was stopped.
    #[error("a part of the server failed: {0}")]
    Part(&'static str),
    /// The store failed at the start.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The address could not be listened on.
    #[error(transparent)]
    Listen(BindError),
}

impl From<OpenError> for RunError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Setting { name, why } => Self::Setting { name, why },
            OpenError::Store { store, cause } => Self::Open { store, cause },
        }
    }
}

impl From<BindError> for RunError {
    fn from(error: BindError) -> Self {
        match error {
            BindError::Host(why) => Self::Setting { name: "HOST", why },
            BindError::Port(why) => Self::Setting { name: "PORT", why },
            other => Self::Listen(other),
        }
    }
}

/// A server that takes connections.
pub struct Started {
    /// Where.
    pub address: SocketAddr,
    /// The database and its hosts, for people; nothing if it is embedded.
    pub database: Option<String>,
}

/// Runs a server until `stop` is cancelled, also while it starts. `started` is told of it once connections are accepted.
pub async fn run(config: Config, stop: CancellationToken, started: impl FnOnce(&Started)) -> Result<(), RunError> {
    storage::open::check(&config).await?;
    run_with(config, stop, storage::open::open, started).await
}

/// [`run`] with the store that `open` opens, whatever the configuration names.
pub async fn run_with(
    config: Config,
    stop: CancellationToken,
    open: impl AsyncFnOnce(&Config, &Supervisor) -> Result<Opened, OpenError>,
    started: impl FnOnce(&Started),
) -> Result<(), RunError> {
    let client_files = load_client(&config).await?;
    let Some(secret) = unless_stopped(&stop, load_secret(&config)).await? else {
        return Ok(());
    };
    if config.legacy_open_history {
        tracing::warn!("LEGACY_OPEN_HISTORY is on: anyone can read every conversation without a token");
    }
    listener::raise_file_limit(config.max_connections);
    // An address that can't be had is said before the store is opened; but nobody gets through who could not be answered.
    let bound = bind::bind(&config.host, config.port).await?;
    let supervisor = Supervisor::default();
    let Some((store, message_ids, database)) = unless_stopped(&stop, open_store(open(&config, &supervisor))).await?
    else {
        return Ok(());
    };
    let (listener, address) = match bound.listen() {
        Ok(listening) => listening,
        Err(error) => {
            // Why it can't listen says more than how the store ended.
            let _ = store.close(now()).await;
            return Err(error.into());
        }
    };

    let attachments = ParserConfig::common()
        .max_incoming_binary_buf_size(TRANSPORT_BYTES)
        .max_incoming_binaries(ATTACHMENTS);
    let (sockets, io) = SocketIo::builder()
        .with_parser(attachments)
        .max_buffer_size(CLIENT_BUFFER)
        .max_payload(POLL_BYTES)
        .ws_max_message_size(TRANSPORT_BYTES)
        .ws_max_frame_size(TRANSPORT_BYTES)
        .ws_read_buffer_size(WS_READ_BUFFER)
        .connect_timeout(STORE_PATIENCE - Duration::from_secs(2))
        .upgrade_timeout(Duration::from_secs(5))
        .build_layer();
    let app = assemble(config, client_files, &secret, store, message_ids, &io, supervisor);
    serve_sockets(&io, &app);
    keep(&app);
    let origins = Arc::new(OriginCheck::new(app.config.cors_origins.clone()));
    let routes = routes::routes(Arc::clone(&app), sockets, &origins);
    let limit = app.config.max_connections as usize;
    let serving = listener::serve(
        listener,
        routes,
        Arc::clone(&app.registry),
        limit,
        app.stopping.clone(),
        stop::CONNECTIONS,
    );
    let serving = app.supervisor.child().spawn("listener", serving);
    tracing::info!(%address, database, "listening");
    started(&Started { address, database });

    tokio::select! {
        () = stop.cancelled() => {}
        () = app.stopping.cancelled() => {}
    }
    tracing::info!("stopping");
    let supervisor = app.supervisor.clone();
    stop::stop(app, &io, serving).await;
    match supervisor.failed() {
        Some(part) => Err(RunError::Part(part)),
        None => Ok(()),
    }
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
    let loaded = loaded.unwrap_or_else(|panic| Err(io::Error::from(panic).into()));
    loaded.map_err(|error| match error {
        SecretError::DataDir(..) => RunError::Setting {
            name: "DATA_DIR",
            why: error.to_string(),
        },
        error @ SecretError::File(_) => RunError::Secret(error),
    })
}

/// Reads the files of the client, if there are to be any.
async fn load_client(config: &Config) -> Result<ClientFiles, RunError> {
    let Some(folder) = config.client_dist.clone() else {
        return Ok(ClientFiles::default());
    };
    let read = tokio::task::spawn_blocking(move || ClientFiles::read(&folder)).await;
    let name = "CLIENT_DIST";
    read.unwrap_or_else(|panic| Err(panic.to_string()))
        .map_err(|why| RunError::Setting { name, why })
}

async fn open_store(
    opening: impl Future<Output = Result<Opened, OpenError>>,
) -> Result<(Arc<dyn Store>, MessageIdGenerator, Option<String>), RunError> {
    let Opened { store, database } = opening.await?;
    let begun = async {
        store.heartbeat(now()).await?;
        store.newest().await
    };
    match begun.await {
        Ok(newest) => Ok((store, MessageIdGenerator::new(Arc::new(now), newest), database)),
        Err(error) => {
            // Why it could not begin says more than how it ended.
            let _ = store.close(now()).await;
            Err(error.into())
        }
    }
}

/// The parts of a server, wired together.
fn assemble(
    config: Config,
    client_files: ClientFiles,
    secret: &Secret,
    store: Arc<dyn Store>,
    message_ids: MessageIdGenerator,
    io: &SocketIo,
    supervisor: Supervisor,
) -> Arc<App> {
    let directory = Arc::new(ConnectionRegistry::new(config.max_connections_per_user as usize));
    let registry = Registry::new();
    let delivery_watermark = DeliveryWatermark::new(store.clone());
    let dispatcher = Dispatcher {
        io: io.clone(),
        directory: Arc::clone(&directory),
        delivery_watermark: Arc::clone(&delivery_watermark),
        updates: Arc::default(),
        budget: Arc::clone(&registry.budget),
    };
    let (committed, marked) = (dispatcher.clone(), dispatcher.clone());
    let limits = Limits {
        messages: config.max_queued_messages as usize,
        bytes: config.max_queued_bytes as usize,
    };
    let buffers = dispatcher.clone();
    let backlog: Backlog = Arc::new(move |user| buffers.backlog(user));
    Arc::new(App {
        client_files,
        verifier: Verifier::new(secret),
        committer: Committer::<Reply>::start(
            Arc::clone(&store),
            &delivery_watermark,
            limits,
            backlog,
            &supervisor,
            move |done| committed.settle(done),
        ),
        receipts: Receipts::start(
            Arc::clone(&store),
            Arc::clone(&delivery_watermark),
            &supervisor,
            move |done| marked.marked(done),
        ),
        settings: Arc::new(SettingsChanges::new(
            store.clone(),
            Arc::clone(&delivery_watermark),
            &supervisor,
        )),
        watch: Arc::new(PresenceSubscriptions::new(Arc::clone(&store), Arc::clone(&directory))),
        presence: Arc::default(),
        typing_tracker: Arc::default(),
        message_ids,
        stopping: supervisor.stopping().clone(),
        store_check: StoreCheck::default(),
        requests: TaskTracker::new(),
        supervisor,
        reads: Arc::default(),
        delivery_watermark,
        dispatcher,
        store,
        directory,
        registry,
        config,
    })
}

/// Starts what goes on beside the requests, each until the server stops.
fn keep(app: &Arc<App>) {
    let (store, stop) = (|| Arc::clone(&app.store), || app.stopping.clone());
    let dispatcher = || app.dispatcher.clone();
    let (updated, present, expired) = (dispatcher(), dispatcher(), dispatcher());
    let hearing = dispatcher();
    let hears = move |user| hearing.hearing(user);
    let typed = move |typist, receiver| {
        let typing = Typing {
            user_id: typist,
            is_typing: false,
        };
        expired.tell_plainly(receiver, events::TYPING, &typing);
    };
    let told = move |user, conversation: &Conversation| updated.updated(user, conversation);
    let parts = &app.supervisor;
    parts.spawn("presence", Arc::clone(&app.presence).keep(store(), stop()));
    parts.spawn("heartbeat", heartbeat(store(), stop()));
    parts.spawn("reads", Arc::clone(&app.reads).keep(store(), stop()));
    let sender = Arc::downgrade(app);
    let busy = move || sender.upgrade().is_some_and(|app| app.committer.is_busy());
    let updating = Arc::clone(&app.dispatcher.updates).keep(store(), stop(), busy, hears, told);
    parts.spawn("conversation-updates", updating);
    let presents = move |follower, state: &_| present.present(follower, state);
    parts.spawn("presence-watch", Arc::clone(&app.watch).keep(stop(), presents));
    parts.spawn("typing", Arc::clone(&app.typing_tracker).keep(stop(), typed));
    let hearer = Hearer {
        store: store(),
        dispatcher: dispatcher(),
        settings: Arc::clone(&app.settings),
        watch: Arc::clone(&app.watch),
    };
    parts.spawn("remote-changes", hearer.hear(stop()));
    parts.spawn("connections", Arc::clone(&app.registry).look_after(stop()));
}

/// The one namespace. All is done in the middleware; the connect handler only sends what was missed.
fn serve_sockets(io: &SocketIo, app: &Arc<App>) {
    let (app, resuming) = (Arc::clone(app), Arc::clone(app));
    let admit =
        move |socket: Connecting, handshake: TryData<Handshake>| connect::connect(Arc::clone(&app), socket, handshake);
    let connected = move |socket: SocketRef| resume(Arc::clone(&resuming), socket);
    io.ns("/", connected.with(admit));
    // The library would answer every other one with its name, however long, and whether or not the client reads.
    let names = io.clone();
    let refuse = move |socket: SocketRef| {
        unserved::say(unserved::NAMESPACE);
        let name = socket.ns();
        // 44/name,{"message":"Invalid namespace"}
        if let Some(link) = Link::of(&socket) {
            let answered = name.len() <= NAMESPACE_BYTES && link.charge(name.len() + 36).is_ok();
            if !answered {
                link.end(EndReason::Namespace);
            }
        }
        names.delete_ns(name);
        std::future::ready(Err(ConnectRefused::Namespace))
    };
    let never = async |_: SocketRef| {};
    if let Err(error) = io.dyn_ns("/{*name}", never.with(refuse)) {
        tracing::error!(%error, "other namespaces can't be refused");
    }
}

/// Sends a connection what it missed, if it wants that. A stop does not wait for it: the client comes back with its
/// cursor, as it does if this panics.
async fn resume(app: Arc<App>, socket: SocketRef) {
    let Some(resume) = socket.extensions.remove::<Resume>() else {
        return;
    };
    let sending = async {
        app.stopping.run_until_cancelled(resume.run(socket.clone())).await;
    };
    if !supervisor::logged("resume", sending).await
        && let Some(link) = Link::of(&socket)
    {
        link.close();
    }
}
