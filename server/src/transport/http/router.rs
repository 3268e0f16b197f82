//! The service of all requests: what is added to the table of routes.

use std::any::Any;
use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{Method, Uri};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use shared::{ErrorCode, WireError};
use socketioxide::layer::SocketIoLayer;
use tower::util::MapRequest;
use tower::{Layer, Service, ServiceExt};
use tower_http::catch_panic::CatchPanicLayer;

use super::extract::MAX_BODY_BYTES;
use super::hardening::{self, Hardening};
use super::{administration, cors, paths, strict};
use crate::config::paths::SOCKET_IO;
use crate::error::{self, HttpError};
use crate::transport::context::Context;
use crate::transport::tcp::answers;
use crate::transport::tcp::engine::{self, Gate};
use crate::transport::tcp::link::Sessions;
use crate::transport::tcp::origins::OriginCheck;
use crate::transport::tcp::registry::Closer;

/// The service of a server: the routes of both tables, Socket.IO, and what holds for all requests.
pub fn build(
    table: Router<Arc<Context>>,
    administrative: Router<Arc<Context>>,
    context: Arc<Context>,
    sockets: SocketIoLayer,
) -> Router {
    let origins = Arc::new(OriginCheck::new(context.config.cors_origins.clone()));
    let gate = Gate {
        origins: Arc::clone(&origins),
        registry: Arc::clone(&context.registry),
        sessions: Sessions::new(&context.registry),
    };
    let where_things_are = context.config.paths();
    let hardening = Hardening::new(context.config.listen.hsts_max_age);
    let guard = middleware::from_fn(administration::guard);
    let routes = table
        .merge(administrative.route_layer(guard))
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(context)
        .layer(CatchPanicLayer::custom(panicked))
        .merge(sockets_at(sockets, gate))
        .layer(cors::layer(&origins))
        .layer(middleware::from_fn(strict::strict))
        .layer(middleware::from_fn_with_state(origins, answers::charge))
        .layer(middleware::from_fn(strict::strict))
        .layer(middleware::from_fn_with_state(hardening, hardening::harden));
    // Outside of routing, which it is for.
    Router::new().fallback_service(MapRequest::new(routes, move |request: Request| {
        paths::route(&where_things_are, request)
    }))
}

/// Where Socket.IO listens. One service for all its routes: it owns the sessions.
fn sockets_at(layer: SocketIoLayer, gate: Gate) -> Router {
    let service = layer.layer(tower::service_fn(async |request: Request| {
        Ok::<_, Infallible>(
            unknown_route(request.method().clone(), request.uri().clone())
                .await
                .into_response(),
        )
    }));
    gate.registry.set_closer(closer(service.clone()));
    Router::new()
        .route_service(SOCKET_IO, service.clone())
        .route_service(&format!("{SOCKET_IO}/"), service)
        .layer(middleware::from_fn_with_state(gate, engine::pass))
}

/// Ends a session as its client would, with the packet that says so: the library has no other way.
fn closer<S>(service: S) -> Closer
where
    S: Service<Request, Error = Infallible, Future: Send> + Clone + Send + Sync + 'static,
{
    Box::new(move |id| {
        let uri = format!("{SOCKET_IO}/?EIO=4&transport=polling&sid={id}");
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
        format!("method {method} is not allowed for {:.128}", uri.path()),
    )
    .into()
}
