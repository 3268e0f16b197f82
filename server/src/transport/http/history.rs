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
use shared::{Message, UserId, WireError};

use super::extract;
use super::page::{Contents, PageQuery, Reader, Stretch};
use crate::app::App;
use crate::auth::Caller;
use crate::domain::Conversation;
use crate::error::{self, HttpError};

/// Handles the request.
pub async fn history(
    State(app): State<Arc<App>>,
    path: Result<Path<(String, String)>, PathRejection>,
    query: Result<Query<PageQuery>, QueryRejection>,
    mut parts: Parts,
) -> Result<Response, HttpError> {
    let (a, b) = extract::path(path)?;
    let conversation = Conversation::between(extract::id("user1Id", &a)?, extract::id::<UserId>("user2Id", &b)?);
    // Where anybody may read, each conversation has turns of its own.
    let mut user = conversation.low();
    if !app.config.legacy_open_history {
        let caller = Caller::from_request_parts(&mut parts, &app).await?;
        if !caller.admin && !conversation.includes(caller.user) {
            return Err(extract::forbidden("only the two people of a conversation may read it").into());
        }
        user = caller.user;
    }
    let Query(query) = query.map_err(|cause| error::invalid_request(cause.body_text()))?;
    let reader = Reader {
        app,
        user,
        chat: conversation,
    };
    let Some(page) = query.check()? else {
        return streamed(whole(reader)).await;
    };
    match page.read(&reader).await? {
        Contents::Whole(messages) => Ok(Json(messages).into_response()),
        Contents::Long(stretch) => streamed(pieces(reader, stretch)).await,
    }
}

/// The messages between two people in pieces, each read when the one before has been taken.
type Pieces = BoxStream<'static, Result<Vec<Message>, WireError>>;

/// All messages.
fn whole(reader: Reader) -> Pieces {
    let chunks = reader.app.store.history(reader.chat);
    stream::try_unfold((reader, chunks), async |(reader, mut chunks)| {
        let next = async { chunks.next().await.transpose() };
        let chunk: Option<Vec<Message>> = reader.app.read(reader.user, next).await?;
        Ok(chunk.map(|chunk| (chunk, (reader, chunks))))
    })
    .boxed()
}

/// Some of them.
fn pieces(reader: Reader, stretch: Stretch) -> Pieces {
    stream::try_unfold((reader, stretch), async |(reader, stretch)| {
        let next = stretch.next(&reader).await?;
        Ok(next.map(|(piece, rest)| (piece, (reader, rest))))
    })
    .boxed()
}

/// Streams messages. A failure at the start is an error like any other; one in the middle cuts the connection, so
/// that nobody takes the beginning for the whole.
async fn streamed(mut pieces: Pieces) -> Result<Response, HttpError> {
    let first = pieces.next().await.transpose()?.unwrap_or_default();
    let mut empty = true;
    let messages = stream::iter([Ok(first)]).chain(pieces).map(move |piece| match piece {
        Ok(piece) => json_items(&piece, &mut empty),
        Err(error) => {
            tracing::error!(code = %error.code, "a history was cut off in the middle");
            Err(std::io::Error::other(error.message))
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
