//! The rules of a conversation, as a state machine without terminal, network or clock: facts go in as method calls
//! with the time they happened at, and [`Effect`]s come out.
//!
//! - One message is in flight at a time; it is repeated under the same `clientMessageId` until the server has stored
//!   or refused it for good.
//! - The server's cursor tells what was missed: it is asked for after every connect. What arrives meanwhile is held
//!   back, so that it is shown after what was missed.
//! - A message of this user's own whose draft may still be unanswered is held back too: it may be that draft, stored
//!   by a try whose answer was lost.
//! - What was heard is marked as received, what is shown to somebody as read, together for all that comes at once.

mod catching_up;
mod inbox_state;
mod incoming;
mod marking;
mod presence_and_typing;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use chatctl_client::http::Page;
use chatctl_client::news::News;
use chatctl_client::request::{Reply, Request};
use shared::events::{Answer, SEND_MESSAGE, SendMessage, Sent};
use shared::limits::EVENT_BYTES;
use shared::{ErrorCode, UserId, WireError};

use self::catching_up::CatchingUp;
use self::inbox_state::{InboxRequest, InboxState};
use self::incoming::IncomingMessage;
use self::marking::Marking;
use self::presence_and_typing::PresenceAndTyping;
use super::ChatEvent;
use super::outbox::{Draft, Outbox};
use super::seen_messages::SeenMessages;
use crate::ticks::Position;

/// An answer that takes longer than this won't come: the connection is given up. A server whose database is away answers after
/// some 20 seconds, and before that possibly a question that was asked before the message, after 10. One that is gone is noticed by
/// the connection long before.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(45);
/// Why it is given up.
const UNANSWERED: &str = "a message got no answer for 45 seconds";
/// After this time without an answer the user is told that it takes long, and sees what waits.
const SLOW_AFTER: Duration = Duration::from_secs(1);
/// The pause before a refused message is repeated, if the server named none.
const RETRY_DELAY: Duration = Duration::from_millis(500);
/// The longest pause that the server may name.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(30);
/// The pause before history, or what was missed, is asked for again.
const REFETCH_DELAY: Duration = Duration::from_secs(2);

/// What is to be done outside.
#[derive(Debug, PartialEq)]
pub(crate) enum Effect {
    /// Ask for this over the connection.
    Request(Request),
    /// Fetch these messages of the conversation with `with`, and hand them to [`ChatSession::fetched`] with the ticket.
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
    Show(ChatEvent),
}

/// One user's chat.
#[derive(Debug)]
pub(crate) struct ChatSession {
    me: UserId,
    peer: UserId,
    /// When what is being dealt with happened.
    now: Instant,
    online: bool,
    /// The user was told that the chat has begun.
    begun: bool,
    /// The newest messages of the open conversation are known.
    opened: bool,
    /// The oldest message that the open conversation was opened with, if there are older ones.
    floor: Option<Position>,
    outbox: Outbox,
    seen: SeenMessages,
    catching_up: CatchingUp,
    marking: Marking,
    presence_and_typing: PresenceAndTyping,
    inbox_state: InboxState,
    /// The number of the request for history that is on its way.
    ticket: u64,
    held: Vec<IncomingMessage>,
    effects: VecDeque<Effect>,
    slow_at: Option<Instant>,
    /// The first message takes long: what is said from now on is shown as waiting.
    slow: bool,
    answer_by: Option<Instant>,
    retry_at: Option<Instant>,
    /// How often the first message was answered with an error that passes.
    tries: u32,
    /// The user was told that history can't be fetched.
    history_failed: bool,
}

impl ChatSession {
    /// The chat of `me`, with the conversation with `peer` open; `attended` if somebody reads what is shown.
    pub(crate) fn new(now: Instant, me: UserId, peer: UserId, attended: bool) -> Self {
        Self {
            me,
            peer,
            now,
            online: false,
            begun: false,
            opened: false,
            floor: None,
            outbox: Outbox::default(),
            seen: SeenMessages::default(),
            catching_up: CatchingUp::default(),
            marking: Marking::new(attended),
            presence_and_typing: PresenceAndTyping::default(),
            inbox_state: InboxState::default(),
            ticket: 0,
            held: Vec::new(),
            effects: VecDeque::new(),
            slow_at: None,
            slow: false,
            answer_by: None,
            retry_at: None,
            tries: 0,
            history_failed: false,
        }
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

    /// Whether everything said is stored or refused.
    pub(crate) fn is_delivered(&self) -> bool {
        self.outbox.len() == 0
    }

    /// When [`Self::tick`] wants to be called, if nothing else happens before.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let sent_messages = [self.slow_at, self.answer_by, self.retry_at];
        let others = [
            self.catching_up.deadline(),
            self.marking.deadline(),
            self.presence_and_typing.deadline(),
            self.inbox_state.deadline(),
        ];
        sent_messages.into_iter().chain(others).flatten().min()
    }

    /// What [`Effect`]s are left to do before the chat ends.
    pub(crate) fn ending(&mut self) {
        self.mark();
        self.stop_typing();
    }

    /// Ends the chat; what was not acknowledged.
    pub(crate) fn into_drafts(self) -> Vec<Draft> {
        self.outbox.into_drafts()
    }

    /// The server accepted the connection.
    pub(crate) fn connected(&mut self, now: Instant) {
        self.now = now;
        self.online = true;
        if self.begun {
            self.emit(ChatEvent::Connected);
        }
        self.ask_inbox(InboxRequest::Anew, None);
        self.catch_up();
        self.marking.connected(now);
        self.pump();
    }

    /// The connection is gone. The driver tells the user why, and when it tries again.
    pub(crate) fn disconnected(&mut self) {
        self.online = false;
        self.outbox.unanswered();
        // Whatever is on its way belongs to the past.
        self.ticket += 1;
        self.catching_up.disconnected();
        self.marking.disconnected();
        self.presence_and_typing.disconnected();
        self.inbox_state.disconnected();
        (self.slow_at, self.answer_by, self.retry_at) = (None, None, None);
        self.slow = false;
        // What was sent and not answered stood nowhere until now.
        self.show_waiting(false);
    }

    /// The user said something.
    pub(crate) fn say(&mut self, now: Instant, text: String) {
        self.now = now;
        self.stop_typing();
        self.outbox.push(self.peer, text);
        if !self.online || !self.begun || self.slow {
            self.show_waiting(true);
        }
        self.pump();
    }

    /// Shows what waits and is not shown yet; how many wait, if any were shown or if it is to be `told`.
    fn show_waiting(&mut self, told: bool) {
        let texts = self.outbox.show();
        if told || !texts.is_empty() {
            texts.into_iter().for_each(|text| self.emit(ChatEvent::Held(text)));
            self.emit(ChatEvent::Waiting(self.outbox.len()));
        }
    }

    /// The server says something of its own accord; whoever has heard everything up to here goes on from the cursor.
    pub(crate) fn news(&mut self, now: Instant, news: Option<News>, cursor: Option<String>) {
        self.now = now;
        match news {
            Some(News::Received(message) | News::SentElsewhere(message)) => self.message_received(message),
            Some(News::Delivered(receipt)) => self.emit(ChatEvent::Delivered(receipt)),
            Some(News::Read(receipt)) => self.emit(ChatEvent::Read(receipt)),
            Some(News::Conversation(conversation)) => self.conversation_changed(conversation),
            Some(News::Presence(presence)) => self.presence_changed(presence),
            Some(News::Typing(typing)) => self.typing_changed(typing),
            Some(News::SyncDone(done)) => self.cursor_given(done.next),
            Some(News::SyncReset(reset)) => self.cursor_refused(reset.message),
            Some(News::Failed(failed)) if is_retryable(&failed.error) => {
                let pause = failed.error.retry_after_ms.map_or(RETRY_DELAY, Duration::from_millis);
                self.marking.failed(&failed.event, now + pause);
            }
            Some(News::Settings(_) | News::Failed(_)) | None => {}
        }
        self.catching_up.advance(cursor);
    }

    /// The server answered a request.
    pub(crate) fn answered(&mut self, now: Instant, reply: Reply) {
        self.now = now;
        match reply {
            Reply::Sent(client_message_id, answer) => self.sent(&client_message_id, answer),
            Reply::Synced(answer) => self.synced(answer),
            Reply::Inbox(answer) => self.inbox_answered(answer),
            Reply::Following(user, answer) => self.following(user, answer),
            Reply::Nothing => {}
        }
    }

    fn sent(&mut self, client_message_id: &str, answer: Answer<Sent>) {
        if !self.outbox.awaits(client_message_id) {
            return;
        }
        self.answer_by = None;
        match answer {
            Answer::Ok(sent) => {
                self.outbox.remove_first();
                self.seen.insert(sent.message.id);
                let with = self.counterpart(&sent.message);
                self.emit(ChatEvent::Sent {
                    client_message_id: client_message_id.to_owned(),
                    message: sent.message,
                    duplicate: sent.duplicate,
                });
                self.acquainted(with);
            }
            Answer::Error(error) if is_retryable(&error) => {
                self.outbox.unanswered();
                let retry_in = self.pause(&error);
                self.retry_at = Some(self.now + retry_in);
                self.emit(ChatEvent::Retrying {
                    client_message_id: client_message_id.to_owned(),
                    error,
                    retry_in,
                });
                return;
            }
            Answer::Error(error) => {
                if let Some(draft) = self.outbox.remove_first() {
                    self.emit(ChatEvent::Refused { draft, error });
                }
            }
        }
        (self.tries, self.slow, self.slow_at) = (0, false, None);
        self.release_held();
        self.pump();
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: Instant) {
        self.now = now;
        if due(&mut self.answer_by, now) {
            self.effects.push_back(Effect::Hangup(UNANSWERED));
        }
        if due(&mut self.slow_at, now) {
            self.slow = true;
            self.show_waiting(true);
        }
        if due(&mut self.retry_at, now) {
            self.pump();
        }
        self.catching_up_is_due();
        if self.marking.is_due(now) {
            self.mark();
        }
        self.presence_and_typing_are_due();
        if self.inbox_state.is_due(now) {
            self.ask_inbox(InboxRequest::Refresh, None);
        }
    }

    fn emit(&mut self, event: ChatEvent) {
        self.effects.push_back(Effect::Show(event));
    }

    fn request(&mut self, request: Request) {
        self.effects.push_back(Effect::Request(request));
    }

    /// Sends the first message that waits, unless one is in flight, a pause was asked for, or the chat has not begun.
    fn pump(&mut self) {
        while self.online && self.begun && self.retry_at.is_none() {
            let Some(message) = self.outbox.next() else { return };
            if let Some(error) = too_large(&message) {
                if let Some(draft) = self.outbox.remove_first() {
                    self.emit(ChatEvent::Refused { draft, error });
                }
                continue;
            }
            if !self.slow {
                // From the first try on.
                self.slow_at.get_or_insert(self.now + SLOW_AFTER);
            }
            self.answer_by = Some(self.now + ANSWER_TIMEOUT);
            self.request(Request::Send(message));
        }
    }

    /// How long to wait before repeating: what the server asks for, doubled with each try.
    fn pause(&mut self, error: &WireError) -> Duration {
        let asked = error.retry_after_ms.map_or(RETRY_DELAY, Duration::from_millis);
        let pause = asked.saturating_mul(1 << self.tries.min(6)).min(MAX_RETRY_DELAY);
        self.tries += 1;
        pause
    }
}

/// Whether a time has come; it is forgotten then.
fn due(at: &mut Option<Instant>, now: Instant) -> bool {
    at.take_if(|at| *at <= now).is_some()
}

/// Whether an error goes away by itself.
fn is_retryable(error: &WireError) -> bool {
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
