//! The parts of a server, wired together and started.

use std::sync::Arc;

use jwt::Rules;

use crate::auth::{KeyStore, UserIds, Verifier};
use crate::chat::{Limits, MessageIdGenerator, Parts};
use crate::clock;
use crate::config::Config;
use crate::delivery::registration::Registrar;
use crate::delivery::{Connections, DeliveryWatermark, Dispatcher, PresenceSubscriptions};
use crate::rates::UserRates;
use crate::signals;
use crate::storage::Store;
use crate::supervisor::Supervisor;
use crate::transport::client_files::ClientFiles;
use crate::transport::context::{Chat, Context};
use crate::transport::mint::Mint;
use crate::transport::node::Node;
use crate::transport::pages::Pages;
use crate::transport::socketio::timers::Timers;
use crate::transport::store_check::StoreCheck;
use crate::transport::tcp::registry::Registry;

/// What was read and opened.
pub(super) struct Loaded {
    pub(super) config: Config,
    pub(super) client_files: ClientFiles,
    pub(super) keys: Arc<KeyStore>,
    pub(super) store: Arc<dyn Store>,
    pub(super) message_ids: MessageIdGenerator,
}

/// Builds the parts, and starts those that run beside the requests.
pub(super) fn assemble(loaded: Loaded, supervisor: Supervisor) -> Arc<Context> {
    let Loaded {
        config,
        client_files,
        keys,
        store,
        message_ids,
    } = loaded;
    let registry = Registry::new(&config.limits);
    let rates = Arc::new(UserRates::new(&config.limits));
    let connections = Arc::new(Connections::new(config.limits.max_connections_per_user as usize));
    let dispatcher = Dispatcher {
        connections: Arc::clone(&connections),
        watermark: DeliveryWatermark::new(store.clone()),
        conversation_notifier: Arc::default(),
        budget: Arc::clone(&registry.budget),
        trace: Arc::default(),
    };
    let registrar = Registrar {
        presence_subscriptions: Arc::new(PresenceSubscriptions::new(Arc::clone(&store), Arc::clone(&connections))),
        presence_writer: Arc::default(),
        connections,
    };
    let parts = Parts {
        store: Arc::clone(&store),
        message_ids,
        dispatcher,
        registrar,
        limits: Limits {
            messages: config.limits.max_queued_messages as usize,
            bytes: config.limits.max_queued_bytes as usize,
        },
        max_message_bytes: config.limits.max_message_bytes as usize,
    };
    let chat = Arc::new(Chat::start(parts, &supervisor));
    chat.start_background(&supervisor);
    let stop = supervisor.stopping().clone();
    let cleaned = Arc::clone(&rates);
    supervisor.spawn("connections", Arc::clone(&registry).run(stop, move || cleaned.clean()));
    if keys.changes() {
        let stop = supervisor.stopping().clone();
        supervisor.spawn("keys", Arc::clone(&keys).run(signals::hangups(), stop));
    }
    let timers = Timers::new(Arc::new(clock::now));
    supervisor.spawn("timers", Arc::clone(&timers).run(supervisor.stopping().clone()));
    let user_ids = Arc::new(UserIds::new(config.tokens.user_ids));
    Arc::new(Context {
        chat,
        timers,
        level_timer: Arc::default(),
        node: Node::current(),
        verifier: Verifier::new(keys, Rules::new(&config.tokens.keys)).naming(&user_ids, config.tokens.auto_provision),
        user_ids,
        store,
        store_check: StoreCheck::default(),
        client_files,
        pages: Pages::new(&config.paths(), config.playground()),
        mint: Mint::default(),
        hints: config.gives_dev_hints().then(Arc::default),
        rates,
        registry,
        supervisor,
        config,
    })
}
