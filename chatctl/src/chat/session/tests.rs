//! The rules, one by one, without terminal, network or clock.

use shared::limits::PAGE;
use shared::{Message, MessageId, Timestamp};

use super::super::OPENING;
use super::*;

const ME: UserId = UserId::from_bytes([1; 12]);
const PEER: UserId = UserId::from_bytes([2; 12]);
const OTHER: UserId = UserId::from_bytes([3; 12]);

/// A session, and the time that passes in it.
struct Story {
    session: Session,
    now: Instant,
}

impl Story {
    /// Nothing was written before, and the server has accepted us.
    fn connected() -> Self {
        let mut story = Self::offline();
        story.connect();
        story.fetch(Page::All, Vec::new());
        story
    }

    fn offline() -> Self {
        let mut story = Self {
            session: Session::new(ME, PEER),
            now: Instant::now(),
        };
        story.fetch(Page::Newest(OPENING), Vec::new());
        assert_eq!(
            story.report(),
            Report::Opened {
                with: PEER,
                messages: Vec::new()
            }
        );
        story
    }

    fn connect(&mut self) {
        self.session.connected(self.now);
        assert_eq!(self.report(), Report::Connected);
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

    fn idle(&mut self) {
        assert_eq!(self.session.effect(), None);
    }

    fn report(&mut self) -> Report {
        match self.effect() {
            Effect::Report(report) => report,
            other => panic!("{other:?}"),
        }
    }

    /// The text and id of the message that is sent.
    fn sends(&mut self) -> (String, String) {
        match self.effect() {
            Effect::Send(message) => (message.message, message.client_message_id.unwrap()),
            other => panic!("{other:?}"),
        }
    }

    fn hears(&mut self, text: &str, missed: bool) {
        match self.report() {
            Report::Heard { message, missed: flag } => {
                assert_eq!((message.message.as_deref(), flag), (Some(text), missed))
            }
            other => panic!("{other:?}"),
        }
    }

    /// Expects a fetch; its ticket.
    fn ticket(&mut self, expected: Page) -> u64 {
        match self.effect() {
            Effect::Fetch { ticket, with, page } => {
                assert_eq!((with, page), (PEER, expected));
                ticket
            }
            other => panic!("{other:?}"),
        }
    }

    fn fetch(&mut self, expected: Page, answer: Vec<Message>) {
        let ticket = self.ticket(expected);
        self.session.fetched(self.now, ticket, Ok(answer));
    }

    fn stored(&mut self, id: &str, message: Message, duplicate: bool) {
        self.session
            .answered(self.now, id, Answer::Ok(Sent { message, duplicate }));
    }

    fn acknowledged(&mut self) -> String {
        match self.report() {
            Report::Sent { message, .. } => message.message.unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn fails(&mut self, id: &str, code: ErrorCode, retry_after_ms: Option<u64>) {
        let mut error = WireError::new(code, "no");
        error.retry_after_ms = retry_after_ms;
        self.session.answered(self.now, id, Answer::Error(error));
    }
}

fn message(number: u8, sender: UserId, receiver: UserId, text: &str) -> Message {
    let at = Timestamp::from_millis(i64::from(number));
    Message {
        id: MessageId::from_bytes([number; 12]),
        sender: Some(sender),
        receiver: Some(receiver),
        message: Some(text.to_owned()),
        created_at: Some(at),
        updated_at: Some(at),
        version: Some(0),
    }
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
        assert!(matches!(story.report(), Report::Retrying { retry_in, .. } if retry_in.as_millis() == pause));
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
    assert!(matches!(story.report(), Report::Refused { draft, .. } if draft.text == "one"));
    assert_eq!(story.sends().0, "two");
}

#[test]
fn what_is_too_large_is_never_sent() {
    let mut story = Story::connected();
    story.say(&"\"".repeat(EVENT_BYTES / 2));
    assert!(matches!(story.report(), Report::Refused { error, .. } if error.code == ErrorCode::PayloadTooLarge));
    story.idle();
}

#[test]
fn silence_is_told_and_then_ends_the_connection() {
    let mut story = Story::connected();
    story.say("one");
    story.sends();
    story.pass(SLOW);
    assert_eq!(story.report(), Report::Waiting(1));
    story.pass(ANSWER - SLOW);
    assert!(matches!(story.effect(), Effect::Hangup(_)));
    story.idle();
}

#[test]
fn a_lost_connection_repeats_what_is_not_acknowledged_in_order() {
    let mut story = Story::connected();
    story.say("one");
    let (_, id) = story.sends();
    story.session.disconnected();
    story.say("two");
    assert_eq!(story.report(), Report::Waiting(2));
    story.stored(&id, mine(1, "one"), false);
    story.idle();
    story.connect();
    let ticket = story.ticket(Page::All);
    assert_eq!(story.sends(), ("one".to_owned(), id.clone()));
    // It had been stored: history shows it, and so does the answer. It is told once, by the answer.
    story
        .session
        .fetched(story.now, ticket, Ok(vec![mine(1, "one"), theirs(2, "hey")]));
    story.hears("hey", true);
    story.session.heard(mine(1, "one"));
    story.stored(&id, mine(1, "one"), true);
    assert_eq!(story.acknowledged(), "one");
    assert_eq!(story.sends().0, "two");
    story.idle();
}

#[test]
fn what_another_client_sent_waits_for_the_doubtful_message_only() {
    let mut story = Story::connected();
    story.say("one");
    let (_, id) = story.sends();
    story.session.heard(mine(2, "from my phone"));
    story.idle();
    story.stored(&id, mine(1, "one"), false);
    assert_eq!(story.acknowledged(), "one");
    story.hears("from my phone", false);
    story.session.heard(mine(3, "again"));
    story.hears("again", false);
}

#[test]
fn a_message_whose_store_failed_may_be_stored_all_the_same() {
    let mut story = Story::connected();
    story.say("one");
    let (_, id) = story.sends();
    story.fails(&id, ErrorCode::StoreUnavailable, Some(100));
    assert!(matches!(story.report(), Report::Retrying { .. }));
    // It reached the store late, and the old connection's end made it this one's news.
    story.session.heard(mine(1, "one"));
    story.idle();
    story.pass(Duration::from_millis(100));
    story.sends();
    story.stored(&id, mine(1, "one"), true);
    assert_eq!(story.acknowledged(), "one");
    story.idle();
}

#[test]
fn what_arrives_while_catching_up_is_shown_behind() {
    let mut story = Story::connected();
    story.session.heard(theirs(1, "one"));
    story.hears("one", false);
    story.session.disconnected();
    story.connect();
    let ticket = story.ticket(Page::All);
    story.session.heard(theirs(4, "four"));
    story.session.heard(theirs(3, "three"));
    story.idle();
    let answer = vec![theirs(1, "one"), theirs(2, "two"), theirs(3, "three")];
    story.session.fetched(story.now, ticket, Ok(answer));
    story.hears("two", true);
    story.hears("three", true);
    story.hears("four", false);
    story.session.heard(theirs(2, "two"));
    story.idle();
}

#[test]
fn catching_up_takes_as_many_pages_as_there_are() {
    let mut story = Story::offline();
    story.connect();
    story.fetch(Page::All, vec![theirs(1, "one")]);
    story.hears("one", true);
    let far = |number: u8| {
        let mut message = theirs(number, "far");
        message.created_at = Some(Timestamp::from_millis(i64::from(number) * 60_000));
        message
    };
    story.session.heard(far(2));
    story.hears("far", false);
    story.session.disconnected();
    story.connect();
    let page: Vec<Message> = (3..u8::try_from(PAGE).unwrap() + 3).map(far).collect();
    let last = page[PAGE - 1].id;
    story.fetch(Page::After(theirs(1, "").id), page);
    (0..PAGE).for_each(|_| story.hears("far", true));
    story.fetch(Page::After(last), vec![far(203)]);
    story.hears("far", true);
    story.idle();
}

#[test]
fn history_that_fails_is_asked_for_again_and_told_once() {
    let mut story = Story::offline();
    story.connect();
    for told in [true, false] {
        let ticket = story.ticket(Page::All);
        story.session.fetched(story.now, ticket, Err("no".to_owned()));
        if told {
            assert_eq!(story.report(), Report::HistoryFailed("no".to_owned()));
        }
        story.session.heard(theirs(2, "two"));
        story.idle();
        story.pass(REFETCH);
    }
    story.fetch(Page::All, vec![theirs(1, "one"), theirs(2, "two")]);
    story.hears("one", true);
    story.hears("two", true);
    story.idle();
}

#[test]
fn an_answer_from_before_is_ignored() {
    let mut story = Story::offline();
    story.connect();
    let old = story.ticket(Page::All);
    story.session.disconnected();
    story.connect();
    let new = story.ticket(Page::All);
    story.session.fetched(story.now, old, Ok(vec![theirs(1, "one")]));
    story.idle();
    story.session.fetched(story.now, new, Ok(vec![theirs(1, "one")]));
    story.hears("one", true);
}

#[test]
fn another_conversation_opens_with_its_last_messages() {
    let mut story = Story::connected();
    let (first, second) = (message(1, OTHER, ME, "first"), message(2, OTHER, ME, "second"));
    story.session.heard(first.clone());
    story.hears("first", false);
    story.session.open(OTHER);
    assert!(!story.session.is_open());
    let Effect::Fetch {
        ticket,
        with: OTHER,
        page,
    } = story.effect()
    else {
        panic!()
    };
    assert_eq!(page, Page::Newest(OPENING));
    story.session.heard(second.clone());
    story.idle();
    // A notice was shown of the first one; the conversation shows it all the same.
    story
        .session
        .fetched(story.now, ticket, Ok(vec![first.clone(), second]));
    assert_eq!(
        story.report(),
        Report::Opened {
            with: OTHER,
            messages: vec![first]
        }
    );
    story.hears("second", false);
    story.say("hello");
    assert!(matches!(story.effect(), Effect::Send(message) if message.receiver_id == OTHER));
}
