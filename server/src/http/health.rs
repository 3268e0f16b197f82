//! Is it alive, is it ready: for load balancers and orchestrators.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::app::App;

/// `GET /healthz`: the process runs and answers. It does not look at the store, whose failure a restart won't mend.
pub async fn healthz() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

/// `GET /readyz`: the server can do its work now; 503 while it stops or its store can't be reached.
pub async fn readyz(State(app): State<Arc<App>>) -> (StatusCode, Json<Value>) {
    let stopping = app.stopping.is_cancelled();
    let store = app.store.ping().await;
    if let Err(error) = &store {
        tracing::warn!(%error, "not ready");
    }
    let ready = !stopping && store.is_ok();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (
        status,
        Json(json!({"ready": ready, "stopping": stopping, "store": {"reachable": store.is_ok()}})),
    )
}
