//! What RFC 9110 and 9112 ask of every request and every answer, whatever the route: requests that others could read
//! in another way than this server are refused, answers stay out of caches, and JSON says that it is UTF-8.
//!
//! What hyper does by itself is not repeated here: it refuses a `Transfer-Encoding` that does not end in `chunked`,
//! or comes with HTTP/1.0, and lengths that differ; where a request has both, only `Transfer-Encoding` counts, and the
//! connection is closed after the answer.

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use shared::{ErrorCode, WireError};

use crate::error::{HttpError, invalid_request};

/// Refuses a request that is not as the standards have it, and keeps the answer out of caches. Outside of all but the
/// layers of transport.
pub async fn strict(request: Request, next: Next) -> Response {
    let mut response = match check(request.version(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => {
            let mut response = HttpError(error).into_response();
            // What follows could be read as the body of this request or as the next one.
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
            response
        }
    };
    // Answers are of one bearer, or of one moment.
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let headers = response.headers_mut().entry(header::CACHE_CONTROL);
        headers.or_insert(HeaderValue::from_static("no-store"));
    }
    name_charset(response.headers_mut());
    response
}

/// JSON is UTF-8 whether or not that is said, but clients of several languages (Dart's `http`, Volley) take it for Latin-1
/// where it isn't; Express says it.
fn name_charset(headers: &mut HeaderMap) {
    if let Some(kind) = headers
        .get_mut(header::CONTENT_TYPE)
        .filter(|kind| *kind == "application/json")
    {
        *kind = HeaderValue::from_static("application/json; charset=utf-8");
    }
}

fn check(version: Version, headers: &HeaderMap) -> Result<(), WireError> {
    check_host(version, headers)?;
    check_transfer_encoding(headers)?;
    check_expect(headers)
}

/// RFC 9112, 3.2.
fn check_host(version: Version, headers: &HeaderMap) -> Result<(), WireError> {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if version < Version::HTTP_11 => Ok(()),
        (None, _) => Err(invalid_request("the header Host is missing")),
        (Some(_), Some(_)) => Err(invalid_request("there is more than one header Host")),
        (Some(host), None) if is_host(host) => Ok(()),
        (Some(_), None) => Err(invalid_request("the header Host is not a host with an optional port")),
    }
}

/// It is empty where the address of the request has no host.
fn is_host(host: &HeaderValue) -> bool {
    host.is_empty() || Authority::try_from(host.as_bytes()).is_ok_and(|host| !host.as_str().contains('@'))
}

/// RFC 9112, 6.1: a body is decoded or refused, never taken as it is.
fn check_transfer_encoding(headers: &HeaderMap) -> Result<(), WireError> {
    let codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let mut codings = codings.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    // The last one is `chunked`, hyper has seen to that.
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(only), None) if only.trim_ascii().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(WireError::new(
            ErrorCode::NotImplemented,
            "Transfer-Encoding: only chunked is known here",
        )),
    }
}

/// RFC 9110, 10.1.1.
fn check_expect(headers: &HeaderMap) -> Result<(), WireError> {
    let met = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    if headers.get_all(header::EXPECT).iter().all(met) {
        return Ok(());
    }
    Err(WireError::new(
        ErrorCode::ExpectationFailed,
        "Expect: only 100-continue can be met",
    ))
}
