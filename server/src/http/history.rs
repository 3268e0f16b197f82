//! `GET /chat/history/{a}/{b}`: the messages between two users, as a page or as a stream of all.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::{header, request::Parts};
use axum::response::{IntoResponse, Response};
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use shared::{Message, UserId};

use super::extract;
use super::page::PageQuery;
use crate::app::App;
use crate::auth::Caller;
use crate::error::{self, HttpError};
use crate::store::{Conversation, StoreError};

/// Handles the request.
pub async fn history(
    State(app): State<Arc<App>>,
    path: Result<Path<(String, String)>, PathRejection>,
    query: Result<Query<PageQuery>, QueryRejection>,
    mut parts: Parts,
) -> Result<Response, HttpError> {
    let (a, b) = extract::path(path)?;
    let conversation = Conversation::between(extract::id("user1Id", &a)?, extract::id::<UserId>("user2Id", &b)?);
    if !app.config.legacy_open_history {
        let caller = Caller::from_request_parts(&mut parts, &app).await?;
        if !caller.admin && !conversation.includes(caller.user) {
            return Err(extract::forbidden("only the two people of a conversation may read it").into());
        }
    }
    let Query(query) = query.map_err(|cause| error::invalid_request(cause.body_text()))?;
    match query.check()? {
        Some(page) => Ok(Json(page.read(&*app.store, conversation).await?).into_response()),
        None => whole(app.store.history(conversation)).await,
    }
}

/// Streams everything. A failure at the start is an error like any other; one in the middle cuts the connection, so
/// that nobody takes the beginning for the whole.
async fn whole(mut chunks: BoxStream<'static, Result<Vec<Message>, StoreError>>) -> Result<Response, HttpError> {
    let first = match chunks.next().await {
        Some(Err(cause)) => return Err(error::store_error(cause).into()),
        Some(Ok(chunk)) => chunk,
        None => Vec::new(),
    };
    let mut empty = true;
    let messages = stream::iter([Ok(first)]).chain(chunks).map(move |chunk| match chunk {
        Ok(chunk) => json_items(&chunk, &mut empty),
        Err(cause) => {
            tracing::error!(error = %cause, "a history was cut off in the middle");
            Err(std::io::Error::other(cause))
        }
    });
    let fixed = |text: &'static [u8]| stream::iter([Ok(Bytes::from_static(text))]);
    let body = Body::from_stream(fixed(b"[").chain(messages).chain(fixed(b"]")));
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// A chunk as a part of a JSON array: with a comma in front of each message but the first of all.
fn json_items(chunk: &[Message], empty: &mut bool) -> Result<Bytes, std::io::Error> {
    let mut text = Vec::with_capacity(chunk.len() * 256);
    for message in chunk {
        if !std::mem::replace(empty, false) {
            text.push(b',');
        }
        serde_json::to_writer(&mut text, message)?;
    }
    Ok(text.into())
}
