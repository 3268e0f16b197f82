//! Is it alive, is it ready: for load balancers and orchestrators. And building the inboxes anew, whose progress shows
//! there.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::extract::Admin;
use crate::app::App;
use crate::error::{self, HttpError};
use crate::storage::Projection;
use crate::telemetry;

/// `GET /healthz`: the process runs and answers. It does not look at the store, whose failure a restart won't mend.
pub async fn healthz() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

/// `GET /readyz`: the server can do its work now; 503 while it stops or its store can't be reached. Every reason is a
/// field of its own.
pub async fn readyz(State(app): State<Arc<App>>) -> (StatusCode, Json<Value>) {
    let stopping = app.stopping.is_cancelled();
    let reachable = app.store_check.reachable(&app.store).await;
    let ready = !stopping && reachable;
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (
        status,
        Json(json!({
            "ready": ready,
            "stopping": stopping,
            "store": {"reachable": reachable},
            "inbox": inbox(&app),
            "log": {"lostLines": telemetry::lost_lines()},
        })),
    )
}

/// `POST /admin/rebuild`: begins to build all inboxes anew, in the background.
pub async fn rebuild(State(app): State<Arc<App>>, _: Admin) -> Result<(StatusCode, Json<Value>), HttpError> {
    let _admitted = app.admit()?;
    app.store.rebuild().await.map_err(error::store_error)?;
    Ok((StatusCode::ACCEPTED, Json(json!({"inbox": inbox(&app)}))))
}

/// How far the inboxes are built. It does not decide whether the server is ready: the rest of it works without.
fn inbox(app: &App) -> Value {
    let Projection {
        ready,
        building,
        done,
        total,
    } = app.store.projection();
    json!({"ready": ready, "building": building, "done": done, "total": total})
}
