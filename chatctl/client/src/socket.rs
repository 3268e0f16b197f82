//! One Socket.IO connection, from opening to its end. Reconnecting is not its business: whoever opens one does that.
//!
//! `rust_socketio` 0.6.0 is unmaintained, so it is touched in this file only, and its traps are closed here:
//! - `connect()` returns before the server has accepted the token: only [`SocketEvent::Connected`] means that it has;
//! - its own reconnecting is off: it would repeat an expired token for ever;
//! - ids of acknowledgements are random out of 999 and collide: one request at a time is unanswered, the others wait;
//! - its blocking client never ends its thread, which spins once the transport is lost. The asynchronous client is
//!   used instead, on a runtime of its own that is dropped with the connection, with every task and the TCP stream;
//! - it says nothing when a server ends the connection in order: its task just ends, which is looked for;
//! - it never notices that nothing comes any more: a [`Heartbeat`] does;
//! - callbacks hold up all dispatching: they only push into a channel.

use std::collections::VecDeque;
use std::error::Error;
use std::future::ready;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures_util::FutureExt;
use parking_lot::Mutex;
use rust_socketio::asynchronous::{Client, ClientBuilder};
use rust_socketio::{Event as LibraryEvent, Payload, TransportType};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shared::events::{self, Answer, ConnectError, RequestFailed};
use shared::sync::Resume;
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::MissedTickBehavior;

use super::announced_end::AnnouncedEnd;
use super::event::Event;
use super::heartbeat::{self, CHECK_INTERVAL, Check, Heartbeat};
use super::request::{Reply, Request, unknown_kind};

/// How long opening may take, up to the server's word that the token is good.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the network may take to take what is sent.
const SEND_TIMEOUT: Duration = Duration::from_secs(2);
/// How long saying goodbye may take.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);
/// Longer than anybody waits for an answer; who does, gives up the connection.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3_600);
/// The server said goodbye.
const SERVER_CLOSED: &str = "the server ended the connection, as it does when it is stopped";
/// It did not.
const CONNECTION_BROKE: &str = "the connection broke: the server was killed, or the network is gone";
/// It says nothing at all.
const NO_ANSWER: &str = "the server does not answer: it hangs, or the network is gone";
/// How the library begins the text of a refusal.
const REFUSAL_PREFIX: &str = "Received an ConnectError frame: ";

/// What happens on a connection, in order. After `Refused` or `Lost` there is nothing more to come.
#[derive(Debug)]
pub enum SocketEvent {
    /// The server accepted the token.
    Connected,
    /// The server refused the connection.
    Refused(ConnectError),
    /// The connection could not be made, or has ended.
    Lost(String),
    /// The server says something of its own accord.
    Event(Event),
    /// The answer to a request.
    Answered(Reply),
}

/// An open connection, or one that is being opened. Dropping it closes it.
#[derive(Debug)]
pub struct Connection {
    requests: UnboundedSender<Request>,
}

impl Connection {
    /// Begins to connect to where Socket.IO listens. With a cursor, or an empty text to begin, the server sends what was
    /// missed since and makes the events resumable.
    #[expect(
        clippy::disallowed_methods,
        reason = "what is asked is bounded by who asks; the library must never wait in a callback, and the server bounds what it sends"
    )]
    pub fn open(url: &str, token: &str, since: Option<&str>) -> (Self, UnboundedReceiver<SocketEvent>) {
        let (requests, incoming) = unbounded_channel();
        let (events, happening) = unbounded_channel();
        let url = url.to_owned();
        let auth = match since {
            Some(since) => json!({ "token": token, "since": since }),
            None => json!({ "token": token }),
        };
        thread::spawn(move || run(&url, auth, incoming, Events(events, AnnouncedEnd::default())));
        (Self { requests }, happening)
    }

    /// Asks for something. If it is to be answered and the connection holds, a [`SocketEvent::Answered`] comes.
    pub fn request(&self, request: Request) {
        // A connection that has ended has told so, or is about to.
        let _ = self.requests.send(request);
    }
}

fn run(url: &str, auth: Value, requests: UnboundedReceiver<Request>, events: Events) {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        // Dropping the runtime ends the library's tasks and closes the socket.
        Ok(runtime) => runtime.block_on(live(url, auth, requests, events)),
        Err(error) => events.push(SocketEvent::Lost(error.to_string())),
    }
}

async fn live(url: &str, auth: Value, mut requests: UnboundedReceiver<Request>, events: Events) {
    let accepted = Arc::new(Notify::new());
    let pending = Arc::new(PendingRequest::default());
    let heartbeat = Arc::new(Heartbeat::default());
    let opening = async {
        let client = builder(url, auth, &events, &accepted, &pending, &heartbeat)
            .connect()
            .await;
        if client.is_ok() {
            accepted.notified().await;
        }
        client
    };
    let opening = tokio::time::timeout(CONNECT_TIMEOUT, opening);
    tokio::pin!(opening);
    // What is asked for before there is a connection.
    let mut early = VecDeque::new();
    let client = loop {
        tokio::select! {
            opened = &mut opening => match opened {
                Ok(Ok(client)) => break client,
                Ok(Err(error)) => return events.push(SocketEvent::Lost(explain(&error))),
                Err(_) => {
                    return events.push(SocketEvent::Lost(format!("no answer for {} seconds", CONNECT_TIMEOUT.as_secs())));
                }
            },
            request = requests.recv() => match request {
                Some(request) => early.push_back(request),
                None => return,
            },
        }
    };
    let mut waiting = VecDeque::new();
    let mut checks = tokio::time::interval(CHECK_INTERVAL);
    checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut quiet = 0;
    // The library's tasks are all there are. One of them reads as long as there is a connection.
    let reads = || tokio::runtime::Handle::current().metrics().num_alive_tasks() > 0;
    loop {
        let request = match early.pop_front() {
            Some(request) => Some(request),
            None => tokio::select! {
                request = requests.recv() => match request {
                    Some(request) => Some(request),
                    None => break,
                },
                () = pending.free.notified(), if !waiting.is_empty() => None,
                _ = checks.tick() => match heartbeat.check(&mut quiet) {
                    _ if !reads() => return events.push(SocketEvent::Lost(SERVER_CLOSED.to_owned())),
                    Check::Wait => continue,
                    Check::Ask => {
                        sent(client.emit(heartbeat::PROBE_EVENT, json!({})), &events).await;
                        continue;
                    }
                    Check::Gone => return events.push(SocketEvent::Lost(NO_ANSWER.to_owned())),
                },
            },
        };
        match request {
            Some(request) if request.is_answered() => waiting.push_back(request),
            Some(request) => sent(client.emit(request.event(), request.payload()), &events).await,
            None => {}
        }
        if pending.is_free()
            && let Some(request) = waiting.pop_front()
        {
            ask(&client, request, &events, &pending, &heartbeat).await;
        }
    }
    // Politeness: the server would notice by itself.
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, client.disconnect()).await;
}

/// The one request that is unanswered. The lock is held for moments, never across an await.
#[derive(Debug, Default)]
struct PendingRequest {
    unanswered: Mutex<Option<Request>>,
    free: Notify,
}

impl PendingRequest {
    fn is_free(&self) -> bool {
        self.unanswered.lock().is_none()
    }

    /// Takes the unanswered request, if it is one that `fits`, for its answer has come.
    fn answered(&self, fits: impl FnOnce(&Request) -> bool) -> Option<Request> {
        let request = self.unanswered.lock().take_if(|request| fits(request));
        if request.is_some() {
            self.free.notify_one();
        }
        request
    }
}

async fn ask(
    client: &Client,
    request: Request,
    events: &Events,
    pending: &Arc<PendingRequest>,
    heartbeat: &Arc<Heartbeat>,
) {
    let (event, payload) = (request.event(), request.payload());
    *pending.unanswered.lock() = Some(request);
    let (answered, pending, heartbeat) = (events.clone(), Arc::clone(pending), Arc::clone(heartbeat));
    let callback = move |payload: Payload, _: Client| {
        heartbeat.received();
        if let Some(request) = pending.answered(|_| true) {
            answered.push(SocketEvent::Answered(request.reply(acknowledged(payload))));
        }
        ready(()).boxed()
    };
    sent(client.emit_with_ack(event, payload, ANSWER_TIMEOUT, callback), events).await;
}

/// Waits until the network has taken what `sending` sends, or tells that the connection is lost.
async fn sent(sending: impl Future<Output = Result<(), rust_socketio::Error>>, events: &Events) {
    let lost = match tokio::time::timeout(SEND_TIMEOUT, sending).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => explain(&error),
        Err(_) => NO_ANSWER.to_owned(),
    };
    events.push(SocketEvent::Lost(lost));
}

fn builder(
    url: &str,
    auth: Value,
    events: &Events,
    accepted: &Arc<Notify>,
    pending: &Arc<PendingRequest>,
    heartbeat: &Arc<Heartbeat>,
) -> ClientBuilder {
    let (accepted, pending, heard) = (Arc::clone(accepted), Arc::clone(pending), events.clone());
    let heartbeat = Arc::clone(heartbeat);
    ClientBuilder::new(url)
        .transport_type(TransportType::Websocket)
        .reconnect(false)
        .auth(auth)
        .on(
            LibraryEvent::Connect,
            events.callback(move |_| {
                accepted.notify_one();
                SocketEvent::Connected
            }),
        )
        .on(
            LibraryEvent::Close,
            events.callback(|_| SocketEvent::Lost(SERVER_CLOSED.to_owned())),
        )
        .on(LibraryEvent::Error, events.callback(trouble))
        .on_any(move |name, payload, _| {
            heartbeat.received();
            let event = event(name.into(), payload).filter(|event| !heartbeat::is_answer(event));
            if let Some(event) = event {
                heard.push(match unreadable(&event, &pending) {
                    Some(reply) => SocketEvent::Answered(reply),
                    None => SocketEvent::Event(event),
                });
            }
            ready(()).boxed()
        })
}

/// Where callbacks put what happens.
#[derive(Debug, Clone)]
struct Events(UnboundedSender<SocketEvent>, AnnouncedEnd);

impl Events {
    fn push(&self, mut event: SocketEvent) {
        match &mut event {
            SocketEvent::Event(event) => self.1.heard(event),
            SocketEvent::Lost(reason) => self.1.explain(reason),
            _ => {}
        }
        // Nobody listens any more when the connection was given up.
        let _ = self.0.send(event);
    }

    /// A callback in the shape the library wants.
    fn callback(
        &self,
        mut read: impl FnMut(Payload) -> SocketEvent + Send + Sync + 'static,
    ) -> impl FnMut(Payload, Client) -> futures_util::future::BoxFuture<'static, ()> + Send + Sync + 'static {
        let events = self.clone();
        move |payload, _| {
            events.push(read(payload));
            ready(()).boxed()
        }
    }
}

fn event(name: String, payload: Payload) -> Option<Event> {
    let Payload::Text(values) = payload else {
        // Binary, which this protocol does not use, and a form that the library has given up.
        return None;
    };
    let mut values = values.into_iter();
    let payload = values.next()?;
    let resume = values
        .next()
        .and_then(|value| serde_json::from_value::<Resume>(value).ok());
    let cursor = resume.map(|resume| resume.cursor);
    Some(Event { name, payload, cursor })
}

/// A request that the server could not read well enough to acknowledge it fails by an event.
fn unreadable(event: &Event, pending: &PendingRequest) -> Option<Reply> {
    if event.name != events::REQUEST_FAILED {
        return None;
    }
    let failed: RequestFailed = decode(event.payload.clone())?;
    let request = pending.answered(|request| request.event() == failed.event)?;
    Some(request.reply(Answer::Error(failed.error)))
}

fn decode<T: DeserializeOwned>(value: Value) -> Option<T> {
    serde_json::from_value(value).ok()
}

/// The argument of an acknowledgement.
fn acknowledged(payload: Payload) -> Answer<Value> {
    let value = match payload {
        // The library hands over an acknowledgement's arguments as one array.
        Payload::Text(values) => match values.into_iter().next() {
            Some(Value::Array(values)) => values.into_iter().next(),
            value => value,
        },
        _ => None,
    };
    let answer = value.and_then(decode);
    answer.unwrap_or_else(|| Answer::Error(unknown_kind()))
}

fn trouble(payload: Payload) -> SocketEvent {
    let text = match payload {
        Payload::Text(values) => values.into_iter().next().map_or_else(String::new, |value| match value {
            Value::String(text) => text,
            value => value.to_string(),
        }),
        _ => String::new(),
    };
    match text.strip_prefix(REFUSAL_PREFIX) {
        Some(refusal) => SocketEvent::Refused(serde_json::from_str(refusal).unwrap_or_else(|_| without_data(refusal))),
        // The library says "EngineIO Error", whatever it was.
        None => SocketEvent::Lost(CONNECTION_BROKE.to_owned()),
    }
}

/// A refusal whose reason is of a kind that this program does not know.
fn without_data(refusal: &str) -> ConnectError {
    let value = serde_json::from_str::<Value>(refusal).ok();
    let message = value.and_then(|value| value["message"].as_str().map(str::to_owned));
    ConnectError {
        message: message.unwrap_or_else(|| refusal.to_owned()),
        data: None,
    }
}

/// The innermost reason: the library's own texts say nothing.
fn explain(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    match innermost.downcast_ref::<io::Error>().map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => format!("no server listens there: {innermost}"),
        // As it shows to whoever sends, if that is before it shows to whoever reads.
        Some(
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof,
        ) => CONNECTION_BROKE.to_owned(),
        _ => innermost.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_connection_is_told_in_the_same_words_by_whichever_side_notices_it() {
        for kind in [io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe] {
            assert_eq!(explain(&io::Error::from(kind)), CONNECTION_BROKE);
        }
        let refused = explain(&io::Error::from(io::ErrorKind::ConnectionRefused));
        assert!(refused.starts_with("no server listens there"), "{refused}");
    }
}
