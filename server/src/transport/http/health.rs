//! Is it alive, is it ready: for load balancers and orchestrators. And building the inboxes anew, whose progress shows
//! there.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};
use shared::diagnosis::InboxFacts;

use super::extract::Admin;
use crate::error::HttpError;
use crate::storage::Projection;
use crate::telemetry;
use crate::transport::context::Context;

/// `GET /healthz`: the process runs and answers. It does not look at the store, whose failure a restart won't mend.
pub async fn healthz() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

/// `GET /readyz`: the server can do its work now; 503 while it stops or its store can't be reached. Every reason is a
/// field of its own.
pub async fn readyz(State(context): State<Arc<Context>>) -> (StatusCode, Json<Value>) {
    let stopping = context.supervisor.stopping().is_cancelled();
    let reachable = context.store_check.reachable(&context.store).await;
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
            "inbox": inbox(&context),
            "log": {"lostLines": telemetry::lost_lines()},
        })),
    )
}

/// `POST /admin/rebuild`: begins to build all inboxes anew, in the background.
pub async fn rebuild(State(context): State<Arc<Context>>, _: Admin) -> Result<(StatusCode, Json<Value>), HttpError> {
    context.chat.rebuild().await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"inbox": inbox(&context)}))))
}

/// How far the inboxes are built. It does not decide whether the server is ready: the rest of it works without.
pub(super) fn inbox(context: &Context) -> InboxFacts {
    let Projection {
        ready,
        building,
        done,
        total,
    } = context.chat.projection();
    InboxFacts {
        ready,
        building,
        done,
        total,
    }
}
