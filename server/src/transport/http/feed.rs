//! `GET /chat/sync` and `GET /chat/conversations`: what the events `sync` and `conversations` answer.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::Deserialize;
use shared::conversation::Inbox;
use shared::events::Answer;
use shared::limits;
use shared::sync::{SyncRequest, Synced};

use super::extract::{Member, limit};
use crate::error::{self, HttpError};
use crate::transport::context::Context;

/// Query of both, as it comes.
#[derive(Deserialize)]
pub struct FeedQuery {
    since: Option<String>,
    cursor: Option<String>,
    limit: Option<String>,
}

/// `GET /chat/sync`, answered as the event is, `ok` included.
pub async fn sync(
    State(context): State<Arc<Context>>,
    Member(caller): Member,
    query: Result<Query<FeedQuery>, QueryRejection>,
) -> Result<Json<Answer<Synced>>, HttpError> {
    let Query(query) = query.map_err(|cause| error::invalid_request(error::shortened(&cause.body_text())))?;
    let request = SyncRequest {
        since: query.since,
        limit: limit(query.limit.as_deref())?,
    };
    Ok(Json(Answer::Ok(context.chat.sync(caller.user, request).await?)))
}

/// `GET /chat/conversations`.
pub async fn conversations(
    State(context): State<Arc<Context>>,
    Member(caller): Member,
    query: Result<Query<FeedQuery>, QueryRejection>,
) -> Result<Json<Inbox>, HttpError> {
    let Query(query) = query.map_err(|cause| error::invalid_request(error::shortened(&cause.body_text())))?;
    let limit = limit(query.limit.as_deref())?.unwrap_or(limits::DEFAULT_PAGE);
    let page = context.chat.conversations(caller.user, query.cursor.as_deref(), limit);
    Ok(Json(page.await?))
}
