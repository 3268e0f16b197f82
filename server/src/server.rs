//! From a configuration to a running server, and to its orderly end.
//!
//! [`load`](self) reads and opens what is needed, [`assemble`] builds the parts, [`stop`] ends them in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::now;
use crate::config::Config;
use crate::routes;
use crate::storage;
use crate::storage::open::{OpenError, Opened};
use crate::supervisor::Supervisor;
use crate::transport::http::router;
use crate::transport::socketio::namespaces;
use crate::transport::tcp::bind::{self, Address};
use crate::transport::tcp::listener;
use assemble::Loaded;

mod assemble;
mod check;
mod entrances;
mod error;
mod load;
pub mod stop;

pub use check::check;
pub use error::RunError;

/// A server that takes connections.
pub struct Started {
    /// Where; one at least.
    pub addresses: Vec<Address>,
    /// Where administration is served, if it is.
    pub administration: Option<Address>,
    /// Whether TLS is spoken at those of TCP.
    pub has_tls: bool,
    /// The database and its hosts, for people; nothing if it is embedded.
    pub database: Option<String>,
}

impl Started {
    /// The first port, if there is one.
    pub fn tcp(&self) -> Option<SocketAddr> {
        self.addresses.iter().find_map(|address| match address {
            Address::Tcp(address) => Some(*address),
            Address::Unix(_) => None,
        })
    }

    fn log(&self) {
        let shown: Vec<String> = self.addresses.iter().map(Address::to_string).collect();
        let administration = self.administration.as_ref().map(Address::to_string);
        let (address, tls, database) = (shown.join(", "), self.has_tls, self.database.as_deref());
        tracing::info!(address, tls, administration, database, "listening");
    }
}

/// Runs a server until `stop` is cancelled, also while it starts. `started` is called once connections are accepted.
///
/// # Errors
/// The server could not start, or a part of it failed.
pub async fn run(config: Config, stop: CancellationToken, started: impl FnOnce(&Started)) -> Result<(), RunError> {
    storage::open::check(&config).await?;
    run_with(config, stop, storage::open::open, started).await
}

/// [`run`] with the store that `open` opens, whatever the configuration names.
///
/// # Errors
/// The server could not start, or a part of it failed.
pub async fn run_with(
    config: Config,
    stop: CancellationToken,
    open: impl AsyncFnOnce(&Config, &Supervisor) -> Result<Opened, OpenError>,
    started: impl FnOnce(&Started),
) -> Result<(), RunError> {
    let client_files = load::client(&config).await?;
    let Some(keys) = unless_stopped(&stop, load::keys(&config)).await? else {
        return Ok(());
    };
    if config.legacy_open_history {
        tracing::warn!("LEGACY_OPEN_HISTORY is on: anyone can read every conversation without a token");
    }
    load::playground(&config)?;
    listener::raise_file_limit(config.limits.max_connections);
    // An address that can't be had is an error before the store is opened; but no client gets through that could not be answered.
    let (bound, for_administration) = bind::bind(&config.listen).await?;
    let tls = load::tls(&config).await?;
    let (tls, keeper) = tls.map(|tls| (tls.config, tls.keeper)).unzip();
    let supervisor = Supervisor::default();
    let Some((store, message_ids, database)) = unless_stopped(&stop, load::store(open(&config, &supervisor))).await?
    else {
        return Ok(());
    };
    let (entrances, addresses, administration) = match entrances::open(bound, for_administration, tls.as_ref()) {
        Ok(open) => open,
        Err(error) => {
            // Why it can't listen says more than how closing the store went.
            let _ = store.close(now()).await;
            return Err(error.into());
        }
    };

    let loaded = Loaded {
        config,
        client_files,
        keys,
        store,
        message_ids,
    };
    let context = assemble::assemble(loaded, supervisor);
    let (sockets, io) = namespaces::build(Duration::from_secs(context.config.limits.authentication_timeout.into()));
    namespaces::serve(&io, &context, routes::EVENTS);
    let router = router::build(
        routes::routes(),
        routes::administration(),
        Arc::clone(&context),
        sockets,
    );
    let supervisor = context.supervisor.clone();
    if let Some(keeper) = keeper {
        supervisor.spawn("certificates", keeper.keep(supervisor.stopping().clone()));
    }
    let serving = listener::serve(
        entrances,
        router,
        Arc::clone(&context.registry),
        context.config.limits.max_connections as usize,
        supervisor.stopping().clone(),
        stop::CONNECTIONS_DEADLINE,
    );
    let serving = supervisor.child().spawn("listener", serving);
    let started_at = Started {
        addresses,
        administration,
        has_tls: tls.is_some(),
        database,
    };
    started_at.log();
    started(&started_at);

    tokio::select! {
        () = stop.cancelled() => {}
        () = supervisor.stopping().cancelled() => {}
    }
    tracing::info!("stopping");
    stop::stop(context, &io, serving).await;
    match supervisor.failed() {
        Some(part) => Err(RunError::Part(part)),
        None => Ok(()),
    }
}

/// A step of the start; nothing if the server is to stop before it is done: then it does not wait for a database that
/// does not answer, or for a file that can't be read.
async fn unless_stopped<T>(
    stop: &CancellationToken,
    step: impl Future<Output = Result<T, RunError>>,
) -> Result<Option<T>, RunError> {
    stop.run_until_cancelled(step).await.transpose()
}
