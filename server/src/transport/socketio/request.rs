//! One event of a client: checked, decoded, and handed to its handler.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{self, DeserializeOwned, IgnoredAny, SeqAccess};
use serde_json::value::RawValue;
use shared::{ErrorCode, WireError, limits};
use socketioxide::adapter::LocalAdapter;
use socketioxide::handler::MessageHandler;
use socketioxide::socket::Socket;
use socketioxide_core::Value;

use super::reply::Reply;
use super::session::{Full, MAX_UNANSWERED_BYTES, Session, UnansweredPermit};
use crate::error;
use crate::rates::Kind;
use crate::transport::context::Context;

/// What handles a client's event.
pub type Handler = fn(&Arc<Context>, Reply, Payload<'_>);

/// The events that clients may send, by name, each with the rate that it counts for.
pub type EventTable = &'static [(&'static str, Kind, Handler)];

/// Takes every event of one connection, in order.
///
/// It stands in for the library's closures because those are spawned as tasks, one per event, which run in any order,
/// and are not called at all for payloads that they can't decode.
pub struct EventHandler {
    context: Arc<Context>,
    events: EventTable,
    session: Arc<Session>,
}

impl EventHandler {
    /// The handler of a connection, for the events of this table.
    pub fn new(context: Arc<Context>, events: EventTable, session: Arc<Session>) -> Self {
        Self {
            context,
            events,
            session,
        }
    }
}

impl EventHandler {
    /// Refuses what its user does too often. If that goes on at full speed, the client is read more slowly: it is answered still,
    /// and costs no more than that.
    fn refuse(&self, reply: Reply, error: WireError) {
        let pause = self.context.rates.refused(&self.session.rates);
        if !pause.is_zero() {
            self.session.link.pause(pause);
        }
        reply.error(error);
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
        if let Some(error) = self.session.client.refusal() {
            return reply.error(error);
        }
        let place = self.events.iter().position(|(name, ..)| *name == packet.event);
        let row = place.map(|place| &self.events[place]);
        let kind = row.map_or(Kind::Event, |(_, kind, _)| *kind);
        if let Err(refused) = self.context.rates.count(&self.session.rates, kind) {
            return self.refuse(reply, error::too_many_of_user(kind, &refused));
        }
        if bytes > limits::EVENT_BYTES {
            let message = format!(
                "the event is {bytes} bytes long; at most {} are allowed",
                limits::EVENT_BYTES
            );
            return reply.error(WireError::new(ErrorCode::PayloadTooLarge, message));
        }
        match self.context.chat.admit() {
            Ok(token) => reply.admitted = Some(token),
            Err(error) => return reply.error(error),
        }
        let limit = self.context.config.limits.max_unanswered_per_connection;
        match UnansweredPermit::acquire(&self.session, limit, bytes) {
            Ok(permit) => reply.permit = Some(permit),
            Err(Full::Requests) => return reply.error(error::too_many_unanswered(limit)),
            Err(Full::Bytes) => return reply.error(error::too_much_unanswered(MAX_UNANSWERED_BYTES)),
        }
        if let Some(place) = place {
            self.session.client.sent_event(place);
        }
        match row {
            Some(_) if is_binary => reply.error(error::invalid_request(
                "binary is not taken: no event has a use for a Buffer, Blob or typed array; send texts",
            )),
            Some((.., handle)) => handle(&self.context, reply, Payload(packet.payload)),
            None => {
                reply.hint(|hints, socket, _| hints.look_at_unknown(socket, &packet.event));
                let known: Vec<&str> = self.events.iter().map(|(name, ..)| *name).collect();
                let known = known.join(", ");
                let message = format!("no event is called {:?}; known are {known}", reply.event());
                reply.error(WireError::new(ErrorCode::UnknownEvent, message));
            }
        }
    }
}

/// The first argument of an event, undecoded.
pub struct Payload<'a>(pub(super) Option<&'a RawValue>);

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
            let what = text.rsplit_once(" at line ").map_or(text, |(what, _)| what);
            let what = error::shortened(what);
            error::invalid_request(match cause.path().iter().next() {
                Some(_) => format!("{}: {what}", error::shortened(&cause.path().to_string())),
                None => what,
            })
        })
    }
}

/// An event as it comes: `["name", payload, …]`. Further arguments are ignored.
#[derive(Default)]
pub(super) struct Packet<'a> {
    pub(super) event: Cow<'a, str>,
    pub(super) payload: Option<&'a RawValue>,
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
