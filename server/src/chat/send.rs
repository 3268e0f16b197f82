//! Sending a message: check it, queue it to be stored, then answer the sender and deliver it.

use serde_json::value::to_raw_value;
use shared::UserId;
use shared::events::Sent;
use shared::trace::TraceEvent;

use super::Chat;
use super::commit::AppendOutcome;
use super::error::Error;
use super::respond::Respond;
use crate::delivery::Dispatcher;
use crate::domain::{ClientMessageId, NewMessage, Text};
use crate::message_trace;
use crate::metrics::METRICS;

/// A message as a client sends it.
pub struct SendRequest {
    /// For whom.
    pub receiver: UserId,
    /// The text.
    pub text: String,
    /// By what the sender knows it again, if it is sent once more.
    pub client_message_id: Option<String>,
}

impl<R: Respond> Chat<R> {
    /// Takes a message. It is answered through `respond` once it is stored or refused.
    pub fn send(&self, sender: UserId, request: SendRequest, respond: R) {
        let message = match self.check(sender, request) {
            Ok(message) => message,
            Err(error) => return respond.fail(error),
        };
        let (id, at) = (message.id, message.created_at);
        let known_by = message.client_message_id.as_ref();
        let known_by = known_by.map_or(0, |id| message_trace::fingerprint(id.as_str()));
        let trace = &self.dispatcher.trace;
        trace.record_at(id, TraceEvent::Received, at, known_by);
        if let Err((refused, respond)) = self.committer.submit(message, respond) {
            trace.record(id, TraceEvent::Refused, 0);
            respond.fail(refused.into());
        }
    }

    fn check(&self, sender: UserId, request: SendRequest) -> Result<NewMessage, Error> {
        let text = Text::new(request.text, self.max_message_bytes)?;
        let client_message_id = request.client_message_id.map(ClientMessageId::new).transpose()?;
        let (created_at, id) = self.message_ids.next();
        Ok(NewMessage {
            id,
            sender,
            receiver: request.receiver,
            text,
            client_message_id,
            created_at,
        })
    }
}

/// Answers the sender of a message whose commit has ended, then sends it to the receiver's connections and to the sender's other
/// ones. A sender who was answered before, that the store is unavailable, receives the message as the others do.
pub(super) fn finish<R: Respond>(dispatcher: &Dispatcher, committed: AppendOutcome<R>) {
    let AppendOutcome {
        outcome,
        deliver,
        reply,
        failed,
        at,
    } = committed;
    // Serialised once, however many connections receive it.
    let stored = outcome.map_err(Error::NotStored).and_then(|appended| {
        let document = to_raw_value(&appended.message)?;
        Ok((appended, document))
    });
    let (appended, document) = match stored {
        Ok(stored) => stored,
        Err(error) => {
            if let Some(id) = failed {
                dispatcher.trace.record_at(id, TraceEvent::NotCommitted, at, 0);
            }
            if let Some(reply) = reply {
                reply.fail(error);
            }
            return;
        }
    };
    let event = match appended.duplicate {
        false => TraceEvent::Committed,
        true => TraceEvent::Repeated,
    };
    dispatcher.trace.record_at(appended.message.id, event, at, 0);
    let origin = reply.as_ref().map(R::connection);
    if let Some(reply) = reply {
        match appended.duplicate {
            true => METRICS.duplicates.count(),
            false => METRICS.stored.count(),
        }
        reply.ok(Sent {
            message: &*document,
            duplicate: appended.duplicate,
        });
    }
    if deliver {
        dispatcher.message(&appended.message, &document, origin, at);
    }
}
