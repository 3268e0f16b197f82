//! Answers over HTTP, charged to their connection until they are written.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use axum::BoxError;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::body::{Frame, SizeHint};

use super::body::Bounded;
use super::connection::{CloseHandle, Connection, EndReason};
use super::link::Link;
use crate::error::{self, HttpError};

/// What a connection on a reserved place may ask for.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

/// Bounds the request's body in time, and charges the answer's to its connection.
pub async fn charge(request: Request, next: Next) -> Response {
    let handle = request.extensions().get::<CloseHandle>();
    // The connection of a request that is being answered is open.
    let Some(connection) = handle.and_then(CloseHandle::connection) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    if connection.is_reserved() && !PROBES.contains(&request.uri().path()) {
        return HttpError(error::no_place()).into_response();
    }
    let mut body_read = None;
    let request = if request.body().is_end_stream() {
        request
    } else {
        request.map(|body| {
            let body = Bounded::new(body);
            body_read = Some(body.counted());
            Body::new(body)
        })
    };
    let asks_about = request.method() == Method::HEAD;
    let response = next.run(request).await;
    connection.answered(body_read.map(|bytes| bytes.load(Ordering::Relaxed)));
    // Of what is only asked about no more than the head is written, see `axum`.
    if response.status() == StatusCode::SWITCHING_PROTOCOLS || asks_about {
        return response;
    }
    match response.body().size_hint().exact() {
        Some(0) => response,
        Some(bytes) => match connection
            .answers()
            .charge(usize::try_from(bytes).unwrap_or(usize::MAX))
        {
            Ok(()) => response,
            Err(_) => {
                // What a poll brings is lost with its answer, so the session must not go on.
                if let Some(link) = response.extensions().get::<Link>() {
                    link.end(EndReason::Unread);
                }
                HttpError(error::too_much_unread()).into_response()
            }
        },
        None => response.map(|body| Body::new(Streamed { body, connection })),
    }
}

/// A body that is charged piece by piece, as they are made.
struct Streamed {
    body: Body,
    connection: Arc<Connection>,
}

impl HttpBody for Streamed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            return Poll::Pending;
        };
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
            && self.connection.answers().charge(data.len()).is_err()
        {
            // hyper asks for the next piece when the ones before have nearly all been written; so this is the
            // process's bound, and the connection one of those that hold the most.
            self.connection.end(EndReason::Unread);
        }
        Poll::Ready(frame.map(|frame| frame.map_err(BoxError::from)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
