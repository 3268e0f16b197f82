//! Requests for a WebSocket: whether they can have one, and the subprotocol in the answer.
//!
//! The library looks at the key alone, and answers also to a request that asks for no upgrade. Proxies that are not set up for
//! WebSockets take just those headers off; the client would wait for packets that can't come until it gives up.

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};

use super::unserved;

/// The answer of the stock server, which makes clients try to poll or say at once that they can't connect.
const BAD_REQUEST: &str = r#"{"code":3,"message":"Bad request"}"#;

/// The answer to a request for a WebSocket that does not ask for an upgrade.
pub(super) fn refusal(head: &Parts) -> Option<Response> {
    let is_asked = head.version == Version::HTTP_11
        && lists(&head.headers, header::UPGRADE, "websocket")
        && lists(&head.headers, header::CONNECTION, "upgrade");
    if is_asked || head.method != Method::GET {
        return None;
    }
    unserved::say(unserved::NO_UPGRADE);
    let kind = [(header::CONTENT_TYPE, "application/json")];
    Some((StatusCode::BAD_REQUEST, kind, BAD_REQUEST).into_response())
}

/// Whether a header lists this word.
fn lists(headers: &HeaderMap, name: header::HeaderName, word: &str) -> bool {
    let values = headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok());
    let mut words = values.flat_map(|value| value.split(','));
    words.any(|listed| listed.trim().eq_ignore_ascii_case(word))
}

/// The first of the subprotocols that a client asks for, which the stock server agrees to: browsers end a WebSocket that agrees
/// to none.
pub(super) fn subprotocol(headers: &HeaderMap) -> Option<HeaderValue> {
    let asked = headers.get(header::SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()?;
    let first = asked.split(',').next()?.trim();
    HeaderValue::from_str(first).ok().filter(|first| !first.is_empty())
}

/// Agrees to a subprotocol in the answer that begins a WebSocket.
pub(super) fn agreed(mut response: Response, subprotocol: Option<HeaderValue>) -> Response {
    if let Some(name) = subprotocol.filter(|_| response.status() == StatusCode::SWITCHING_PROTOCOLS) {
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, name);
    }
    response
}
