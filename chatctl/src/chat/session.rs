//! The rules of a conversation, as a state machine without terminal, network or clock: facts go in as method calls
//! with the time they happened at, and [`Effect`]s come out.
//!
//! - One message is in flight at a time; it is repeated under the same `clientMessageId` until the server has stored
//!   or refused it for good.
//! - After every connect, the conversations seen so far are caught up. What arrives meanwhile is held back, so that it
//!   is shown behind what was missed.
//! - A message of this user's own whose draft may still be unanswered is held back too: it may be that draft, stored
//!   by a try whose answer was lost.

mod hearing;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use shared::events::{Answer, SEND_MESSAGE, SendMessage, Sent};
use shared::limits::EVENT_BYTES;
use shared::{ErrorCode, UserId, WireError};

use self::hearing::{Heard, Task};
use super::Report;
use super::outbox::{Draft, Outbox};
use super::timeline::Timeline;
use crate::client::http::Page;

/// An answer that takes longer than this won't come: the connection is given up.
const ANSWER: Duration = Duration::from_secs(15);
/// After this time without an answer the user is told that it takes long.
const SLOW: Duration = Duration::from_secs(1);
/// The pause before a refused message is repeated, if the server named none, and the longest it may name.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// The pause before history is asked for again.
const REFETCH: Duration = Duration::from_secs(2);

/// What is to be done outside.
#[derive(Debug, PartialEq)]
pub(crate) enum Effect {
    /// Send this over the connection.
    Send(SendMessage),
    /// Fetch these messages of the conversation with `with`, and hand them to [`Session::fetched`] with the ticket.
    Fetch {
        /// The number of the request.
        ticket: u64,
        /// With whom.
        with: UserId,
        /// Which.
        page: Page,
    },
    /// Close the connection and make another one.
    Hangup(&'static str),
    /// Show this.
    Report(Report),
}

/// One user's chat.
#[derive(Debug)]
pub(crate) struct Session {
    me: UserId,
    peer: UserId,
    online: bool,
    opened: bool,
    outbox: Outbox,
    timeline: Timeline,
    tasks: VecDeque<Task>,
    ticket: u64,
    held: Vec<Heard>,
    effects: VecDeque<Effect>,
    slow_at: Option<Instant>,
    answer_by: Option<Instant>,
    retry_at: Option<Instant>,
    refetch_at: Option<Instant>,
    /// How often the first message was answered with an error that passes.
    tries: u32,
    /// The user was told that history can't be fetched.
    history_failed: bool,
}

impl Session {
    /// The chat of `me`. It begins with fetching the newest messages of the conversation with `peer`.
    pub(crate) fn new(me: UserId, peer: UserId) -> Self {
        let mut session = Self {
            me,
            peer,
            online: false,
            opened: false,
            outbox: Outbox::default(),
            timeline: Timeline::default(),
            tasks: VecDeque::new(),
            ticket: 0,
            held: Vec::new(),
            effects: VecDeque::new(),
            slow_at: None,
            answer_by: None,
            retry_at: None,
            refetch_at: None,
            tries: 0,
            history_failed: false,
        };
        session.tasks.push_back(Task { with: peer, page: None });
        session.fetch();
        session
    }

    /// The next thing to do.
    pub(crate) fn effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// With whom the open conversation is.
    pub(crate) fn peer(&self) -> UserId {
        self.peer
    }

    /// Whether [`Self::say`] may be called.
    pub(crate) fn has_room(&self) -> bool {
        self.outbox.has_room()
    }

    /// Whether the newest messages of the open conversation are known. Before the first connection they must be:
    /// whatever is newer is then either heard or caught up with.
    pub(crate) fn is_open(&self) -> bool {
        self.opened
    }

    /// Whether everything said is stored or refused.
    pub(crate) fn is_delivered(&self) -> bool {
        self.outbox.len() == 0
    }

    /// When [`Self::tick`] wants to be called, if nothing else happens before.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        [self.slow_at, self.answer_by, self.retry_at, self.refetch_at]
            .into_iter()
            .flatten()
            .min()
    }

    /// Ends the chat; what was not acknowledged.
    pub(crate) fn into_drafts(self) -> Vec<Draft> {
        self.outbox.into_drafts()
    }

    /// The server accepted the connection.
    pub(crate) fn connected(&mut self, now: Instant) {
        self.online = true;
        self.report(Report::Connected);
        self.catch_up();
        self.pump(now);
    }

    /// The connection is gone. The driver tells the user why, and when it tries again.
    pub(crate) fn disconnected(&mut self) {
        self.online = false;
        self.outbox.unanswered();
        self.tasks.clear();
        // Whatever is on its way belongs to the past.
        self.ticket += 1;
        (self.slow_at, self.answer_by, self.retry_at, self.refetch_at) = (None, None, None, None);
    }

    /// The user said something.
    pub(crate) fn say(&mut self, now: Instant, text: String) {
        self.outbox.push(self.peer, text);
        if self.online {
            self.pump(now);
        } else {
            self.report(Report::Waiting(self.outbox.len()));
        }
    }

    /// The server answered a message.
    pub(crate) fn answered(&mut self, now: Instant, client_message_id: &str, answer: Answer<Sent>) {
        if !self.outbox.awaits(client_message_id) {
            return;
        }
        (self.slow_at, self.answer_by) = (None, None);
        match answer {
            Answer::Ok(sent) => {
                self.outbox.settle();
                self.timeline.see(self.counterpart(&sent.message), &sent.message);
                self.report(Report::Sent {
                    client_message_id: client_message_id.to_owned(),
                    message: sent.message,
                    duplicate: sent.duplicate,
                });
            }
            Answer::Error(error) if passes(&error) => {
                self.outbox.unanswered();
                let retry_in = self.pause(&error);
                self.retry_at = Some(now + retry_in);
                self.report(Report::Retrying {
                    client_message_id: client_message_id.to_owned(),
                    error,
                    retry_in,
                });
                return;
            }
            Answer::Error(error) => {
                if let Some(draft) = self.outbox.settle() {
                    self.report(Report::Refused { draft, error });
                }
            }
        }
        self.tries = 0;
        self.release();
        self.pump(now);
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: Instant) {
        let due = |at: &mut Option<Instant>| at.take_if(|at| *at <= now).is_some();
        if due(&mut self.answer_by) {
            self.effects.push_back(Effect::Hangup("the server does not answer"));
        }
        if due(&mut self.slow_at) {
            self.report(Report::Waiting(self.outbox.len()));
        }
        if due(&mut self.retry_at) {
            self.pump(now);
        }
        if due(&mut self.refetch_at) {
            self.fetch();
        }
    }

    fn report(&mut self, report: Report) {
        self.effects.push_back(Effect::Report(report));
    }

    /// Sends the first message that waits, unless one is in flight or a pause was asked for.
    fn pump(&mut self, now: Instant) {
        while self.online && self.retry_at.is_none() {
            let Some(message) = self.outbox.next() else { return };
            if let Some(error) = too_large(&message) {
                if let Some(draft) = self.outbox.settle() {
                    self.report(Report::Refused { draft, error });
                }
                continue;
            }
            self.slow_at = Some(now + SLOW);
            self.answer_by = Some(now + ANSWER);
            self.effects.push_back(Effect::Send(message));
        }
    }

    /// How long to wait before repeating: what the server asks for, doubled with each try.
    fn pause(&mut self, error: &WireError) -> Duration {
        let (least, most) = RETRY;
        let asked = error.retry_after_ms.map_or(least, Duration::from_millis);
        let pause = asked.saturating_mul(1 << self.tries.min(6)).min(most);
        self.tries += 1;
        pause
    }
}

/// Whether an error goes away by itself.
fn passes(error: &WireError) -> bool {
    use ErrorCode::{Overloaded, ShuttingDown, StoreUnavailable};
    error.retry_after_ms.is_some() || matches!(error.code, Overloaded | StoreUnavailable | ShuttingDown)
}

/// The server ends connections that bring larger events, so such a message would be repeated for ever.
fn too_large(message: &SendMessage) -> Option<WireError> {
    let bytes = serde_json::to_string(&(SEND_MESSAGE, message)).map_or(0, |event| event.len());
    (bytes > EVENT_BYTES).then(|| {
        WireError::new(
            ErrorCode::PayloadTooLarge,
            format!("the message makes an event of {bytes} bytes, at most {EVENT_BYTES} are allowed"),
        )
    })
}
