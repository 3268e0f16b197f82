//! `GET /chat/history/{a}/{b}`: the messages between two users, as a page or as a stream of all.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::{header, request::Parts};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use shared::{Message, WireError};

use super::extract;
use crate::auth::Caller;
use crate::chat::history::{History, PageRequest, Pieces, check_reader};
use crate::domain::Conversation;
use crate::error::{self, HttpError};
use crate::transport::context::Context;

/// Query of the history endpoint, as it comes.
#[derive(Deserialize)]
pub struct PageQuery {
    limit: Option<String>,
    before: Option<String>,
    after: Option<String>,
    around: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

impl PageQuery {
    pub(super) fn decode(&self) -> Result<PageRequest, WireError> {
        let limit = extract::limit(self.limit.as_deref())?;
        let id = |name, text: &Option<String>| text.as_deref().map(|text| extract::id(name, text)).transpose();
        Ok(PageRequest {
            limit,
            before: id("before", &self.before)?,
            after: id("after", &self.after)?,
            around: id("around", &self.around)?,
            from: extract::parameter("from", self.from.as_deref())?,
            to: extract::parameter("to", self.to.as_deref())?,
        })
    }
}

/// Handles the request.
pub async fn history(
    State(context): State<Arc<Context>>,
    path: Result<Path<(String, String)>, PathRejection>,
    query: Result<Query<PageQuery>, QueryRejection>,
    mut parts: Parts,
) -> Result<Response, HttpError> {
    let (a, b) = extract::path(path)?;
    let caller = match context.config.legacy_open_history {
        true => None,
        false => Some(Caller::from_request_parts(&mut parts, &context).await?),
    };
    let [a, b] = extract::users(&context, [("user1Id", &a), ("user2Id", &b)]).await?;
    let conversation = Conversation::between(a, b);
    // Where anybody may read, each conversation has turns of its own.
    let mut reader = conversation.low();
    if let Some(caller) = caller {
        check_reader(caller, conversation)?;
        reader = caller.user;
    }
    let Query(query) = query.map_err(|cause| error::invalid_request(error::shortened(&cause.body_text())))?;
    match context.chat.history(reader, conversation, query.decode()?).await? {
        History::Page(messages) => Ok(Json(messages).into_response()),
        History::Pieces(pieces) => streamed(pieces).await,
    }
}

/// Streams messages. A failure at the start is an error like any other; one in the middle cuts the connection, so
/// that no client takes the beginning for the whole.
async fn streamed(mut pieces: Pieces) -> Result<Response, HttpError> {
    let first = pieces.next().await.transpose()?.unwrap_or_default();
    let mut empty = true;
    let messages = stream::iter([Ok(first)]).chain(pieces).map(move |piece| match piece {
        Ok(piece) => json_items(&piece, &mut empty),
        Err(error) => {
            let error = WireError::from(error);
            tracing::error!(code = %error.code, "history: cut off in the middle");
            Err(std::io::Error::other(error.message))
        }
    });
    let fixed = |text: &'static [u8]| stream::iter([Ok(Bytes::from_static(text))]);
    let body = Body::from_stream(fixed(b"[").chain(messages).chain(fixed(b"]")));
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// A chunk as a part of a JSON array: with a comma before each message but the first of all.
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
