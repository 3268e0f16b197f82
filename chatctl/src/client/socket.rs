//! One Socket.IO connection, from opening to its end. Reconnecting is not its business: see [`crate::chat`].
//!
//! `rust_socketio` 0.6.0 is unmaintained, so it is touched in this file only, and its traps are closed here:
//! - `connect()` returns before the server has accepted the token: only [`SocketEvent::Connected`] means that it has;
//! - its own reconnecting is off: it would repeat an expired token for ever;
//! - ids of acknowledgements are random out of 999 and collide: the caller keeps one request unanswered at a time;
//! - its blocking client never ends its thread, which spins once the transport is lost. The asynchronous client is
//!   used instead, on a runtime of its own that is dropped with the connection, with every task and the TCP stream;
//! - callbacks hold up all dispatching: they only push into a channel.

use std::error::Error;
use std::future::ready;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures_util::FutureExt;
use rust_socketio::asynchronous::{Client, ClientBuilder};
use rust_socketio::{Event, Payload, TransportType};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shared::events::{self, Answer, RequestFailed, SendMessage, Sent};
use shared::{ErrorCode, Message, UserId, WireError};
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// How long opening may take, up to the server's word that the token is good.
const CONNECT: Duration = Duration::from_secs(10);
/// How long saying goodbye may take.
const GOODBYE: Duration = Duration::from_millis(500);
/// Longer than anybody waits for an answer; who does, gives up the connection.
const ANSWER: Duration = Duration::from_secs(3_600);
/// How the library begins the text of a refusal.
const REFUSAL: &str = "Received an ConnectError frame: ";

/// What happens on a connection, in order. After `Refused` or `Lost` there is nothing more to come.
#[derive(Debug)]
pub(crate) enum SocketEvent {
    /// The server accepted the token.
    Connected,
    /// The server refused the connection, with these words.
    Refused(String),
    /// The connection could not be made, or has ended.
    Lost(String),
    /// A message for this user.
    Received(Message),
    /// A message that this user sent over another connection.
    SentElsewhere(Message),
    /// The answer to [`Connection::send`].
    Answered(String, Answer<Sent>),
}

/// An open connection, or one that is being opened. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct Connection {
    requests: UnboundedSender<SendMessage>,
}

impl Connection {
    /// Begins to connect `user` to the server at `url`.
    pub(crate) fn open(url: &str, user: UserId, token: String) -> (Self, UnboundedReceiver<SocketEvent>) {
        let (requests, incoming) = unbounded_channel();
        let (events, happening) = unbounded_channel();
        let url = format!("{url}/socket.io/");
        thread::spawn(move || run(&url, user, &token, incoming, &Events(events)));
        (Self { requests }, happening)
    }

    /// Sends a message. The answer, if one comes, is a [`SocketEvent::Answered`] with its `clientMessageId`.
    pub(crate) fn send(&self, message: SendMessage) {
        // A connection that has ended has told so, or is about to.
        let _ = self.requests.send(message);
    }
}

fn run(url: &str, user: UserId, token: &str, requests: UnboundedReceiver<SendMessage>, events: &Events) {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        // Dropping the runtime ends the library's tasks and closes the socket.
        Ok(runtime) => runtime.block_on(live(url, user, token, requests, events)),
        Err(error) => events.push(SocketEvent::Lost(error.to_string())),
    }
}

async fn live(url: &str, user: UserId, token: &str, mut requests: UnboundedReceiver<SendMessage>, events: &Events) {
    let accepted = Arc::new(Notify::new());
    let opening = async {
        let client = builder(url, user, token, events, &accepted).connect().await;
        if client.is_ok() {
            accepted.notified().await;
        }
        client
    };
    tokio::pin!(opening);
    let patience = tokio::time::sleep(CONNECT);
    tokio::pin!(patience);
    let mut early = Vec::new();
    let client = loop {
        tokio::select! {
            opened = &mut opening => match opened {
                Ok(client) => break client,
                Err(error) => return events.push(SocketEvent::Lost(explain(&error))),
            },
            () = &mut patience => {
                return events.push(SocketEvent::Lost(format!("no answer for {} seconds", CONNECT.as_secs())));
            }
            request = requests.recv() => match request {
                Some(request) => early.push(request),
                None => return,
            },
        }
    };
    for request in early {
        emit(&client, request, events).await;
    }
    while let Some(request) = requests.recv().await {
        emit(&client, request, events).await;
    }
    // Politeness: the server would notice by itself.
    let _ = tokio::time::timeout(GOODBYE, client.disconnect()).await;
}

async fn emit(client: &Client, message: SendMessage, events: &Events) {
    let id = message.client_message_id.clone().unwrap_or_default();
    let payload = serde_json::to_value(&message).expect("a message is JSON");
    let answered = events.clone();
    let callback = move |payload: Payload, _: Client| {
        answered.push(SocketEvent::Answered(id.clone(), answer(payload)));
        ready(()).boxed()
    };
    if let Err(error) = client
        .emit_with_ack(events::SEND_MESSAGE, payload, ANSWER, callback)
        .await
    {
        events.push(SocketEvent::Lost(explain(&error)));
    }
}

fn builder(url: &str, user: UserId, token: &str, events: &Events, accepted: &Arc<Notify>) -> ClientBuilder {
    let accepted = Arc::clone(accepted);
    let received = events::receive_message(user);
    ClientBuilder::new(url)
        .transport_type(TransportType::Websocket)
        .reconnect(false)
        .auth(json!({ "token": token }))
        .on(
            Event::Connect,
            events.callback(move |_| {
                accepted.notify_one();
                Some(SocketEvent::Connected)
            }),
        )
        .on(
            Event::Close,
            events.callback(|_| Some(SocketEvent::Lost("the server ended the connection".to_owned()))),
        )
        .on(Event::Error, events.callback(|payload| Some(trouble(payload))))
        .on(
            received.as_str(),
            events.callback(|payload| decode(payload).map(SocketEvent::Received)),
        )
        .on(
            events::MESSAGE_SENT,
            events.callback(|payload| decode(payload).map(SocketEvent::SentElsewhere)),
        )
        .on(
            events::REQUEST_FAILED,
            events.callback(|payload| decode(payload).and_then(failure)),
        )
}

/// Where callbacks put what happens.
#[derive(Debug, Clone)]
struct Events(UnboundedSender<SocketEvent>);

impl Events {
    fn push(&self, event: SocketEvent) {
        // Nobody listens any more when the connection was given up.
        let _ = self.0.send(event);
    }

    /// A callback in the shape the library wants.
    fn callback(
        &self,
        mut read: impl FnMut(Payload) -> Option<SocketEvent> + Send + Sync + 'static,
    ) -> impl FnMut(Payload, Client) -> futures_util::future::BoxFuture<'static, ()> + Send + Sync + 'static {
        let events = self.clone();
        move |payload, _| {
            if let Some(event) = read(payload) {
                events.push(event);
            }
            ready(()).boxed()
        }
    }
}

/// The first value of a payload.
fn first(payload: Payload) -> Option<Value> {
    match payload {
        Payload::Text(values) => values.into_iter().next(),
        // Binary, which this protocol does not use, and a form that the library has given up.
        _ => None,
    }
}

fn decode<T: DeserializeOwned>(payload: Payload) -> Option<T> {
    serde_json::from_value(first(payload)?).ok()
}

/// Every request here asks for an answer; the server may still be unable to tell which one it was.
fn failure(failed: RequestFailed) -> Option<SocketEvent> {
    Some(SocketEvent::Answered(
        failed.client_message_id?,
        Answer::Error(failed.error),
    ))
}

fn answer(payload: Payload) -> Answer<Sent> {
    let value = match first(payload) {
        // The library hands over an acknowledgement's arguments as one array.
        Some(Value::Array(values)) => values.into_iter().next(),
        value => value,
    };
    value
        .and_then(|value| serde_json::from_value(value).ok())
        .unwrap_or_else(|| {
            Answer::Error(WireError::new(
                ErrorCode::Internal,
                "the server's answer is of a kind that this chatctl doesn't know",
            ))
        })
}

fn trouble(payload: Payload) -> SocketEvent {
    let text = match payload {
        Payload::Text(values) => values.into_iter().next().map_or_else(String::new, |value| match value {
            Value::String(text) => text,
            value => value.to_string(),
        }),
        _ => String::new(),
    };
    match text.strip_prefix(REFUSAL) {
        Some(refusal) => {
            let message = serde_json::from_str::<Value>(refusal)
                .ok()
                .and_then(|value| value["message"].as_str().map(str::to_owned));
            SocketEvent::Refused(message.unwrap_or_else(|| refusal.to_owned()))
        }
        // The library says "EngineIO Error", whatever it was.
        None => SocketEvent::Lost("the connection broke".to_owned()),
    }
}

/// The innermost reason: the library's own texts say nothing.
fn explain(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
