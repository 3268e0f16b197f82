//! `GET /chat/sync` and `GET /chat/conversations`: what the events `sync` and `conversations` answer.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::Deserialize;
use shared::conversation::Inbox;
use shared::events::Answer;
use shared::limits;
use shared::sync::{Sync, Synced};

use super::extract::Member;
use super::page::limit;
use crate::app::App;
use crate::error::{self, HttpError};
use crate::transport::socketio;

/// Query of both, as it comes.
#[derive(Deserialize)]
pub struct FeedQuery {
    since: Option<String>,
    cursor: Option<String>,
    limit: Option<String>,
}

/// `GET /chat/sync`, answered as the event is, `ok` included.
pub async fn sync(
    State(app): State<Arc<App>>,
    Member(caller): Member,
    query: Result<Query<FeedQuery>, QueryRejection>,
) -> Result<Json<Answer<Synced>>, HttpError> {
    let Query(query) = query.map_err(|cause| error::invalid_request(cause.body_text()))?;
    let request = Sync {
        since: query.since,
        limit: limit(query.limit.as_deref())?,
    };
    Ok(Json(Answer::Ok(
        socketio::sync::page(&app, caller.user, request).await?,
    )))
}

/// `GET /chat/conversations`.
pub async fn conversations(
    State(app): State<Arc<App>>,
    Member(caller): Member,
    query: Result<Query<FeedQuery>, QueryRejection>,
) -> Result<Json<Inbox>, HttpError> {
    let Query(query) = query.map_err(|cause| error::invalid_request(cause.body_text()))?;
    let limit = limit(query.limit.as_deref())?.unwrap_or(limits::DEFAULT_PAGE);
    let page = socketio::conversations::page(&app, caller.user, query.cursor.as_deref(), limit).await?;
    Ok(Json(page))
}
