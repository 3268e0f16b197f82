//! Beginning, losing the connection, and catching up.

use super::*;

#[test]
fn a_lost_connection_repeats_what_is_not_acknowledged_in_order() {
    let mut story = Story::connected();
    story.say("one");
    let (_, first) = story.sends();
    story.session.disconnected();
    story.shows_waiting(&["one"], 1);
    story.say("two");
    story.shows_waiting(&["two"], 2);
    story.stored(&first, mine(1, "one"), false);
    story.idle();
    story.connect("c0");
    assert_eq!(story.sends(), ("one".to_owned(), first.clone()));
    // It had been stored: it was missed, and the answer tells it. It is told once, by the answer.
    story.synced(vec![mine(1, "one"), theirs(2, "hey")], "c1", false);
    story.hears("hey", true);
    story.caught_up("c1");
    story.receives(mine(1, "one"));
    story.stored(&first, mine(1, "one"), true);
    assert_eq!(story.acknowledged(), "one");
    assert_eq!(story.sends().0, "two");
    story.idle();
}

#[test]
fn what_another_client_sent_waits_for_the_doubtful_message_only() {
    let mut story = Story::connected();
    story.say("one");
    let (_, first) = story.sends();
    story.receives(mine(2, "from my phone"));
    story.idle();
    story.stored(&first, mine(1, "one"), false);
    assert_eq!(story.acknowledged(), "one");
    story.hears("from my phone", false);
    story.receives(mine(3, "again"));
    story.hears("again", false);
}

#[test]
fn a_message_whose_store_failed_may_be_stored_all_the_same() {
    let mut story = Story::connected();
    story.say("one");
    let (_, first) = story.sends();
    story.fails(&first, ErrorCode::StoreUnavailable, Some(100));
    assert!(matches!(story.event(), ChatEvent::Retrying { .. }));
    // It reached the store late, and the old connection's end made it this one's news.
    story.receives(mine(1, "one"));
    story.idle();
    story.pass(Duration::from_millis(100));
    story.sends();
    story.stored(&first, mine(1, "one"), true);
    assert_eq!(story.acknowledged(), "one");
    story.idle();
}

#[test]
fn nothing_lies_between_the_cursor_and_the_opening() {
    let mut story = Story::offline();
    assert_eq!(story.session.since(), Some(""));
    story.session.connected(story.now);
    story.asks_inbox(None);
    // Heard before anything is known: shown after what was there, once.
    story.receives(theirs(2, "two"));
    story.receives(theirs(3, "three"));
    story.say("hello");
    assert_eq!(story.event(), ChatEvent::Held("hello".to_owned()));
    assert_eq!(story.event(), ChatEvent::Waiting(1));
    story.cursor("c0");
    story.idle();
    story.inbox(inbox(&[], 0));
    let ticket = story.ticket(Page::Newest(OPENING_MESSAGES));
    let answer = vec![theirs(1, "one"), theirs(2, "two")];
    story.session.fetched(story.now, ticket, Ok(answer));
    assert!(matches!(story.event(), ChatEvent::Reached { .. }));
    let messages = vec![theirs(1, "one")];
    assert_eq!(story.event(), ChatEvent::Opened { with: PEER, messages });
    assert_eq!(story.event(), ChatEvent::Connected);
    story.follows(PEER);
    assert_eq!(story.event(), ChatEvent::CaughtUp(Some("c0".to_owned())));
    story.hears("two", false);
    story.hears("three", false);
    assert_eq!(story.sends().0, "hello");
}

#[test]
fn a_beginning_that_is_cut_off_begins_again() {
    let mut story = Story::offline();
    story.session.connected(story.now);
    story.asks_inbox(None);
    story.inbox(inbox(&[], 0));
    story.session.disconnected();
    assert_eq!(story.session.since(), Some(""));
    story.session.connected(story.now);
    story.asks_inbox(None);
    story.cursor("c1");
    story.inbox(inbox(&[], 0));
    story.opens(vec![theirs(1, "one")]);
    assert_eq!(story.event(), ChatEvent::Connected);
}

#[test]
fn what_arrives_while_catching_up_is_shown_behind() {
    let mut story = Story::connected();
    story.receives_at(theirs(1, "one"), Some("c1"));
    story.hears("one", false);
    story.session.disconnected();
    story.connect("c1");
    story.receives(theirs(4, "four"));
    story.receives(theirs(3, "three"));
    story.idle();
    story.synced(
        vec![theirs(1, "one"), theirs(2, "two"), theirs(3, "three")],
        "c4",
        false,
    );
    story.hears("two", true);
    story.hears("three", true);
    story.caught_up("c4");
    story.hears("four", false);
    story.receives(theirs(2, "two"));
    story.idle();
}

#[test]
fn catching_up_takes_as_many_pages_as_there_are() {
    let mut story = Story::connected();
    story.session.disconnected();
    story.connect("c0");
    story.synced(vec![theirs(1, "one")], "c1", true);
    story.hears("one", true);
    story.syncs(Some("c1"));
    // While something is missing, a live event's cursor is older than that.
    story.receives_at(theirs(9, "nine"), Some("c9"));
    story.idle();
    // A page that is cut off is asked for again.
    story.session.disconnected();
    story.connect("c1");
    story.synced(vec![theirs(2, "two")], "c2", false);
    story.hears("two", true);
    story.caught_up("c2");
    story.hears("nine", false);
}

#[test]
fn other_conversations_are_caught_up_with_too() {
    let mut story = Story::connected();
    story.session.disconnected();
    story.connect("c0");
    story.synced(vec![message(1, OTHER, ME, "psst")], "c1", false);
    story.hears("psst", true);
}

#[test]
fn a_page_that_fails_is_asked_for_again() {
    let mut story = Story::connected();
    story.session.disconnected();
    story.connect("c0");
    let error = WireError::new(ErrorCode::StoreUnavailable, "no");
    story.session.answered(story.now, Reply::Synced(Answer::Error(error)));
    story.receives(theirs(2, "two"));
    story.idle();
    story.pass(REFETCH_DELAY);
    story.syncs(Some("c0"));
    story.synced(vec![theirs(1, "one"), theirs(2, "two")], "c1", false);
    story.hears("one", true);
    story.hears("two", true);
}

#[test]
fn history_that_fails_is_asked_for_again_and_told_once() {
    let mut story = Story::offline();
    story.session.connected(story.now);
    story.asks_inbox(None);
    story.cursor("c0");
    story.inbox(inbox(&[], 0));
    for told in [true, false] {
        let ticket = story.ticket(Page::Newest(OPENING_MESSAGES));
        story.session.fetched(story.now, ticket, Err("no".to_owned()));
        if told {
            assert_eq!(story.event(), ChatEvent::HistoryFailed("no".to_owned()));
        }
        story.receives(theirs(2, "two"));
        story.idle();
        story.pass(REFETCH_DELAY);
    }
    let ticket = story.ticket(Page::Newest(OPENING_MESSAGES));
    story
        .session
        .fetched(story.now, ticket, Ok(vec![theirs(1, "one"), theirs(2, "two")]));
    assert!(matches!(story.event(), ChatEvent::Reached { .. }));
    assert!(matches!(story.event(), ChatEvent::Opened { messages, .. } if messages.len() == 1));
}

#[test]
fn a_cursor_of_no_use_is_told_and_replaced() {
    let mut story = Story::begun(vec![theirs(1, "one")]);
    story.session.disconnected();
    story.connect("c0");
    let error = WireError::new(ErrorCode::SyncReset, "another database");
    story.session.answered(story.now, Reply::Synced(Answer::Error(error)));
    assert_eq!(story.event(), ChatEvent::Gap("another database".to_owned()));
    story.syncs(None);
    story.inbox(inbox(&[], 0));
    assert!(matches!(story.event(), ChatEvent::Reached { .. }));
    story.receives(theirs(4, "four"));
    story.idle();
    story.synced(Vec::new(), "d0", false);
    // What history still has of the open conversation is shown.
    let ticket = story.ticket(Page::Newest(MAX_PAGE));
    story
        .session
        .fetched(story.now, ticket, Ok(vec![theirs(1, "one"), theirs(2, "two")]));
    story.hears("two", true);
    story.caught_up("d0");
    story.hears("four", false);
}

#[test]
fn a_server_without_cursors_leaves_history() {
    let old = |story: &mut Story| {
        let error = WireError::new(ErrorCode::UnknownEvent, "what?");
        story.session.answered(story.now, Reply::Inbox(Answer::Error(error)));
    };
    let mut story = Story::offline();
    story.session.connected(story.now);
    story.asks_inbox(None);
    old(&mut story);
    // There are older ones, and it is not shown later either.
    let opening: Vec<Message> = (11..)
        .take(OPENING_MESSAGES)
        .map(|number| theirs(number, "old"))
        .collect();
    story.opens(opening.clone());
    assert_eq!(story.event(), ChatEvent::Connected);
    story.follows(PEER);
    assert_eq!(story.event(), ChatEvent::CaughtUp(None));
    story.pass(Duration::from_secs(1));
    story.idle();
    story.session.disconnected();
    assert_eq!(story.session.since(), Some(""));
    story.session.connected(story.now);
    assert_eq!(story.event(), ChatEvent::Connected);
    story.asks_inbox(None);
    old(&mut story);
    let ticket = story.ticket(Page::Newest(MAX_PAGE));
    let answer = [vec![theirs(10, "older")], opening, vec![theirs(99, "new")]].concat();
    story.session.fetched(story.now, ticket, Ok(answer));
    story.hears("new", true);
    assert_eq!(story.event(), ChatEvent::CaughtUp(None));
}

#[test]
fn an_answer_from_before_is_ignored() {
    let mut story = Story::connected();
    story.session.open(story.now, OTHER);
    assert_eq!(story.request(), Request::Unfollow(PEER));
    let old = story.ticket(Page::Newest(OPENING_MESSAGES));
    story.session.open(story.now, PEER);
    let new = story.ticket(Page::Newest(OPENING_MESSAGES));
    story
        .session
        .fetched(story.now, old, Ok(vec![message(1, OTHER, ME, "one")]));
    story.idle();
    story.session.fetched(story.now, new, Ok(Vec::new()));
    assert!(matches!(story.event(), ChatEvent::Reached { with: PEER, .. }));
}

#[test]
fn another_conversation_opens_with_its_last_messages() {
    let mut story = Story::connected();
    let (first, second) = (message(1, OTHER, ME, "first"), message(2, OTHER, ME, "second"));
    story.receives(first.clone());
    story.hears("first", false);
    story.session.open(story.now, OTHER);
    assert_eq!(story.request(), Request::Unfollow(PEER));
    let ticket = story.ticket(Page::Newest(OPENING_MESSAGES));
    story.receives(second.clone());
    story.idle();
    // A notice was shown of the first one; the conversation shows it all the same.
    story
        .session
        .fetched(story.now, ticket, Ok(vec![first.clone(), second]));
    assert!(matches!(story.event(), ChatEvent::Reached { with: OTHER, .. }));
    let messages = vec![first];
    assert_eq!(story.event(), ChatEvent::Opened { with: OTHER, messages });
    story.follows(OTHER);
    assert!(matches!(story.event(), ChatEvent::CaughtUp(_)));
    story.hears("second", false);
    story.say("hello");
    assert!(matches!(story.request(), Request::Send(message) if message.receiver_id == OTHER));
}
