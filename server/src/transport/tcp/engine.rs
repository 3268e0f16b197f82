//! Requests of Engine.IO, before and after the Socket.IO library has them.
//!
//! Each request that begins a session brings a [`Link`], by which the session is charged and ended; further requests are
//! told apart by the session's id. What the library would not see to is seen to here: sessions that have not authenticated are
//! bounded, a session that is not there costs nothing, a body ends in time and with its session.
//!
//! The library keeps the head of the first request as long as the connection lives. Its header values are slices of
//! hyper's read buffer, so each connection would pin that buffer, however large a client made its headers. Here the
//! few parts that are needed are copied, and the rest is dropped. Other origins are turned away too: browsers do not
//! apply CORS to WebSockets.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{self, Body};
use axum::extract::{Request, State};
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::upgrade::OnUpgrade;
use serde_json::Value;
use shared::{ErrorCode, WireError};
use tokio::time::{sleep, timeout};

use super::body::Bounded;
use super::client_address::ClientAddress;
use super::connection::{CloseHandle, Connection};
use super::few;
use super::link::{self, Link, Sessions};
use super::origins::OriginCheck;
use super::registry::Registry;
use super::{unserved, upgrade};
use crate::error::{self, HttpError};

/// What the handshake, the upgrade and the authentication read.
const KEPT_HEADERS: [HeaderName; 9] = [
    header::AUTHORIZATION,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::ORIGIN,
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_VERSION,
    header::UPGRADE,
    // For an administrator who looks at connections.
    header::USER_AGENT,
];

/// The parameters of the query that these read, or that tell an old client (`t`). A session keeps its request for as long as it lives, so it keeps no others.
const KEPT_PARAMETERS: [&str; 5] = ["EIO", "transport", "sid", "token", "t"];

/// Largest answer that begins a session, in bytes; the library's has some 120.
const MAX_OPEN_BYTES: usize = 4_096;

/// Largest body of a polling client, which can hold many events, in bytes: as long as the stock server's, because old clients
/// do not ask how much it may be and send all that waits in one.
pub const MAX_POLL_BYTES: u64 = 1 << 20;

/// What clients are sent as the longest body, half of what is taken: they count attachments as if base64 took a third more,
/// and that of a single byte takes four times as much.
const ANNOUNCED_BODY_BYTES: u64 = MAX_POLL_BYTES / 2;

/// How long a WebSocket may wait until what was kept for polls was polled.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// The library's answer to a session that it does not know.
const UNKNOWN_SESSION: &str = r#"{"code":"1","message":"Session ID unknown"}"#;

/// What requests are checked by.
#[derive(Clone)]
pub struct Gate {
    /// Who may connect.
    pub origins: Arc<OriginCheck>,
    /// What connections and sessions share.
    pub registry: Arc<Registry>,
    /// The sessions that poll.
    pub sessions: Arc<Sessions>,
}

/// Lets a request of Engine.IO through to the library, stripped, with the link of its session.
pub async fn pass(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let (mut head, body) = request.into_parts();
    if head
        .headers
        .get(header::ORIGIN)
        .is_some_and(|origin| !gate.origins.allow(origin, &head.headers))
    {
        let message = "this origin may not connect; it is not among CORS_ORIGINS";
        return HttpError(WireError::new(ErrorCode::Forbidden, message)).into_response();
    }
    let handle = head.extensions.get::<CloseHandle>();
    // The connection of a request that is being answered is open.
    let Some(connection) = handle.and_then(CloseHandle::connection) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let client = ClientAddress::of(&head).unwrap_or(connection.client()).clone();
    let mut extensions = Extensions::new();
    if let Some(upgrade) = head.extensions.remove::<OnUpgrade>() {
        extensions.insert(upgrade);
    }
    let few = few::takes_few(&head.headers);
    let websocket = parameter(head.uri.query().unwrap_or_default(), "transport") == Some("websocket");
    if websocket && let Some(refusal) = upgrade::refusal(&head) {
        return refusal;
    }
    let subprotocol = upgrade::subprotocol(&head.headers);
    head.uri = copy_uri(&head.uri);
    head.headers = copy_headers(&head.headers);
    head.extensions = extensions;
    let query = head.uri.query().unwrap_or_default();
    let poll = head.method == Method::GET;
    if parameter(query, "EIO") != Some("4") {
        unserved::say(unserved::PROTOCOL);
    }
    match parameter(query, "sid").map(|id| gate.sessions.find(id)) {
        None => {
            let place = match websocket {
                true if gate.registry.too_many_departed(client.address) => {
                    return HttpError(error::too_many_sessions()).into_response();
                }
                // As many as there are connections.
                true => None,
                false => match gate
                    .registry
                    .enter_unknown(client.address, &connection.unknown_sessions)
                {
                    Some(place) => Some(place),
                    None => return HttpError(error::too_many_sessions()).into_response(),
                },
            };
            // A connection of a proxy is none of its clients; their sessions are counted instead.
            let open = match client.address == connection.client().address {
                true => None,
                false => match client.open(&gate.registry) {
                    Ok(open) => open,
                    Err(()) => {
                        gate.registry.count_refused_address();
                        return HttpError(error::too_many_connections_of_address()).into_response();
                    }
                },
            };
            let link = Link::new(&gate.sessions, client, open, place);
            head.extensions.insert(link.clone());
            let response = next.run(Request::from_parts(head, body)).await;
            upgrade::agreed(begun(response, &connection, &link).await, subprotocol)
        }
        Some(None) => (
            StatusCode::BAD_REQUEST,
            [(header::CONTENT_TYPE, "application/json")],
            UNKNOWN_SESSION,
        )
            .into_response(),
        Some(Some(link)) if websocket => {
            if !link.begin_upgrade() {
                return StatusCode::BAD_REQUEST.into_response();
            }
            // What was kept for a poll is polled while the WebSocket is tried.
            if timeout(PROBE_TIMEOUT, link.rest().is_taken()).await.is_err() {
                link.no_upgrade();
                return StatusCode::BAD_REQUEST.into_response();
            }
            let response = next.run(Request::from_parts(head, body)).await;
            match response.status() {
                StatusCode::SWITCHING_PROTOCOLS if !connection.is_one_head() => {
                    link.no_upgrade();
                    StatusCode::BAD_REQUEST.into_response()
                }
                StatusCode::SWITCHING_PROTOCOLS => {
                    connection.carries(&link);
                    upgrade::agreed(response, subprotocol)
                }
                _ => {
                    link.no_upgrade();
                    response
                }
            }
        }
        Some(Some(link)) if poll => {
            link.polled();
            let mut response = match link.rest().take() {
                Some(rest) => few::next_packets(rest, &link),
                None => {
                    let mut answer = next.run(Request::from_parts(head, body)).await;
                    if link.refusals().any() {
                        answer = link::complete_answer(answer, &link).await;
                    }
                    match few {
                        true => few::first_packets(answer, &link).await,
                        false => answer,
                    }
                }
            };
            link.polled();
            response.extensions_mut().insert(link.clone());
            // From here on it waits for this connection instead.
            if let Some(bytes) = body::HttpBody::size_hint(response.body()).exact() {
                link.account().written(usize::try_from(bytes).unwrap_or(usize::MAX));
            }
            response
        }
        Some(Some(link)) => {
            let Some(_posting) = link.begin_post() else {
                return StatusCode::BAD_REQUEST.into_response();
            };
            if !link.user().is_none_or(|user| connection.reads_body_of(user)) {
                return StatusCode::BAD_REQUEST.into_response();
            }
            // What it posts waits, as what it sends over a WebSocket does.
            while let Some(left) = link.paused() {
                if link.gone().run_until_cancelled(sleep(left)).await.is_none() {
                    return StatusCode::BAD_REQUEST.into_response();
                }
            }
            let body = Body::new(Bounded::of_session(body, &link));
            next.run(Request::from_parts(head, body)).await
        }
    }
}

/// Begins the session of an answer, if it begins one.
async fn begun(response: Response, connection: &Arc<Connection>, link: &Link) -> Response {
    match response.status() {
        // Frames are followed from the first one on, and a client has to wait for the answer before it sends any.
        StatusCode::SWITCHING_PROTOCOLS if !connection.is_one_head() => StatusCode::BAD_REQUEST.into_response(),
        StatusCode::SWITCHING_PROTOCOLS => {
            connection.carries(link);
            response
        }
        StatusCode::OK => {
            let (mut head, body) = response.into_parts();
            let Ok(open) = body::to_bytes(body, MAX_OPEN_BYTES).await else {
                return StatusCode::INTERNAL_SERVER_ERROR.into_response();
            };
            let Some((id, open)) = opened(&open) else {
                return Response::from_parts(head, Body::from(open));
            };
            link.polls_as(&id);
            head.headers.remove(header::CONTENT_LENGTH);
            Response::from_parts(head, Body::from(open))
        }
        _ => response,
    }
}

/// The id in the packet that opens a session, and that packet with a smaller [`ANNOUNCED_BODY_BYTES`].
fn opened(open: &[u8]) -> Option<(String, String)> {
    let json = open.strip_prefix(b"0")?;
    let mut open: serde_json::Map<String, Value> = serde_json::from_slice(json).ok()?;
    let id = open.get("sid")?.as_str()?.to_owned();
    open.insert("maxPayload".to_owned(), ANNOUNCED_BODY_BYTES.into());
    Some((id, format!("0{}", Value::Object(open))))
}

/// The first parameter of a name in a query, as the library reads it.
fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    let value = |pair: &'a str| pair.strip_prefix(name)?.strip_prefix('=');
    query.split('&').find_map(value)
}

/// The path, and of the query what is read.
fn copy_uri(uri: &Uri) -> Uri {
    let mut text = uri.path().to_owned();
    if let Some(query) = uri.query() {
        let value = |name| parameter(query, name).map(|value| format!("{name}={value}"));
        let kept: Vec<String> = KEPT_PARAMETERS.into_iter().filter_map(value).collect();
        text = format!("{text}?{}", kept.join("&"));
    }
    // Parsing copies; what was parsed once parses again.
    text.parse().unwrap_or_default()
}

fn copy_headers(headers: &HeaderMap) -> HeaderMap {
    let mut copy = HeaderMap::new();
    for name in KEPT_HEADERS {
        if let Some(Ok(value)) = headers
            .get(&name)
            .map(|value| HeaderValue::from_bytes(value.as_bytes()))
        {
            copy.insert(name, value);
        }
    }
    copy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_is_found_where_the_library_puts_it() {
        let open = br#"0{"sid":"AAAAAAAAAAAAAAHs","upgrades":["websocket"],"pingInterval":25000,"maxPayload":1000000}"#;
        let (id, open) = opened(open).unwrap();
        assert_eq!(id, "AAAAAAAAAAAAAAHs");
        assert!(
            open.starts_with("0{") && open.contains("\"maxPayload\":524288"),
            "{open}"
        );
        assert_eq!(opened(b"ok"), None);
        let query = "EIO=4&transport=polling&sid=x&sid=y";
        assert_eq!((parameter(query, "sid"), parameter(query, "si")), (Some("x"), None));
    }

    #[test]
    fn a_session_keeps_of_its_address_what_is_read() {
        let kept = |address: &'static str| copy_uri(&Uri::from_static(address)).to_string();
        let long = "/socket.io/?t=abc&EIO=4&padding=xxxxxxxxxxxx&transport=polling&token=a=b&sid=x&sid=y";
        assert_eq!(kept(long), "/socket.io/?EIO=4&transport=polling&sid=x&token=a=b&t=abc");
        assert_eq!(kept("/socket.io/"), "/socket.io/");
        assert_eq!(kept("/socket.io/?x"), "/socket.io/?");
    }
}
