//! The pages for developers: `/`, `/docs`, `/playground`, and the files that they load.
//!
//! Each page may load what it needs from this server, and nothing from elsewhere; nothing stands in a page itself that runs or
//! paints. Browsers keep the files, and ask each time whether they are still the same.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use shared::{ErrorCode, WireError};

use super::{about, playground};
use crate::error::HttpError;
use crate::transport::context::Context;
use crate::transport::pages::Asset;
use crate::transport::tcp::answers::HeldOnce;

/// What a page may do that runs nothing.
const OF_TEXT: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// What a page may do that runs modules of this server and asks this server, over HTTP and WebSocket: no text becomes code.
const OF_APPS: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
);

/// `GET /`: what this is, as a page for browsers and as JSON for all others.
pub async fn home(State(context): State<Arc<Context>>, headers: HeaderMap) -> Response {
    let mut answer = match wants_html(&headers) {
        true => answer(&context.pages.home, &headers, Some(OF_TEXT)),
        false => about::about(State(context)).await.into_response(),
    };
    answer
        .headers_mut()
        .append(header::VARY, HeaderValue::from_static("accept"));
    answer
}

/// `GET /docs`: the events and requests, to be read and tried.
pub async fn docs(State(context): State<Arc<Context>>, headers: HeaderMap) -> Response {
    answer(&context.pages.docs, &headers, Some(OF_APPS))
}

/// `GET /playground`: two users, to try the server with.
pub async fn playground(State(context): State<Arc<Context>>, headers: HeaderMap) -> Result<Response, HttpError> {
    playground::is_there(&context, &headers)?;
    Ok(answer(&context.pages.playground, &headers, Some(OF_APPS)))
}

/// `GET /pages/{file}`: what a page loads.
pub async fn file(
    State(context): State<Arc<Context>>,
    file: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    // One whose name is no text is not there either.
    let name = file.map(|Path(file)| file).unwrap_or_default();
    match context.pages.file(&name) {
        Some(asset) => Ok(answer(asset, &headers, None)),
        None => {
            let message = format!("there is no GET /pages/{name:.128}");
            Err(WireError::new(ErrorCode::NotFound, message).into())
        }
    }
}

/// Whether this is a browser that goes to a page. Programs take anything (`*/*`).
fn wants_html(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter();
    let accepted = accepted
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let mut kinds = accepted.map(|kind| kind.split(';').next().unwrap_or_default().trim());
    kinds.any(|kind| kind.eq_ignore_ascii_case("text/html"))
}

fn answer(asset: &Asset, asked: &HeaderMap, policy: Option<HeaderValue>) -> Response {
    let tags = asked.get_all(header::IF_NONE_MATCH).iter();
    let tags = tags
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let mut tags = tags.map(|tag| tag.trim().trim_start_matches("W/"));
    let is_known = tags.any(|tag| tag == "*" || tag == asset.tag);
    let mut answer = match is_known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => ([(header::CONTENT_TYPE, asset.kind)], asset.content.clone()).into_response(),
    };
    let headers = answer.headers_mut();
    headers.insert(header::ETAG, asset.tag.clone());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Some(policy) = policy {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    answer.extensions_mut().insert(HeldOnce);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_told_from_programs() {
        let wants = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            wants_html(&headers)
        };
        assert!(wants("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8") && wants("TEXT/HTML; q=0.5"));
        assert!(!wants("*/*") && !wants("application/json") && !wants_html(&HeaderMap::new()));
    }
}
