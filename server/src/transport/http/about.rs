//! What a stranger finds: what this server is.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::transport::context::Context;

/// `GET /`: what this is.
pub async fn about(State(context): State<Arc<Context>>) -> Json<Value> {
    Json(json!({
        "server": "a one-to-one chat server",
        "protocol": shared::PROTOCOL_VERSION,
        "socketIo": format!("{}/", context.config.paths().socket()),
        "documents": ["README.md", "shared/PROTOCOL.md"],
        "health": "/readyz",
    }))
}
