//! Requests that begin a Socket.IO connection, freed of what they need not carry for hours.
//!
//! The Socket.IO library keeps the head of the first request as long as the connection lives. Its header values are
//! slices of hyper's read buffer, so each connection would pin that buffer, however large a client made its headers.
//! Here the few parts that are needed are copied, and the rest is dropped. Foreign origins are turned away too:
//! browsers do not apply CORS to WebSockets.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::PathAndQuery;
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::upgrade::OnUpgrade;
use parking_lot::Mutex;
use shared::{ErrorCode, WireError};

use super::stream::Hangup;
use crate::config::Origins;
use crate::error::HttpError;

/// Where Socket.IO listens.
pub const PATH: &str = "/socket.io";

/// What the handshake, the upgrade and the authentication read.
const KEPT: [HeaderName; 8] = [
    header::AUTHORIZATION,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::ORIGIN,
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_VERSION,
    header::UPGRADE,
];

/// The WebSockets that took over from polling, by the id of their session: their TCP connection is another one than
/// that of the request the library kept.
#[derive(Default)]
pub struct Upgrades {
    /// Held to insert, look up or remove one entry; now and then to sweep out what is closed.
    open: Mutex<HashMap<String, Hangup>>,
}

/// Entries from which on a full table is swept before it grows.
const SWEEP: usize = 1_024;

impl Upgrades {
    fn insert(&self, session: &str, hangup: Hangup) {
        let mut open = self.open.lock();
        if open.len() >= SWEEP && open.len() == open.capacity() {
            open.retain(|_, hangup| hangup.is_open());
        }
        open.insert(session.to_owned(), hangup);
    }

    /// Forgets a session, and returns the WebSocket that it moved to, if it did.
    pub fn remove(&self, session: &str) -> Option<Hangup> {
        self.open.lock().remove(session)
    }
}

/// The middleware's own state.
#[derive(Clone)]
pub struct Detach {
    /// Who may connect.
    pub origins: Arc<Origins>,
    /// Where upgrades are noted.
    pub upgrades: Arc<Upgrades>,
}

/// Checks the origin of a Socket.IO request and strips it; other requests pass as they are.
pub async fn detach(State(state): State<Detach>, request: Request, next: Next) -> Response {
    if !request.uri().path().starts_with(PATH) {
        return next.run(request).await;
    }
    let (mut head, body) = request.into_parts();
    if head
        .headers
        .get(header::ORIGIN)
        .is_some_and(|origin| !state.origins.allow(origin))
    {
        let message = "this origin may not connect; it is not among CORS_ORIGINS";
        return HttpError(WireError::new(ErrorCode::Forbidden, message)).into_response();
    }
    let mut extensions = Extensions::new();
    if let Some(hangup) = head.extensions.remove::<Hangup>() {
        if let Some(session) = upgraded_session(&head.uri, &head.headers) {
            state.upgrades.insert(session, hangup.clone());
        }
        extensions.insert(hangup);
    }
    if let Some(upgrade) = head.extensions.remove::<OnUpgrade>() {
        extensions.insert(upgrade);
    }
    head.uri = copy_uri(&head.uri);
    head.headers = copy_headers(&head.headers);
    head.extensions = extensions;
    next.run(Request::from_parts(head, body)).await
}

/// The session that asks to go on as a WebSocket.
fn upgraded_session<'a>(uri: &'a Uri, headers: &HeaderMap) -> Option<&'a str> {
    headers.get(header::UPGRADE)?;
    uri.query()?.split('&').find_map(|pair| pair.strip_prefix("sid="))
}

fn copy_uri(uri: &Uri) -> Uri {
    let text = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    // Parsing copies; what was parsed once parses again.
    text.parse().unwrap_or_default()
}

fn copy_headers(headers: &HeaderMap) -> HeaderMap {
    let mut copy = HeaderMap::new();
    for name in KEPT {
        if let Some(Ok(value)) = headers
            .get(&name)
            .map(|value| HeaderValue::from_bytes(value.as_bytes()))
        {
            copy.insert(name, value);
        }
    }
    copy
}
