//! Letting a socket in.
//!
//! Everything is registered here, in the middleware, before the client is sent that it is connected: the library
//! starts its connect handler only after that, and events that the client sends at once would find no handler.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use shared::{ErrorCode, UserId, WireError, events};
use socketioxide::adapter::LocalAdapter;
use socketioxide::extract::TryData;
use socketioxide::handler::FromConnectParts;
use socketioxide::socket::{DisconnectReason, Socket};
use socketioxide_core::Value;
use tokio::time::{Instant, timeout_at};

use super::client::SocketClient;
use super::handshake::Handshake;
use super::hints::{FirstLook, Hints};
use super::request::{EventHandler, EventTable};
use super::resume::Resume;
use super::session::Session;
use crate::auth::{self, AuthError, Caller};
use crate::clock;
use crate::delivery::TooManyConnections;
use crate::error;
use crate::metrics::METRICS;
use crate::outage::SeldomEach;
use crate::storage::StoreError;
use crate::transport::context::Context;
use crate::transport::tcp::link::Link;
use crate::transport::tcp::unserved;

/// A refused client waits this long, so that one that repeats a bad token costs next to nothing. python-socketio gives up
/// after a second, and would never receive the reason.
const REFUSAL_DELAY: Duration = Duration::from_millis(500);

/// So much longer than for authenticating a connection waits for the database to answer who it is. The transport is closed before, and
/// every stock client then tries again by itself, which it would not after a refusal.
const STORE_MARGIN: Duration = Duration::from_secs(2);

/// The shortest time until it is asked again.
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// Why a socket is refused. The client's `connect_error` has what this displays as its `message`, and the error as its `data`.
#[derive(Debug)]
pub struct ConnectRefused(pub WireError);

impl fmt::Display for ConnectRefused {
    /// Clients of the replaced program compare the first of these.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0.code {
            ErrorCode::TooManyConnections => "Too many connections",
            ErrorCode::RateLimited => "Too many failed tokens",
            ErrorCode::Banned => "Banned",
            ErrorCode::InvalidNamespace => "Invalid namespace",
            ErrorCode::StoreUnavailable | ErrorCode::Internal => "Service unavailable",
            _ => events::AUTHENTICATION_ERROR,
        })
    }
}

/// The socket itself, which the library's own extractor gives no other hold of.
pub struct Connecting(pub Arc<Socket>);

impl FromConnectParts<LocalAdapter> for Connecting {
    type Error = Infallible;

    fn from_connect_parts(socket: &Arc<Socket>, _: &Option<Value>) -> Result<Self, Infallible> {
        Ok(Self(Arc::clone(socket)))
    }
}

/// Connections that were refused. The client is sent little, so the log says why.
static REFUSED: SeldomEach = SeldomEach::new();

/// The middleware: authenticates a socket and gives it its handlers.
pub async fn connect(
    context: Arc<Context>,
    events: EventTable,
    names: Arc<[&'static str]>,
    Connecting(socket): Connecting,
    TryData(handshake): TryData<Handshake>,
) -> Result<(), ConnectRefused> {
    let handshake = handshake.unwrap_or_default();
    let request = socket.req_parts();
    let changes = context.chat.access.changes();
    let authenticated = match handshake.token(&request.headers, &request.uri, context.config.allow_query_token) {
        Ok(token) => authenticate_from(Link::of(&socket), &context, &token).await,
        Err(denied) => Err(denied),
    };
    let admitted = match authenticated {
        Ok(caller) => enter(&context, (events, &names), &socket, caller, handshake.since()),
        Err(denied) => {
            say_refused(denied.kind());
            Err(ConnectRefused(error::may_not_connect(&denied)))
        }
    };
    if let Err(ConnectRefused(reason)) = &admitted {
        METRICS.handshakes_refused.count(reason.code);
        tokio::time::sleep(REFUSAL_DELAY).await;
        if let Some(link) = Link::of(&socket) {
            link.is_refused(reason);
        }
    }
    let user = admitted?;
    if context.chat.access.changes() != changes
        && let Err(error) = context.chat.access.enforce(user).await
    {
        // Somebody was shut out meanwhile, and who it was is not known: the client has to ask again.
        let refused = error::may_not_connect(&error.into());
        METRICS.handshakes_refused.count(refused.code);
        return Err(ConnectRefused(refused));
    }
    METRICS.handshakes.count();
    Ok(())
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

/// Checks a token, unless too many from the same address were not accepted.
async fn authenticate_from(link: Option<&Link>, context: &Context, token: &str) -> Result<Caller, AuthError> {
    let look = authenticate(context, Some(token));
    match link.map(Link::client) {
        Some(client) => client.try_token(&context.registry, look).await,
        None => look.await,
    }
}

/// Outlasts a short failure of the database: being refused would be final for the client, waiting is not. Meanwhile
/// one asks the database for all who wait.
async fn authenticate(context: &Context, token: Option<&str>) -> Result<Caller, AuthError> {
    let timeout = Duration::from_secs(context.config.limits.authentication_timeout.into());
    let end = Instant::now() + timeout + STORE_MARGIN;
    loop {
        if context.supervisor.stopping().is_cancelled() {
            // The transport is closed soon, which clients take as the reason to connect again; a refusal would be final.
            std::future::pending::<()>().await;
        }
        match auth::authenticate(&context.verifier, &*context.store, token).await {
            Err(AuthError::Store(failure)) if Instant::now() < end => {
                if let StoreError::Unavailable(_) = failure {
                    context.chat.reader.reads.set_store_away();
                }
                tokio::time::sleep(RETRY_DELAY).await;
                // When the time is over it is asked once more.
                let _ = timeout_at(end, context.chat.reader.reads.store_answers()).await;
            }
            // Likewise where it is the provider that does not answer.
            Err(AuthError::NotKnownYet(_)) if Instant::now() < end => tokio::time::sleep(RETRY_DELAY).await,
            done => return done,
        }
    }
}

fn enter(
    context: &Arc<Context>,
    (events, names): (EventTable, &Arc<[&'static str]>),
    socket: &Arc<Socket>,
    caller: Caller,
    since: Option<String>,
) -> Result<UserId, ConnectRefused> {
    // Every session has a link: no request gets to the library without one.
    let link = Link::of(socket).ok_or_else(|| ConnectRefused(error::failed()))?.clone();
    let address = link.client().address;
    let client = SocketClient::new(
        socket,
        link.clone(),
        caller,
        &context.timers,
        context.config.tokens.token_expiry,
        names,
    );
    let registration = context
        .chat
        .connect(caller.user, client.clone())
        .map_err(|refused: TooManyConnections| {
            say_refused("the user has MAX_CONNECTIONS_PER_USER connections");
            ConnectRefused(refused.into())
        })?;
    link.is_of(caller.user, context.node.connection(registration.id()));
    let rates = context.rates.of(caller.user);
    // Or whoever is read more slowly would come anew, and be read at full speed.
    link.pause(context.rates.still_refused(&rates));
    let supervisor = context.supervisor.clone();
    tracing::debug!(connection = link.name(), user = %caller.user, %address, "connected");
    let hints = context.hints.as_ref().map(|hints| Hints::new(hints, caller.user));
    if let Some(hints) = &hints {
        let (hints, ends) = (Arc::clone(hints), caller.expires_at.is_some());
        socket.extensions.insert(FirstLook::new(hints, ends, clock::now()));
    }
    let session = Session::new(caller.user, client, registration, link, rates, supervisor, hints);
    let session = Arc::new(session);
    if let Some(since) = since {
        socket.extensions.insert(Resume::new(Arc::clone(&session), since));
    }
    socket.on_fallback(EventHandler::new(Arc::clone(context), events, Arc::clone(&session)));
    socket.on_disconnect(move |reason: DisconnectReason| {
        session.has_ended(word(reason));
        session.leave();
        if reason == DisconnectReason::PacketParsingError {
            unserved::say(unserved::UNREADABLE);
        }
        // A client that leaves the one namespace there is has nothing more to say, and is counted no more.
        if reason == DisconnectReason::ClientNSDisconnect {
            session.link.close();
        }
        std::future::ready(())
    });
    Ok(caller.user)
}

/// Why a connection has ended, as the log says it, where the server has no reason of its own.
fn word(reason: DisconnectReason) -> &'static str {
    match reason {
        DisconnectReason::TransportClose => "transport_close",
        DisconnectReason::MultipleHttpPollingError => "protocol",
        DisconnectReason::PacketParsingError => "unreadable",
        DisconnectReason::TransportError => "transport_error",
        DisconnectReason::HeartbeatTimeout => "silent",
        DisconnectReason::ClientNSDisconnect => "client_left",
        DisconnectReason::ServerNSDisconnect => "disconnected",
        DisconnectReason::ClosingServer => "server_stops",
    }
}
