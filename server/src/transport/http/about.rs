//! What a stranger finds: what this server is.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::app::App;

/// `GET /`: what this is.
pub async fn about(State(app): State<Arc<App>>) -> Json<Value> {
    Json(json!({
        "server": "a one-to-one chat server",
        "protocol": shared::PROTOCOL_VERSION,
        "socketIo": format!("{}/", app.config.paths().socket()),
        "documents": ["README.md", "shared/PROTOCOL.md"],
        "health": "/readyz",
    }))
}
