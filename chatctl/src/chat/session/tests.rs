//! The rules, one by one, without terminal, network or clock.

use shared::conversation::{Conversation, Inbox, ListConversations, MarkUpTo};
use shared::limits::MAX_PAGE;
use shared::presence::{PresentNow, Typing};
use shared::sync::{Receipt, SyncDone, SyncEvent, SyncRequest, Synced};
use shared::{Message, MessageId, Presence, Timestamp};

use super::super::OPENING_MESSAGES;
use super::*;

mod missed;
mod others;

const ME: UserId = UserId::from_bytes([1; 12]);
const PEER: UserId = UserId::from_bytes([2; 12]);
const OTHER: UserId = UserId::from_bytes([3; 12]);

/// A session, and the time that passes in it.
struct Story {
    session: ChatSession,
    now: Instant,
}

impl Story {
    /// Nothing was written before, the chat has begun, and all that follows from that is done.
    fn connected() -> Self {
        Self::begun(Vec::new())
    }

    /// The chat begins with these messages.
    fn begun(messages: Vec<Message>) -> Self {
        let mut story = Self::offline();
        story.session.connected(story.now);
        story.asks_inbox(None);
        story.inbox(inbox(&[], 0));
        story.idle();
        story.cursor("c0");
        story.opens(messages);
        assert_eq!(story.event(), ChatEvent::Connected);
        story.follows(PEER);
        assert_eq!(story.event(), ChatEvent::CaughtUp(Some("c0".to_owned())));
        story.idle();
        story
    }

    fn offline() -> Self {
        let now = Instant::now();
        Self {
            session: ChatSession::new(now, ME, PEER, true),
            now,
        }
    }

    /// The cursor that a connection begins with.
    fn cursor(&mut self, cursor: &str) {
        let (next, has_more, protocol) = (cursor.to_owned(), false, shared::PROTOCOL_VERSION);
        let done = News::SyncDone(SyncDone {
            next,
            has_more,
            protocol,
        });
        self.session.news(self.now, Some(done), None);
    }

    /// The open conversation is fetched and opened.
    fn opens(&mut self, messages: Vec<Message>) {
        let ticket = self.ticket(Page::Newest(OPENING_MESSAGES));
        self.session.fetched(self.now, ticket, Ok(messages.clone()));
        assert!(matches!(self.event(), ChatEvent::Reached { .. }));
        let with = self.session.peer();
        assert_eq!(self.event(), ChatEvent::Opened { with, messages });
    }

    /// Connects again, up to the request for what was missed since `cursor`.
    fn connect(&mut self, cursor: &str) {
        assert_eq!(self.session.since(), None);
        self.session.connected(self.now);
        assert_eq!(self.event(), ChatEvent::Connected);
        self.asks_inbox(None);
        self.syncs(Some(cursor));
    }

    /// These texts are shown as waiting, and how many wait in all.
    fn shows_waiting(&mut self, texts: &[&str], in_all: usize) {
        for text in texts {
            assert_eq!(self.event(), ChatEvent::Held((*text).to_owned()));
        }
        assert_eq!(self.event(), ChatEvent::Waiting(in_all));
    }

    fn asks_inbox(&mut self, expected: Option<&str>) {
        match self.request() {
            Request::Inbox(ListConversations { cursor, .. }) => assert_eq!(cursor.as_deref(), expected),
            other => panic!("{other:?}"),
        }
    }

    fn syncs(&mut self, expected: Option<&str>) {
        match self.request() {
            Request::Sync(SyncRequest { since, .. }) => assert_eq!(since.as_deref(), expected),
            other => panic!("{other:?}"),
        }
    }

    fn follows(&mut self, expected: UserId) {
        assert_eq!(self.request(), Request::Follow(expected));
    }

    fn inbox(&mut self, inbox: Inbox) {
        self.session.answered(self.now, Reply::Inbox(Answer::Ok(inbox)));
    }

    fn synced(&mut self, messages: Vec<Message>, next: &str, has_more: bool) {
        let page = Synced {
            events: messages
                .into_iter()
                .map(|message| SyncEvent::Message { message })
                .collect(),
            next: next.to_owned(),
            has_more,
            inbox: None,
        };
        self.session.answered(self.now, Reply::Synced(Answer::Ok(page)));
    }

    /// Everything was caught up with, and presence is asked for again.
    fn caught_up(&mut self, cursor: &str) {
        assert_eq!(self.event(), ChatEvent::CaughtUp(Some(cursor.to_owned())));
        self.follows(PEER);
    }

    fn receives(&mut self, message: Message) {
        self.receives_at(message, None);
    }

    fn receives_at(&mut self, message: Message, cursor: Option<&str>) {
        let news = if message.sender == Some(ME) {
            News::SentElsewhere(message)
        } else {
            News::Received(message)
        };
        self.session.news(self.now, Some(news), cursor.map(str::to_owned));
    }

    fn say(&mut self, text: &str) {
        self.session.say(self.now, text.to_owned());
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.session.tick(self.now);
    }

    fn effect(&mut self) -> Effect {
        self.session.effect().expect("there is something to do")
    }

    fn request(&mut self) -> Request {
        match self.effect() {
            Effect::Request(request) => request,
            other => panic!("{other:?}"),
        }
    }

    fn idle(&mut self) {
        assert_eq!(self.session.effect(), None);
    }

    fn event(&mut self) -> ChatEvent {
        match self.effect() {
            Effect::Show(report) => report,
            other => panic!("{other:?}"),
        }
    }

    /// The text and id of the message that is sent.
    fn sends(&mut self) -> (String, String) {
        match self.request() {
            Request::Send(message) => (message.message, message.client_message_id.unwrap()),
            other => panic!("{other:?}"),
        }
    }

    fn hears(&mut self, text: &str, missed: bool) {
        match self.event() {
            ChatEvent::Heard { message, missed: flag } => {
                assert_eq!((message.message.as_deref(), flag), (Some(text), missed))
            }
            other => panic!("{other:?}"),
        }
    }

    /// Expects a fetch; its ticket.
    fn ticket(&mut self, expected: Page) -> u64 {
        match self.effect() {
            Effect::Fetch { ticket, with, page } => {
                assert_eq!((with, page), (self.session.peer(), expected));
                ticket
            }
            other => panic!("{other:?}"),
        }
    }

    fn stored(&mut self, id: &str, message: Message, duplicate: bool) {
        let answer = Answer::Ok(Sent { message, duplicate });
        self.session.answered(self.now, Reply::Sent(id.to_owned(), answer));
    }

    fn acknowledged(&mut self) -> String {
        match self.event() {
            ChatEvent::Sent { message, .. } => message.message.unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn fails(&mut self, id: &str, code: ErrorCode, retry_after_ms: Option<u64>) {
        let mut error = WireError::new(code, "no");
        error.retry_after_ms = retry_after_ms;
        let answer = Answer::Error(error);
        self.session.answered(self.now, Reply::Sent(id.to_owned(), answer));
    }
}

fn message(number: u8, sender: UserId, receiver: UserId, text: &str) -> Message {
    let at = Timestamp::from_millis(i64::from(number));
    Message {
        id: id(number),
        sender: Some(sender),
        receiver: Some(receiver),
        message: Some(text.to_owned()),
        created_at: Some(at),
        updated_at: Some(at),
        version: Some(0),
    }
}

/// An inbox whose conversations have so many unread messages.
fn inbox(unread: &[(UserId, u32)], total_unread: u32) -> Inbox {
    let conversations = unread.iter().map(|(peer, unread)| conversation(*peer, *unread));
    Inbox {
        conversations: conversations.collect(),
        next: None,
        total_unread,
    }
}

fn conversation(peer_id: UserId, unread: u32) -> Conversation {
    Conversation {
        peer_id,
        peer: None,
        last_message: None,
        unread,
        read_up_to: None,
        delivered_up_to: None,
        peer_read_up_to: None,
        peer_delivered_up_to: None,
    }
}

fn id(number: u8) -> MessageId {
    MessageId::from_bytes([number; 12])
}

fn theirs(number: u8, text: &str) -> Message {
    message(number, PEER, ME, text)
}

fn mine(number: u8, text: &str) -> Message {
    message(number, ME, PEER, text)
}

#[test]
fn one_message_is_in_flight_at_a_time() {
    let mut story = Story::connected();
    story.say("one");
    story.say("two");
    let (text, one) = story.sends();
    assert_eq!(text, "one");
    story.idle();
    // An answer to something else changes nothing.
    story.stored("another", mine(9, "nine"), false);
    story.idle();
    story.stored(&one, mine(1, "one"), false);
    assert_eq!(story.acknowledged(), "one");
    let (text, two) = story.sends();
    assert_eq!(text, "two");
    assert!(one < two, "ids grow");
    story.stored(&two, mine(2, "two"), false);
    story.acknowledged();
    assert!(story.session.is_delivered());
    assert_eq!(story.session.deadline(), None);
}

#[test]
fn a_passing_error_repeats_the_same_message_before_the_next() {
    let mut story = Story::connected();
    story.say("one");
    story.say("two");
    let (_, id) = story.sends();
    for pause in [100, 200, 400] {
        story.fails(&id, ErrorCode::Overloaded, Some(100));
        assert!(matches!(story.event(), ChatEvent::Retrying { retry_in, .. } if retry_in.as_millis() == pause));
        story.pass(Duration::from_millis(u64::try_from(pause).unwrap() - 1));
        story.idle();
        story.pass(Duration::from_millis(1));
        assert_eq!(story.sends(), ("one".to_owned(), id.clone()));
    }
    story.stored(&id, mine(1, "one"), true);
    story.acknowledged();
    assert_eq!(story.sends().0, "two");
}

#[test]
fn a_final_error_is_told_and_the_next_is_sent() {
    let mut story = Story::connected();
    story.say("one");
    story.say("two");
    let (_, id) = story.sends();
    story.fails(&id, ErrorCode::UserNotFound, None);
    assert!(matches!(story.event(), ChatEvent::Refused { draft, .. } if draft.text == "one"));
    assert_eq!(story.sends().0, "two");
}

#[test]
fn what_is_too_large_is_never_sent() {
    let mut story = Story::connected();
    story.say(&"\"".repeat(EVENT_BYTES / 2));
    assert!(matches!(story.event(), ChatEvent::Refused { error, .. } if error.code == ErrorCode::PayloadTooLarge));
    story.idle();
}

#[test]
fn silence_is_told_and_then_ends_the_connection() {
    let mut story = Story::connected();
    story.say("one");
    story.sends();
    story.pass(SLOW_AFTER);
    story.shows_waiting(&["one"], 1);
    story.pass(ANSWER_TIMEOUT - SLOW_AFTER);
    assert!(matches!(story.effect(), Effect::Hangup(_)));
    story.idle();
}

#[test]
fn what_is_said_stays_on_the_screen_while_it_waits() {
    let mut story = Story::connected();
    story.say("one");
    story.say("two");
    let (_, id) = story.sends();
    // Refusals that pass don't begin the wait anew.
    story.pass(SLOW_AFTER / 2);
    story.fails(&id, ErrorCode::Overloaded, Some(100));
    assert!(matches!(story.event(), ChatEvent::Retrying { .. }));
    story.pass(Duration::from_millis(100));
    story.sends();
    story.pass(SLOW_AFTER / 2);
    story.shows_waiting(&["one", "two"], 2);
    story.say("three");
    story.shows_waiting(&["three"], 3);
    story.fails(&id, ErrorCode::StoreUnavailable, Some(100));
    assert!(matches!(story.event(), ChatEvent::Retrying { .. }));
    story.pass(Duration::from_millis(200));
    story.sends();
    story.pass(SLOW_AFTER);
    story.idle();
    story.stored(&id, mine(1, "one"), false);
    story.acknowledged();
    let (_, id) = story.sends();
    // It is quick again, until the connection is lost.
    story.stored(&id, mine(2, "two"), false);
    story.acknowledged();
    story.sends();
    story.say("four");
    story.idle();
    story.session.disconnected();
    story.shows_waiting(&["four"], 2);
    story.idle();
}
