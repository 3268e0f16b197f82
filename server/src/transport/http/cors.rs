//! What browsers let pages of other origins do.

use std::sync::Arc;
use std::time::Duration;

use axum::http::request::Parts;
use axum::http::{Method, header};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use crate::transport::tcp::origins::OriginCheck;

/// How long a browser need not ask again what a page may send: as long as any of them keeps that.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_secs(7_200);

/// The headers of answers, and the answers to questions of browsers.
pub(super) fn layer(origins: &Arc<OriginCheck>) -> CorsLayer {
    let layer = CorsLayer::new()
        .allow_methods([Method::GET, Method::POST, Method::PATCH])
        // Tracing and other libraries of pages add headers of their own, which do no harm.
        .allow_headers(AllowHeaders::mirror_request())
        .max_age(PREFLIGHT_MAX_AGE);
    match origins.is_open() {
        true => layer.allow_origin(tower_http::cors::Any),
        false => {
            let origins = Arc::clone(origins);
            let allowed = move |origin: &header::HeaderValue, request: &Parts| origins.allow(origin, &request.headers);
            layer
                .allow_origin(AllowOrigin::predicate(allowed))
                .allow_credentials(true)
        }
    }
}
