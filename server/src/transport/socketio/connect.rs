//! Letting a socket in.
//!
//! Everything is registered here, in the middleware, before the client is told that it is connected: the library
//! starts its connect handler only after that, and events that the client sends at once would find no handler.

use std::sync::Arc;
use std::time::Duration;

use shared::events;
use socketioxide::extract::TryData;
use socketioxide::socket::{DisconnectReason, Socket};
use tokio::time::{Instant, timeout_at};

use super::Session;
use super::emit::{Connecting, Way};
use super::handshake::Handshake;
use super::request::EventHandler;
use super::resume::Resume;
use crate::app::App;
use crate::auth::{self, AuthError, Caller};
use crate::outage::SeldomEach;
use crate::storage::StoreError;
use crate::transport::tcp::link::Link;
use crate::transport::tcp::unserved;

/// A refused client waits this long, so that one that repeats a bad token costs next to nothing. python-socketio gives up
/// after a second, and would never hear why.
const REFUSAL_DELAY: Duration = Duration::from_millis(500);

/// How long a connection waits for the database to answer who it is. The transport is closed a little earlier, and
/// every stock client then tries again by itself, which it would not after a refusal.
pub const STORE_PATIENCE: Duration = Duration::from_secs(12);

/// The shortest pause until it is asked again.
const STORE_PAUSE: Duration = Duration::from_millis(500);

/// Why a socket is refused: the `message` of the client's `connect_error`.
#[derive(Debug, thiserror::Error)]
pub enum ConnectRefused {
    /// The token is missing or not accepted.
    #[error("{}", events::AUTHENTICATION_ERROR)]
    Authentication,
    /// The user has as many connections as are allowed.
    #[error("Too many connections")]
    TooManyConnections,
    /// The database did not answer in time.
    #[error("Service unavailable")]
    Unavailable,
    /// There is one namespace, `/`.
    #[error("Invalid namespace")]
    Namespace,
}

/// Connections that were refused. The client is told little, so the log says why.
static REFUSED: SeldomEach = SeldomEach::new();

/// The middleware: authenticates a socket and gives it its handlers.
pub async fn connect(
    app: Arc<App>,
    Connecting(socket): Connecting,
    TryData(handshake): TryData<Handshake>,
) -> Result<(), ConnectRefused> {
    let handshake = handshake.unwrap_or_default();
    let request = socket.req_parts();
    let authenticated = match handshake.token(&request.headers, &request.uri, app.config.allow_query_token) {
        Ok(token) => authenticate(&app, Some(&token)).await,
        Err(denied) => Err(denied),
    };
    let admitted = match authenticated {
        Ok(caller) => enter(&app, &socket, caller, handshake.since()).inspect_err(|refused| {
            if let ConnectRefused::TooManyConnections = refused {
                say_refused("the user has MAX_CONNECTIONS_PER_USER connections");
            }
        }),
        Err(denied) => {
            say_refused(denied.kind());
            Err(match denied {
                AuthError::Store(_) => ConnectRefused::Unavailable,
                _ => ConnectRefused::Authentication,
            })
        }
    };
    if admitted.is_err() {
        tokio::time::sleep(REFUSAL_DELAY).await;
        if let Some(link) = Link::of(&socket) {
            link.is_refused();
        }
    }
    admitted
}

fn say_refused(reason: &'static str) {
    if let Some(since_last_line) = REFUSED.due(reason) {
        tracing::info!(
            reason,
            since_last_line,
            "connections were refused; each reason is said once a minute"
        );
    }
}

/// Outlasts a short failure of the database: being refused would be final for the client, waiting is not. Meanwhile
/// one asks the database for all who wait.
async fn authenticate(app: &App, token: Option<&str>) -> Result<Caller, AuthError> {
    let end = Instant::now() + STORE_PATIENCE;
    loop {
        if app.stopping.is_cancelled() {
            // The transport is closed soon, which clients take as the reason to connect again; a refusal would be final.
            std::future::pending::<()>().await;
        }
        match auth::authenticate(&app.verifier, &*app.store, token).await {
            Err(AuthError::Store(failure)) if Instant::now() < end => {
                if let StoreError::Unavailable(_) = failure {
                    app.reads.failed();
                }
                tokio::time::sleep(STORE_PAUSE).await;
                // When the time is over it is asked once more.
                let _ = timeout_at(end, app.reads.up()).await;
            }
            done => return done,
        }
    }
}

fn enter(app: &Arc<App>, socket: &Arc<Socket>, caller: Caller, since: Option<String>) -> Result<(), ConnectRefused> {
    // Every session has a link: no request gets to the library without one.
    let link = Link::of(socket).ok_or(ConnectRefused::Unavailable)?.clone();
    app.directory
        .enter(caller.user, socket.id, Way::new(socket, link.clone()), || {
            app.presence.note(caller.user, true)
        })
        .map_err(|_| ConnectRefused::TooManyConnections)?;
    link.is_of(caller.user);
    let session = Arc::new(Session::new(Arc::clone(app), caller, socket.id, link));
    app.watch.look(caller.user);
    if let Some(since) = since {
        socket.extensions.insert(Resume::new(Arc::clone(&session), since));
    }
    socket.on_fallback(EventHandler::new(Arc::clone(&session)));
    socket.on_disconnect(move |reason: DisconnectReason| {
        session.leave();
        if reason == DisconnectReason::PacketParsingError {
            unserved::say(unserved::UNREADABLE);
        }
        // Whoever leaves the one namespace there is has nothing more to say, and is counted no more.
        if reason == DisconnectReason::ClientNSDisconnect {
            session.link.close();
        }
        std::future::ready(())
    });
    tracing::debug!(connection = %socket.id, user = %caller.user, "connected");
    Ok(())
}
