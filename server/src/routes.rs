//! Every route and every socket event, on one screen.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{Method, Uri, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, http::request::Parts as RequestParts};
use shared::{ErrorCode, WireError, events};
use socketioxide::layer::SocketIoLayer;
use tower::util::MapRequest;
use tower::{Layer, Service, ServiceExt};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use crate::app::App;
use crate::error::{self, HttpError};
use crate::transport::http::{about, client, feed, health, history, paths, strict, users};
use crate::transport::socketio::request::{Payload, Reply};
use crate::transport::socketio::{conversations, mark, presence, send_message, settings, sync, typing};
use crate::transport::tcp::registry::Closer;
use crate::transport::tcp::{answers, engine, origins::OriginCheck};

/// How long a browser need not ask again what a page may send: as long as any of them keeps that.
const PREFLIGHT: Duration = Duration::from_secs(7_200);

/// What handles a client's event.
type Handler = fn(Reply, Payload<'_>);

/// The events that clients may send.
pub const EVENTS: &[(&str, Handler)] = &[
    (events::SEND_MESSAGE, send_message::handle),
    (events::SYNC, sync::handle),
    (events::MARK_DELIVERED, mark::delivered),
    (events::MARK_READ, mark::read),
    (events::CONVERSATIONS, conversations::handle),
    (events::SUBSCRIBE_PRESENCE, presence::subscribe),
    (events::UNSUBSCRIBE_PRESENCE, presence::unsubscribe),
    (events::TYPING, typing::handle),
    (events::UPDATE_SETTINGS, settings::handle),
];

/// What handles the event of this name.
pub fn event(name: &str) -> Option<Handler> {
    EVENTS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, handler)| *handler)
}

/// What handles an HTTP request.
pub fn routes(app: Arc<App>, sockets: SocketIoLayer, origins: &Arc<OriginCheck>) -> Router {
    let gate = engine::Gate {
        origins: Arc::clone(origins),
        registry: Arc::clone(&app.registry),
    };
    let where_things_are = app.config.paths();
    let routes = Router::new()
        .route("/", get(about::about))
        .route("/chat/history/{user1}/{user2}", get(history::history))
        .route("/chat/conversations", get(feed::conversations))
        .route("/chat/sync", get(feed::sync))
        .route("/users", post(users::create).get(users::list))
        .route("/users/me", get(users::me))
        .route("/users/me/settings", get(users::settings).patch(users::change_settings))
        .route("/users/{id}", get(users::get))
        .route("/admin/rebuild", post(health::rebuild))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route(&format!("{}/{{file}}", engine::PATH), get(client::file))
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(users::BODY_BYTES))
        .with_state(app)
        .layer(CatchPanicLayer::custom(panicked))
        .merge(sockets_at(sockets, gate))
        .layer(cors(origins))
        .layer(middleware::from_fn(strict::strict))
        .layer(middleware::from_fn(answers::charge))
        .layer(middleware::from_fn(strict::strict));
    // Outside of routing, which it is for.
    Router::new().fallback_service(MapRequest::new(routes, move |request: Request| {
        where_things_are.route(request)
    }))
}

/// Where Socket.IO listens. One service for all its routes: it owns the sessions.
fn sockets_at(layer: SocketIoLayer, gate: engine::Gate) -> Router {
    let service = layer.layer(tower::service_fn(async |request: Request| {
        Ok::<_, Infallible>(
            unknown_route(request.method().clone(), request.uri().clone())
                .await
                .into_response(),
        )
    }));
    gate.registry.closes_by(closer(service.clone()));
    Router::new()
        .route_service(engine::PATH, service.clone())
        .route_service(&format!("{}/", engine::PATH), service)
        .layer(middleware::from_fn_with_state(gate, engine::pass))
}

/// Ends a session as its client would, with the packet that says so: the library has no other way.
fn closer<S>(service: S) -> Closer
where
    S: Service<Request, Error = Infallible, Future: Send> + Clone + Send + Sync + 'static,
{
    Box::new(move |id| {
        let uri = format!("{}/?EIO=4&transport=polling&sid={id}", engine::PATH);
        let service = service.clone();
        if let Ok(request) = Request::post(uri).body(Body::from("1")) {
            tokio::spawn(async move { service.oneshot(request).await.map(drop) });
        }
    })
}

/// A request whose handler panicked, which has been logged.
fn panicked(_: Box<dyn Any + Send>) -> Response {
    HttpError(error::failed()).into_response()
}

async fn unknown_route(method: Method, uri: Uri) -> HttpError {
    WireError::new(
        ErrorCode::NotFound,
        format!("there is no {method} {:.128}", paths::as_asked(&uri)),
    )
    .into()
}

async fn wrong_method(method: Method, uri: Uri) -> HttpError {
    WireError::new(
        ErrorCode::MethodNotAllowed,
        format!("{:.128} can't be asked with {method}", uri.path()),
    )
    .into()
}

fn cors(origins: &Arc<OriginCheck>) -> CorsLayer {
    let layer = CorsLayer::new()
        .allow_methods([Method::GET, Method::POST, Method::PATCH])
        // Tracing and other libraries of pages add headers of their own, which do no harm.
        .allow_headers(AllowHeaders::mirror_request())
        .max_age(PREFLIGHT);
    match origins.is_open() {
        true => layer.allow_origin(tower_http::cors::Any),
        false => {
            let origins = Arc::clone(origins);
            let allowed =
                move |origin: &header::HeaderValue, request: &RequestParts| origins.allow(origin, &request.headers);
            layer
                .allow_origin(AllowOrigin::predicate(allowed))
                .allow_credentials(true)
        }
    }
}
