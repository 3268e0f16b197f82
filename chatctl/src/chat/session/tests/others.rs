//! What is told to others and of others: marks, typing, presence, unread elsewhere.

use super::*;

fn marks(story: &mut Story) -> Vec<Request> {
    story.pass(Duration::from_millis(100));
    std::iter::from_fn(|| story.session.effect())
        .map(|effect| match effect {
            Effect::Request(request) => request,
            other => panic!("{other:?}"),
        })
        .collect()
}

fn mark(peer_id: UserId, up_to: u8) -> MarkUpTo {
    let up_to = id(up_to);
    MarkUpTo { peer_id, up_to }
}

#[test]
fn a_burst_is_marked_once() {
    let mut story = Story::connected();
    for number in 1..=9 {
        story.receives(theirs(number, "hey"));
        story.hears("hey", false);
    }
    story.receives(message(20, OTHER, ME, "psst"));
    story.hears("psst", false);
    let marks = marks(&mut story);
    assert_eq!(marks.len(), 2);
    assert!(marks.contains(&Request::Read(mark(PEER, 9))), "{marks:?}");
    assert!(marks.contains(&Request::Delivered(mark(OTHER, 20))), "{marks:?}");
    assert_eq!(story.session.deadline(), None);
}

#[test]
fn nothing_is_marked_as_read_that_nobody_sees() {
    let mut story = Story::connected();
    story.session.marking = Marking::new(false);
    story.receives(theirs(1, "one"));
    story.hears("one", false);
    assert_eq!(marks(&mut story), [Request::Delivered(mark(PEER, 1))]);

    // Read in the open conversation, then received when another one is open: only the first was read.
    let mut story = Story::connected();
    story.receives(theirs(1, "one"));
    story.hears("one", false);
    story.session.open(story.now, OTHER);
    assert_eq!(story.request(), Request::Unfollow(PEER));
    let ticket = story.ticket(Page::Newest(OPENING_MESSAGES));
    story.session.fetched(story.now, ticket, Ok(Vec::new()));
    while story.session.effect().is_some() {}
    story.receives(theirs(2, "two"));
    story.hears("two", false);
    let marks = marks(&mut story);
    assert_eq!(marks.len(), 2, "{marks:?}");
    assert!(marks.contains(&Request::Read(mark(PEER, 1))), "{marks:?}");
    assert!(marks.contains(&Request::Delivered(mark(PEER, 2))), "{marks:?}");
}

#[test]
fn opening_marks_what_it_shows() {
    let mut story = Story::begun(vec![theirs(1, "one"), theirs(2, "two"), mine(3, "three")]);
    assert_eq!(marks(&mut story), [Request::Read(mark(PEER, 2))]);
}

#[test]
fn marks_that_may_be_lost_are_said_again() {
    let mut story = Story::connected();
    story.receives(theirs(1, "one"));
    story.hears("one", false);
    assert_eq!(marks(&mut story), [Request::Read(mark(PEER, 1))]);
    let failed = |code, retry_after_ms| {
        let mut error = WireError::new(code, "no");
        error.retry_after_ms = retry_after_ms;
        News::Failed(shared::events::RequestFailed {
            event: shared::events::MARK_READ.to_owned(),
            client_message_id: None,
            error,
        })
    };
    story
        .session
        .news(story.now, Some(failed(ErrorCode::StoreUnavailable, Some(50))), None);
    assert_eq!(marks(&mut story), [Request::Read(mark(PEER, 1))]);
    story
        .session
        .news(story.now, Some(failed(ErrorCode::Forbidden, None)), None);
    assert_eq!(marks(&mut story), []);

    story.session.disconnected();
    story.connect("c0");
    assert_eq!(marks(&mut story), [Request::Read(mark(PEER, 1))]);
}

#[test]
fn typing_is_told_seldom_and_ends() {
    fn told(story: &mut Story) -> Option<bool> {
        match story.session.effect() {
            Some(Effect::Request(Request::Typing(typing))) => Some(typing.is_typing),
            None => None,
            other => panic!("{other:?}"),
        }
    }
    let mut story = Story::connected();
    for expected in [Some(true), None, None, Some(true), None] {
        story.session.typed(story.now, true);
        assert_eq!(told(&mut story), expected);
        story.pass(Duration::from_secs(1));
    }
    story.pass(Duration::from_secs(4));
    assert_eq!(told(&mut story), Some(false));
    story.session.typed(story.now, true);
    assert_eq!(told(&mut story), Some(true));
    story.say("hello");
    assert_eq!(told(&mut story), Some(false));
    let (_, first) = story.sends();
    // Too soon to be told at once, and then no longer true.
    story.session.typed(story.now, true);
    story.session.typed(story.now, false);
    story.idle();
    story.stored(&first, mine(1, "hello"), false);
    story.acknowledged();
    // Too soon to be told at once: told when it may be.
    story.session.typed(story.now, true);
    story.idle();
    story.pass(Duration::from_secs(3));
    assert_eq!(told(&mut story), Some(true));
    story.pass(Duration::from_secs(1));
    assert_eq!(told(&mut story), Some(false));
}

#[test]
fn typing_of_the_other_one_is_forgotten() {
    let mut story = Story::connected();
    let typing = |is_typing| Typing {
        user_id: PEER,
        is_typing,
    };
    story.session.news(story.now, Some(News::Typing(typing(true))), None);
    assert_eq!(story.event(), ChatEvent::Typing(typing(true)));
    story.pass(Duration::from_secs(8));
    assert_eq!(story.event(), ChatEvent::Typing(typing(false)));
}

#[test]
fn strangers_are_followed_once_a_message_was_exchanged() {
    let mut story = Story::connected();
    let refused = || Answer::Error(WireError::new(ErrorCode::Forbidden, "no"));
    story.session.answered(story.now, Reply::Following(PEER, refused()));
    assert_eq!(story.event(), ChatEvent::Stranger(PEER));
    story.idle();
    story.receives(message(1, OTHER, ME, "from somebody else"));
    story.hears("from somebody else", false);
    story.idle();
    story.say("hello");
    let (_, first) = story.sends();
    story.stored(&first, mine(2, "hello"), false);
    story.acknowledged();
    story.follows(PEER);
    let presence = Presence {
        user_id: PEER,
        is_online: true,
        last_seen: None,
    };
    let now = PresentNow {
        presence: vec![presence],
    };
    story
        .session
        .answered(story.now, Reply::Following(PEER, Answer::Ok(now)));
    assert_eq!(story.event(), ChatEvent::Presence(presence));
    // Another connection knows nothing of it.
    story.session.disconnected();
    story.connect("c0");
    story.synced(Vec::new(), "c1", false);
    story.caught_up("c1");
}

#[test]
fn unread_elsewhere_follows_what_the_server_tells() {
    let changed = |story: &mut Story, peer, unread| {
        let conversation = Box::new(conversation(peer, unread));
        let news = News::Conversation(conversation.clone());
        story.session.news(story.now, Some(news), None);
        assert_eq!(story.event(), ChatEvent::Conversation(conversation));
    };
    let mut story = Story::connected();
    changed(&mut story, OTHER, 2);
    assert_eq!(story.event(), ChatEvent::Elsewhere(2));
    changed(&mut story, PEER, 5);
    story.idle();
    changed(&mut story, OTHER, 0);
    assert_eq!(story.event(), ChatEvent::Elsewhere(0));

    // Seven more in conversations that are not on the page: which, is not known.
    story.session.disconnected();
    story.connect("c0");
    story.inbox(more(inbox(&[(PEER, 5), (OTHER, 1)], 13)));
    assert_eq!(story.event(), ChatEvent::Elsewhere(8));
    assert!(matches!(story.event(), ChatEvent::Reached { .. }));
    let third = UserId::from_bytes([4; 12]);
    changed(&mut story, third, 3);
    assert!(matches!(story.event(), ChatEvent::Elsewhere(_)));
    story.synced(Vec::new(), "c1", false);
    story.caught_up("c1");
    story.pass(Duration::from_secs(1));
    story.asks_inbox(None);
    story.inbox(more(inbox(&[(third, 3), (PEER, 5), (OTHER, 1)], 14)));
    assert_eq!(story.event(), ChatEvent::Elsewhere(9));
    story.idle();
}

/// A page that others follow.
fn more(page: Inbox) -> Inbox {
    let next = Some("p2".to_owned());
    Inbox { next, ..page }
}

#[test]
fn a_message_that_came_between_the_two_counts_of_the_server_is_not_elsewhere() {
    let mut story = Story::connected();
    story.session.disconnected();
    story.connect("c0");
    // It is in the total and not yet in the list, which is whole.
    story.inbox(inbox(&[(PEER, 0)], 1));
    assert!(matches!(story.event(), ChatEvent::Reached { .. }));
    story.idle();
}

#[test]
fn how_far_the_other_one_has_read_is_looked_for_in_all_pages() {
    let mut story = Story::offline();
    story.session.connected(story.now);
    story.asks_inbox(None);
    story.cursor("c0");
    let mut page = inbox(&[(OTHER, 1)], 1);
    page.next = Some("p2".to_owned());
    story.inbox(page);
    story.asks_inbox(Some("p2"));
    let mut page = inbox(&[(PEER, 0)], 1);
    page.conversations[0].peer_read_up_to = Some(id(3));
    story.inbox(page);
    assert_eq!(story.event(), ChatEvent::Elsewhere(1));
    let ticket = story.ticket(Page::Newest(OPENING_MESSAGES));
    story.session.fetched(story.now, ticket, Ok(Vec::new()));
    let reached = ChatEvent::Reached {
        with: PEER,
        delivered: None,
        read: Some(id(3)),
    };
    assert_eq!(story.event(), reached);
}

#[test]
fn receipts_are_told_live_and_later() {
    let receipt = |user_id, number| Receipt {
        user_id,
        peer_id: None,
        up_to: id(number),
        at: Timestamp::from_millis(0),
    };
    let mut story = Story::connected();
    story.session.news(
        story.now,
        Some(News::Delivered(receipt(PEER, 1))),
        Some("c1".to_owned()),
    );
    assert_eq!(story.event(), ChatEvent::Delivered(receipt(PEER, 1)));
    story.session.disconnected();
    story.connect("c1");
    let page = Synced {
        events: vec![
            SyncEvent::MessagesRead(receipt(PEER, 2)),
            SyncEvent::MessagesRead(receipt(ME, 3)),
        ],
        next: "c2".to_owned(),
        has_more: false,
        inbox: None,
    };
    story.session.answered(story.now, Reply::Synced(Answer::Ok(page)));
    assert_eq!(story.event(), ChatEvent::Read(receipt(PEER, 2)));
    story.caught_up("c2");
}
