//! Headers that have browsers take an answer for nothing but what it is. They are on every answer, whatever the route.
//!
//! What names the server, or its version, is on none.

use axum::extract::{Request, State};
use axum::http::header::{self, HeaderName};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

use crate::transport::tcp::answers::HeldOnce;

/// On every answer: its type is what it says, and where it was asked from is told to nobody.
const ALWAYS: [(HeaderName, HeaderValue); 2] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
];

/// On answers that hold data: should a browser show one as a page, it loads and runs nothing, and stands in no frame. A script is none.
const OF_DATA: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// What is configured of it.
#[derive(Debug, Clone)]
pub struct Hardening {
    /// That browsers come back by https only.
    transport: Option<HeaderValue>,
}

impl Hardening {
    /// Browsers come back by https only for so many seconds; for 0 nothing is said of that.
    pub fn new(hsts_max_age: u32) -> Self {
        let value = format!("max-age={hsts_max_age}");
        Self {
            transport: HeaderValue::try_from(value).ok().filter(|_| hsts_max_age > 0),
        }
    }
}

/// Adds the headers.
pub async fn harden(State(hardening): State<Hardening>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    // The answer that begins a WebSocket is no content.
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return response;
    }
    let is_script = response.extensions().get::<HeldOnce>().is_some();
    let headers = response.headers_mut();
    headers.extend(ALWAYS);
    // A page has one of its own.
    if !is_script && !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        headers.insert(header::CONTENT_SECURITY_POLICY, OF_DATA);
    }
    if let Some(transport) = hardening.transport {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, transport);
    }
    response
}
