//! One event of a client, decoded, and its one answer.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::de::{self, DeserializeOwned, IgnoredAny, SeqAccess};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use shared::events::{self, Answer, RequestFailed};
use shared::{ErrorCode, WireError, limits};
use socketioxide::adapter::LocalAdapter;
use socketioxide::handler::MessageHandler;
use socketioxide::socket::Socket;
use socketioxide_core::Value;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::{Session, emit};
use crate::error;
use crate::routes;
use crate::transport::tcp::budget::{CONNECTION_BYTES, OverBudget};
use crate::transport::tcp::waiting::WaitingRequest;

/// Most bytes of one connection's requests that may wait for their answer. An answer repeats a message, and many can be
/// given at once: they have to fit into what may wait for the client to read them.
const UNANSWERED_BYTES: usize = CONNECTION_BYTES / 2;

/// What a request that is answered later takes in memory while it waits for its turn, beside what its client sent.
const WAITING_BYTES: usize = 2 << 10;

/// Takes every event of one connection, in order.
///
/// It stands in for the library's closures because those are spawned as tasks, one per event, which run in any order,
/// and are not called at all for payloads that they can't decode.
pub struct EventHandler {
    session: Arc<Session>,
}

impl EventHandler {
    /// The handler of a connection.
    pub fn new(session: Arc<Session>) -> Self {
        Self { session }
    }
}

/// Tells this handler from the library's closures in the type system.
pub struct Synchronous;

impl MessageHandler<LocalAdapter, Synchronous> for EventHandler {
    fn call(&self, socket: Arc<Socket>, value: Value, ack: Option<i64>) {
        let (text, attached) = match &value {
            Value::Str(text, attachments) => (text.as_str(), attachments.iter().flatten()),
            // The JSON parser makes none of these; an empty text is no event, and refused below.
            Value::Bytes(_) => ("", None.iter().flatten()),
        };
        let is_binary = attached.clone().next().is_some();
        let bytes = text.len() + attached.map(|one| one.len()).sum::<usize>();
        let packet: Packet<'_> = serde_json::from_str(text).unwrap_or_default();
        let mut reply = Reply::new(Arc::clone(&self.session), socket, &packet.event, ack);
        if bytes > limits::EVENT_BYTES {
            let message = format!(
                "the event is {bytes} bytes long; at most {} are allowed",
                limits::EVENT_BYTES
            );
            return reply.error(WireError::new(ErrorCode::PayloadTooLarge, message));
        }
        match self.session.app.admit() {
            Ok(token) => reply.admitted = Some(token),
            Err(error) => return reply.error(error),
        }
        let limit = self.session.app.config.max_unanswered_per_connection;
        if let Err(full) = reply.take_place(limit, bytes) {
            return reply.error(match full {
                Full::Requests => error::too_many_unanswered(limit),
                Full::Bytes => error::too_much_unanswered(UNANSWERED_BYTES),
            });
        }
        match routes::event(&packet.event) {
            Some(_) if is_binary => reply.error(error::invalid_request(
                "binary is not taken: no event has a use for a Buffer, Blob or typed array; send texts",
            )),
            Some(handle) => handle(reply, Payload(packet.payload)),
            None => {
                let known: Vec<&str> = routes::EVENTS.iter().map(|(name, _)| *name).collect();
                let known = known.join(", ");
                let message = format!("no event is called {:?}; known are {known}", reply.event);
                reply.error(WireError::new(ErrorCode::UnknownEvent, message));
            }
        }
    }
}

/// The first argument of an event, undecoded.
pub struct Payload<'a>(Option<&'a RawValue>);

impl Payload<'_> {
    /// Decodes it; an error says what was wrong with which field.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, WireError> {
        let raw = self
            .0
            .ok_or_else(|| error::invalid_request("the event needs one JSON object as its payload"))?;
        if !raw.get().starts_with('{') {
            return Err(error::invalid_request("the payload must be a JSON object"));
        }
        let mut json = serde_json::Deserializer::from_str(raw.get());
        serde_path_to_error::deserialize(&mut json).map_err(|cause| {
            let text = cause.inner().to_string();
            let text = error::half_character(&text).unwrap_or(&text);
            // The position counts from the start of the payload, which a client rarely sees as text.
            let what = text.split(" at line ").next().unwrap_or_default();
            error::invalid_request(match cause.path().iter().next() {
                Some(_) => format!("{}: {what}", cause.path()),
                None => what.to_owned(),
            })
        })
    }
}

/// An event as it comes: `["name", payload, …]`. Further arguments are ignored.
#[derive(Default)]
struct Packet<'a> {
    event: Cow<'a, str>,
    payload: Option<&'a RawValue>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Packet<'a> {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Packet<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array with the event's name first")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let event = seq.next_element::<Name<'de>>()?.map(|name| name.0).unwrap_or_default();
                let payload = seq.next_element()?;
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Packet { event, payload })
            }
        }

        deserializer.deserialize_seq(Visitor)
    }
}

/// A string that is borrowed unless it has escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// The answer that a request is owed. It is given by consuming it, so there can't be two; and dropped, it answers by
/// itself, so there can't be none.
pub struct Reply {
    /// Whose request it is.
    pub session: Arc<Session>,
    /// The id that the client gave the message, for clients that ask for no answer.
    pub client_message_id: Option<String>,
    socket: Arc<Socket>,
    event: String,
    ack: Option<i64>,
    /// Its place among the requests of its connection that wait for their answer.
    place: Option<Place>,
    /// A stop waits for it.
    admitted: Option<TaskTrackerToken>,
    answered: bool,
}

/// One of the requests of a connection that wait for their answer, and its bytes, until it is dropped.
struct Place(Arc<Session>, usize);

/// Why no more requests of a connection can wait.
enum Full {
    Requests,
    Bytes,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.unanswered.fetch_sub(1, Ordering::Relaxed);
        self.0.unanswered_bytes.fetch_sub(self.1, Ordering::Relaxed);
    }
}

impl Reply {
    fn new(session: Arc<Session>, socket: Arc<Socket>, event: &str, ack: Option<i64>) -> Self {
        let event = error::short(event);
        Self {
            session,
            socket,
            event,
            ack,
            client_message_id: None,
            place: None,
            admitted: None,
            answered: false,
        }
    }

    /// Counts this request of so many bytes among those that wait, unless `limit` or too many bytes do already.
    fn take_place(&mut self, limit: u32, bytes: usize) -> Result<(), Full> {
        let waiting = self.session.unanswered.fetch_add(1, Ordering::Relaxed);
        let before = self.session.unanswered_bytes.fetch_add(bytes, Ordering::Relaxed);
        let place = Place(Arc::clone(&self.session), bytes);
        if waiting >= limit {
            return Err(Full::Requests);
        }
        if before > 0 && before + bytes > UNANSWERED_BYTES {
            return Err(Full::Bytes);
        }
        self.place = Some(place);
        Ok(())
    }

    /// Answers later, with what `work` comes to. The requests of a connection that are answered later keep their order:
    /// `work` begins when the one before it has been answered, and its answer written to the client. It is given up when
    /// the connection ends, so it should only read; it takes its turn for that by itself ([`App::read`]).
    ///
    /// [`App::read`]: crate::app::App::read
    pub fn later<T, F>(self, work: impl FnOnce(Arc<Session>) -> F + Send + 'static)
    where
        T: Serialize + Send + Sync,
        F: Future<Output = Result<T, WireError>> + Send,
    {
        self.later_then(work, |_, _| ());
    }

    /// As [`later`](Self::later); `then` runs when a good answer is on its way, before anything is told after it.
    pub fn later_then<T, F>(
        self,
        work: impl FnOnce(Arc<Session>) -> F + Send + 'static,
        then: impl FnOnce(&Session, &T) + Send + 'static,
    ) where
        T: Serialize + Send + Sync,
        F: Future<Output = Result<T, WireError>> + Send,
    {
        let waiting = match self.waits() {
            Ok(waiting) => waiting,
            Err(OverBudget) => return self.error(error::too_much_waits()),
        };
        let mut turn = self.session.turn();
        let supervisor = self.session.app.supervisor.clone();
        supervisor.request(self.event.clone(), async move {
            let session = Arc::clone(&self.session);
            let working = async {
                session.may_begin(&mut turn).await?;
                drop(waiting);
                // In a place of its own, made now: a thousand can wait, and what the work of one needs is much.
                Box::pin(work(Arc::clone(&session))).await
            };
            if let Some(outcome) = session.link.gone().run_until_cancelled(working).await {
                self.answer(outcome, then);
            }
            drop(turn);
        });
    }

    /// As [`later`](Self::later) for work that changes something: what has begun is brought to its end, whether the
    /// connection is still there or not.
    pub fn later_to_the_end<T, F>(self, work: impl FnOnce(Arc<Session>) -> F + Send + 'static)
    where
        T: Serialize + Send + Sync,
        F: Future<Output = Result<T, WireError>> + Send,
    {
        let waiting = match self.waits() {
            Ok(waiting) => waiting,
            Err(OverBudget) => return self.error(error::too_much_waits()),
        };
        let mut turn = self.session.turn();
        let supervisor = self.session.app.supervisor.clone();
        supervisor.request(self.event.clone(), async move {
            let session = Arc::clone(&self.session);
            let begins = session
                .link
                .gone()
                .run_until_cancelled(session.may_begin(&mut turn))
                .await;
            drop(waiting);
            if let Some(begins) = begins {
                let outcome = match begins {
                    // As above.
                    Ok(()) => Box::pin(work(Arc::clone(&session))).await,
                    Err(stopping) => Err(stopping),
                };
                self.answer(outcome, |_, _| ());
            }
            drop(turn);
        });
    }

    /// Counts this request among those that wait for their turn.
    fn waits(&self) -> Result<WaitingRequest, OverBudget> {
        let sent = self.place.as_ref().map_or(0, |Place(_, bytes)| *bytes);
        WaitingRequest::new(&self.session.link, WAITING_BYTES + sent)
    }

    fn answer<T: Serialize>(self, outcome: Result<T, WireError>, then: impl FnOnce(&Session, &T)) {
        match outcome {
            Ok(fields) => {
                let session = Arc::clone(&self.session);
                self.ok(&fields);
                then(&session, &fields);
            }
            Err(error) => self.error(error),
        }
    }

    /// It was done.
    pub fn ok(mut self, fields: impl Serialize) {
        self.answered = true;
        if let Some(ack) = self.ack {
            self.acknowledge(ack, &Answer::Ok(fields));
        }
    }

    /// It was refused or failed. A client that asked for no answer hears of it all the same.
    pub fn error(mut self, error: WireError) {
        self.fail(error);
    }

    fn fail(&mut self, error: WireError) {
        self.answered = true;
        tracing::debug!(connection = %self.socket.id, event = self.event, code = %error.code, "a request failed");
        if let Some(ack) = self.ack {
            return self.acknowledge(ack, &Answer::<()>::Error(error));
        }
        let failed = RequestFailed {
            event: std::mem::take(&mut self.event),
            client_message_id: self.client_message_id.take(),
            error,
        };
        emit::event(&self.socket, events::REQUEST_FAILED, &failed);
    }

    fn acknowledge(&self, ack: i64, answer: &impl Serialize) {
        emit::answer(&self.socket, &self.session.link, ack, answer);
    }
}

impl Drop for Reply {
    /// Whoever held it has panicked, or was cut off at the end of a stop: the client is told.
    fn drop(&mut self) {
        if self.answered || !self.socket.connected() || self.session.link.gone().is_cancelled() {
            return;
        }
        let app = &self.session.app;
        let stopping = app.stopping.is_cancelled();
        if stopping && app.supervisor.failed().is_none() {
            return self.fail(error::cut_off());
        }
        // A part that panicked is logged by itself, and may have held thousands of these.
        if !stopping && !std::thread::panicking() {
            tracing::error!(connection = %self.socket.id, event = self.event, "a request was left unanswered");
        }
        self.fail(error::failed());
    }
}
