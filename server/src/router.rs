//! Every route and every socket event, on one screen.

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::{Method, Uri, header};
use axum::middleware;
use axum::routing::{get, post};
use axum::{Router, http::request::Parts as RequestParts};
use shared::{ErrorCode, WireError, events};
use socketioxide::layer::SocketIoLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::app::App;
use crate::config::Origins;
use crate::error::HttpError;
use crate::http::{health, history, users};
use crate::net::detach::{Detach, detach};
use crate::socket::request::{Payload, Reply};
use crate::socket::send_message;

/// The names of the events that clients may send.
pub const EVENTS: &[&str] = &[events::SEND_MESSAGE];

/// What handles a client's event.
pub fn event(name: &str) -> Option<fn(Reply, Payload<'_>)> {
    Some(match name {
        events::SEND_MESSAGE => send_message::handle,
        _ => return None,
    })
}

/// What handles an HTTP request.
pub fn routes(app: Arc<App>, sockets: SocketIoLayer, origins: &Arc<Origins>) -> Router {
    let detached = Detach {
        origins: Arc::clone(origins),
        upgrades: Arc::clone(&app.upgrades),
    };
    Router::new()
        .route("/chat/history/{user1}/{user2}", get(history::history))
        .route("/users", post(users::create).get(users::list))
        .route("/users/me", get(users::me))
        .route("/users/{id}", get(users::get))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(users::BODY_BYTES))
        .with_state(app)
        .layer(sockets)
        .layer(middleware::from_fn_with_state(detached, detach))
        .layer(cors(origins))
}

async fn unknown_route(method: Method, uri: Uri) -> HttpError {
    WireError::new(ErrorCode::NotFound, format!("there is no {method} {:.128}", uri.path())).into()
}

async fn wrong_method(method: Method, uri: Uri) -> HttpError {
    WireError::new(
        ErrorCode::MethodNotAllowed,
        format!("{:.128} can't be asked with {method}", uri.path()),
    )
    .into()
}

fn cors(origins: &Arc<Origins>) -> CorsLayer {
    let layer = CorsLayer::new()
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE]);
    match **origins {
        Origins::Any => layer.allow_origin(tower_http::cors::Any),
        Origins::Only(_) => {
            let origins = Arc::clone(origins);
            let allowed = move |origin: &header::HeaderValue, _: &RequestParts| origins.allow(origin);
            layer
                .allow_origin(AllowOrigin::predicate(allowed))
                .allow_credentials(true)
        }
    }
}
