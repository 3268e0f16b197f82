//! Every HTTP route and every Socket.IO event, on one screen.

use std::sync::Arc;

use axum::Router;
use axum::routing::{delete, get, post};
use shared::events;

use crate::config::paths::SOCKET_IO;
use crate::rates::Kind;
use crate::transport::context::Context;
use crate::transport::http::{
    admin, client, contract, feed, health, history, inspection, log_level, metrics, pages, playground, users,
};
use crate::transport::socketio::request::EventTable;
use crate::transport::socketio::{conversations, mark, presence, refresh_token, send_message, settings, sync, typing};

/// The events that clients may send, and the rate of its user that each counts for.
pub const EVENTS: EventTable = &[
    (events::SEND_MESSAGE, Kind::Message, send_message::handle),
    (events::SYNC, Kind::Read, sync::handle),
    (events::MARK_DELIVERED, Kind::Event, mark::delivered),
    (events::MARK_READ, Kind::Event, mark::read),
    (events::CONVERSATIONS, Kind::Read, conversations::handle),
    (events::SUBSCRIBE_PRESENCE, Kind::Event, presence::subscribe),
    (events::UNSUBSCRIBE_PRESENCE, Kind::Event, presence::unsubscribe),
    (events::TYPING, Kind::Typing, typing::handle),
    (events::UPDATE_SETTINGS, Kind::Event, settings::handle),
    (events::REFRESH_TOKEN, Kind::Event, refresh_token::handle),
];

/// The requests that clients may send. [`transport::http::router`](crate::transport::http::router) adds what holds for all.
pub fn routes() -> Router<Arc<Context>> {
    Router::new()
        .route("/", get(pages::home))
        .route("/pages/{file}", get(pages::file))
        .route("/docs", get(pages::docs))
        .route("/playground", get(pages::playground))
        .route("/playground/tokens", post(playground::tokens))
        .route("/chat/history/{user1}/{user2}", get(history::history))
        .route("/chat/conversations", get(feed::conversations))
        .route("/chat/sync", get(feed::sync))
        .route("/users", post(users::create).get(users::list))
        .route("/users/me", get(users::me))
        .route("/users/me/settings", get(users::settings).patch(users::change_settings))
        .route("/users/{id}", get(users::get))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route(&format!("{SOCKET_IO}/{{file}}"), get(client::file))
        .route("/openapi.json", get(contract::openapi))
        .route("/asyncapi.json", get(contract::asyncapi))
        .route("/llms.txt", get(contract::llms))
        .route("/assistants.md", get(contract::assistants))
}

/// The requests of administration, which are served where [`administration`](crate::transport::http::administration) says, to
/// administrators. Metrics need no token there.
pub fn administration() -> Router<Arc<Context>> {
    Router::new()
        .route("/metrics", get(metrics::metrics))
        .route("/admin/rebuild", post(health::rebuild))
        .route("/admin/doctor", get(inspection::doctor))
        .route("/admin/trace/{id}", get(inspection::trace))
        .route("/admin/users/{id}/revoke", post(admin::revoke))
        .route("/admin/users/{id}/ban", post(admin::ban))
        .route("/admin/users/{id}/unban", post(admin::unban))
        .route("/admin/users/{id}/connections", get(admin::connections))
        .route("/admin/connections/{id}", delete(admin::disconnect))
        .route("/admin/log-level", get(log_level::get).put(log_level::put))
}
