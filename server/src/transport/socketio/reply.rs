//! The one answer of a request.

use std::sync::Arc;

use serde::Serialize;
use shared::WireError;
use shared::events::{self, Answer, RequestFailed};
use socketioxide::socket::Socket;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::emit;
use super::hints::Hints;
use super::session::{RequestOrder, Session, UnansweredPermit};
use crate::chat;
use crate::chat::respond::Respond;
use crate::delivery::budget::OverBudget;
use crate::delivery::client::ConnectionId;
use crate::error;
use crate::metrics::METRICS;
use crate::transport::tcp::waiting::WaitingRequest;

/// What a request that is answered later takes in memory while it waits for its turn, beside what its client sent.
const WAITING_BYTES: usize = 2 << 10;

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
    /// It counts among the requests of its connection that wait for their answer.
    pub(super) permit: Option<UnansweredPermit>,
    /// A stop waits for it.
    pub(super) admitted: Option<TaskTrackerToken>,
    answered: bool,
}

impl Reply {
    /// The name of the event, as much of it as an error repeats.
    pub(super) fn event(&self) -> &str {
        &self.event
    }

    /// The answer to this event.
    pub(super) fn new(session: Arc<Session>, socket: Arc<Socket>, event: &str, ack: Option<i64>) -> Self {
        let event = error::short(event);
        Self {
            session,
            socket,
            event,
            ack,
            client_message_id: None,
            permit: None,
            admitted: None,
            answered: false,
        }
    }

    /// Looks for mistakes of the client, if that is wanted: what `look` is given says them, on the connection of this request. It is also
    /// given whether the request asks for an answer.
    pub(super) fn hint(&self, look: impl FnOnce(&Hints, &Socket, bool)) {
        if let Some(hints) = &self.session.hints {
            look(hints, &self.socket, self.ack.is_some());
        }
    }

    /// Runs `work` in a task and answers with its result. Answers of one connection keep their order: `work` begins when the
    /// request before it has been answered, and its answer written to the client. At most
    /// [`MAX_CONCURRENT_READS`](crate::chat::Reads) of all connections read at a time. Work is given up when the connection ends, so it
    /// should only read.
    pub fn later<T, F>(self, work: impl FnOnce(Arc<Session>) -> F + Send + 'static)
    where
        T: Serialize + Send + Sync,
        F: Future<Output = Result<T, chat::Error>> + Send,
    {
        self.later_then(work, |_, _| ());
    }

    /// As [`later`](Self::later); `then` runs when a good answer is on its way, before anything is sent after it.
    pub fn later_then<T, F>(
        self,
        work: impl FnOnce(Arc<Session>) -> F + Send + 'static,
        then: impl FnOnce(&Session, &T) + Send + 'static,
    ) where
        T: Serialize + Send + Sync,
        F: Future<Output = Result<T, chat::Error>> + Send,
    {
        self.in_order(|reply, mut order, waiting| async move {
            let session = Arc::clone(&reply.session);
            let working = async {
                session.may_begin(&mut order).await?;
                drop(waiting);
                // Boxed, and made now: a thousand can wait, and what the work of one needs is much.
                Ok(Box::pin(work(Arc::clone(&session))).await?)
            };
            if let Some(outcome) = session.link.gone().run_until_cancelled(working).await {
                reply.answer(outcome, then);
            }
            drop(order);
        });
    }

    /// As [`later`](Self::later) for work that changes something: what has begun is brought to its end, whether the
    /// connection is still there or not.
    pub fn later_to_the_end<T, F>(self, work: impl FnOnce(Arc<Session>) -> F + Send + 'static)
    where
        T: Serialize + Send + Sync,
        F: Future<Output = Result<T, chat::Error>> + Send,
    {
        self.in_order(|reply, mut order, waiting| async move {
            let session = Arc::clone(&reply.session);
            let begins = session
                .link
                .gone()
                .run_until_cancelled(session.may_begin(&mut order))
                .await;
            drop(waiting);
            if let Some(begins) = begins {
                let outcome = match begins {
                    // As above.
                    Ok(()) => Box::pin(work(Arc::clone(&session))).await.map_err(WireError::from),
                    Err(stopping) => Err(stopping),
                };
                reply.answer(outcome, |_, _| ());
            }
            drop(order);
        });
    }

    /// Runs `work` in a task. The request counts among those that wait until `work` drops the [`WaitingRequest`], and the next
    /// one of its connection begins after `work` has dropped the [`RequestOrder`].
    pub(super) fn in_order<F>(self, work: impl FnOnce(Self, RequestOrder, WaitingRequest) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let waiting = match self.waits() {
            Ok(waiting) => waiting,
            Err(OverBudget) => return self.error(error::too_much_waits()),
        };
        let order = self.session.next_in_order();
        let supervisor = self.session.supervisor.clone();
        supervisor.request(self.event.clone(), work(self, order, waiting));
    }

    /// Counts this request among those that wait for their turn.
    fn waits(&self) -> Result<WaitingRequest, OverBudget> {
        let sent = self.permit.as_ref().map_or(0, UnansweredPermit::bytes);
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

    /// It was refused or failed. A client that asked for no answer is sent that all the same.
    pub fn error(mut self, error: impl Into<WireError>) {
        self.refuse(error.into());
    }

    fn refuse(&mut self, error: WireError) {
        self.answered = true;
        let counted = match self.event == events::SEND_MESSAGE {
            true => &METRICS.sends_refused,
            false => &METRICS.events_refused,
        };
        counted.count(error.code);
        tracing::debug!(connection = self.session.link.name(), event = self.event, code = %error.code, "request: failed");
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

/// An answer that has no fields beside `ok`.
#[derive(Serialize)]
pub struct Nothing {}

impl Drop for Reply {
    /// Its owner has panicked, or was cut off at the end of a stop: the client is answered that.
    fn drop(&mut self) {
        if self.answered || !self.socket.connected() || self.session.link.gone().is_cancelled() {
            return;
        }
        let supervisor = &self.session.supervisor;
        let stopping = supervisor.stopping().is_cancelled();
        if stopping && supervisor.failed().is_none() {
            return self.refuse(error::cut_off());
        }
        // A part that panicked is logged by itself, and may have held thousands of these.
        if !stopping && !std::thread::panicking() {
            tracing::error!(
                connection = self.session.link.name(),
                event = self.event,
                "request: left unanswered"
            );
        }
        self.refuse(error::failed());
    }
}

impl Respond for Reply {
    fn connection(&self) -> ConnectionId {
        self.session.registration.id()
    }

    fn ok(self, answer: impl Serialize) {
        Self::ok(self, answer);
    }

    fn fail(self, error: chat::Error) {
        self.error(error);
    }
}
