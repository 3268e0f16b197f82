//! Answers over HTTP, charged to their connection and to the user who asked until they are written.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use axum::BoxError;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::body::{Frame, SizeHint};
use shared::{UserId, WireError};

use super::body::Bounded;
use super::connection::{CloseHandle, Connection};
use super::end_reason::EndReason;
use super::link::Link;
use super::origins::OriginCheck;
use crate::delivery::budget::{OWN_BYTES, OfUser, OverBudget};
use crate::error::{self, HttpError};

/// What a connection on a reserved place may ask for.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

/// Bounds the request's body in time, and charges the answer's to its connection.
pub async fn charge(State(origins): State<Arc<OriginCheck>>, request: Request, next: Next) -> Response {
    let handle = request.extensions().get::<CloseHandle>();
    // The connection of a request that is being answered is open.
    let Some(connection) = handle.and_then(CloseHandle::connection) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    if connection.is_reserved() && !PROBES.contains(&request.uri().path()) {
        return refuse(error::no_place(), request.headers(), &origins);
    }
    let registry = connection.registry();
    let client = connection.client().of_request(request.headers(), registry);
    let counted = client.count_request(registry);
    let mut request = request;
    request.extensions_mut().insert(client);
    if let Err(too_often) = counted {
        registry.count_refused_request();
        let mut refused = refuse(error::too_many_of_address(&too_often), request.headers(), &origins);
        // The next one needs a new connection, of which there are fewer.
        let close = HeaderValue::from_static("close");
        refused.headers_mut().insert(header::CONNECTION, close);
        connection.answered(None);
        return refused;
    }
    let mut body_read = None;
    let mut request = if request.body().is_end_stream() {
        request
    } else {
        request.map(|body| {
            let body = Bounded::new(body);
            body_read = Some(body.counted());
            Body::new(body)
        })
    };
    let asker = Asker::default();
    request.extensions_mut().insert(asker.clone());
    let asks_about = request.method() == Method::HEAD;
    let response = next.run(request).await;
    connection.answered(body_read);
    // Of what is only asked about no more than the head is written, see `axum`.
    if response.status() == StatusCode::SWITCHING_PROTOCOLS || asks_about {
        return response;
    }
    if response.extensions().get::<HeldOnce>().is_some() {
        let bytes = response.body().size_hint().lower();
        connection.answers_with_held_once(usize::try_from(bytes).unwrap_or(usize::MAX));
        return response;
    }
    let link = response.extensions().get::<Link>().cloned();
    let user = link.as_ref().map_or_else(|| asker.user(), Link::user);
    match response.body().size_hint().exact() {
        Some(0) => response,
        Some(bytes) => {
            let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
            match charge_user(&connection, user, bytes)
                .and_then(|of_user| connection.answers().charge(bytes).map(|()| of_user))
            {
                Ok(None) => response,
                Ok(of_user) => response.map(|body| Body::new(whole(body, bytes, of_user))),
                Err(OverBudget) => {
                    // What a poll brings is lost with its answer, so the session must not go on.
                    if let Some(link) = link {
                        link.end(EndReason::Unread);
                    }
                    HttpError(error::too_much_unread()).into_response()
                }
            }
        }
        None => response.map(|body| Body::new(streamed(body, connection, user))),
    }
}

/// An answer that is given before anything else is done. A page that may connect can read why.
fn refuse(error: WireError, asked: &HeaderMap, origins: &OriginCheck) -> Response {
    let mut refused = HttpError(error).into_response();
    if let Some(origin) = asked.get(header::ORIGIN).filter(|origin| origins.allow(origin, asked)) {
        let headers = refused.headers_mut();
        if origins.is_open() {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        } else {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(
                header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
                HeaderValue::from_static("true"),
            );
            headers.insert(header::VARY, HeaderValue::from_static("origin"));
        }
    }
    refused
}

/// Who asks, once it is known. It travels with the request.
#[derive(Clone, Default)]
pub struct Asker(Arc<OnceLock<UserId>>);

impl Asker {
    /// It is this user.
    pub fn is(&self, user: UserId) {
        // A request has one token.
        let _ = self.0.set(user);
    }

    fn user(&self) -> Option<UserId> {
        self.0.get().copied()
    }
}

/// Marks an answer of which all that it holds is there once for all who ask: it costs nothing that one more waits for it.
#[derive(Debug, Clone, Copy)]
pub struct HeldOnce;

/// Charges a piece of an answer to the user who asked, if it is more than anybody may leave unread. The connection can't be
/// charged in the user's stead: a proxy's carries the requests of many.
fn charge_user(connection: &Connection, user: Option<UserId>, bytes: usize) -> Result<Option<OfUser>, OverBudget> {
    match user {
        Some(user) if bytes > OWN_BYTES => connection.registry().budget.charge_user(user, bytes).map(Some),
        _ => Ok(None),
    }
}

/// A piece of an answer, charged to a user until it is written: hyper drops it then.
struct Piece {
    data: Bytes,
    _of_user: OfUser,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

fn piece(data: Bytes, of_user: Option<OfUser>) -> Bytes {
    match of_user {
        Some(of_user) => Bytes::from_owner(Piece {
            data,
            _of_user: of_user,
        }),
        None => data,
    }
}

/// A body that was charged as a whole.
fn whole(body: Body, bytes: usize, of_user: Option<OfUser>) -> impl HttpBody<Data = Bytes, Error = BoxError> {
    let (mut left, mut of_user) = (bytes, of_user);
    // All of it is one piece; of more than one the last would be charged.
    let charge = move |length| {
        left = left.saturating_sub(length);
        if left == 0 { of_user.take() } else { None }
    };
    Charged { body, charge }
}

/// A body that is charged piece by piece, as they are made.
fn streamed(
    body: Body,
    connection: Arc<Connection>,
    user: Option<UserId>,
) -> impl HttpBody<Data = Bytes, Error = BoxError> {
    let charge = move |length| {
        let charged = charge_user(&connection, user, length)
            .and_then(|of_user| connection.answers().charge(length).map(|()| of_user));
        charged.unwrap_or_else(|OverBudget| {
            // hyper asks for the next piece when the ones before have nearly all been written; so this is the
            // user's or the process's bound, and the connection one of those that hold the most.
            connection.end(EndReason::Unread);
            None
        })
    };
    Charged { body, charge }
}

/// A body of whose pieces each goes with what `charge` returns for its length.
struct Charged<F> {
    body: Body,
    charge: F,
}

impl<F: FnMut(usize) -> Option<OfUser> + Unpin> HttpBody for Charged<F> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            return Poll::Pending;
        };
        Poll::Ready(frame.map(|frame| {
            Ok(match frame?.into_data() {
                Ok(data) => {
                    let of_user = (self.charge)(data.len());
                    Frame::data(piece(data, of_user))
                }
                Err(other) => other,
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
