//! A clock that was ahead and was set right: times go on from the newest message, ids and feeds with the clock.

use std::collections::HashSet;

use bson::{DateTime, doc};
use server::chat::MessageIdGenerator;
use server::domain::NewMessage;
use server::domain::{Change, Conversation, Cursor};
use server::storage::mongodb::MongoStore;
use server::storage::{FeedStore, InboxStore, MessageStore, Store};
use shared::{Message, Timestamp, UserId};

use super::fixture::{Fixture, TestClock, at, history, mongooses, new_message, users};

const DAY: i64 = 86_400;

fn minted(mint: &MessageIdGenerator, sender: UserId, receiver: UserId) -> NewMessage {
    let (created_at, id) = mint.next();
    NewMessage {
        id,
        created_at,
        ..new_message(sender, receiver, "text")
    }
}

/// A generator of ids as a server that starts now has it.
async fn mint(clock: &TestClock, store: &MongoStore) -> MessageIdGenerator {
    MessageIdGenerator::new(clock.for_store(0), store.newest().await.unwrap())
}

async fn append(store: &MongoStore, message: NewMessage) -> Message {
    store.append(&[message]).await.remove(0).unwrap().message
}

/// The messages of one catching up, and the cursor after it.
async fn catch_up(store: &MongoStore, user: UserId, mut cursor: Cursor) -> (Vec<Message>, Cursor) {
    let mut messages = Vec::new();
    loop {
        let page = store.changes(user, &cursor, 2).await.unwrap();
        messages.extend(page.changes.into_iter().filter_map(|change| match change {
            Change::Message(message) => Some(message),
            _ => None,
        }));
        cursor = page.next;
        if !page.more {
            return (messages, cursor);
        }
    }
}

#[tokio::test]
async fn messages_after_it_sort_later_and_are_caught_up_once() {
    let fixture = Fixture::new().await;
    let store = fixture.open().await;
    let [ada, bob] = users(&store, ["ada", "bob"]).await;
    let mut sent = vec![append(&store, minted(&mint(&fixture.clock, &store).await, ada, bob)).await];
    fixture.clock.set(at(DAY));
    let mut last = mint(&fixture.clock, &store).await;
    sent.push(append(&store, minted(&last, ada, bob)).await);
    // Set right while it runs, then over restarts; also of a second program whose clock was never wrong.
    for minute in 1..5 {
        fixture.clock.set(at(minute * 60));
        sent.push(append(&store, minted(&last, ada, bob)).await);
        last = mint(&fixture.clock, &store).await;
        sent.push(append(&store, minted(&last, ada, bob)).await);
        sent.push(append(&store, minted(&last, ada, bob)).await);
    }
    assert_eq!(history(&store, ada, bob).await, sent, "in the order of sending");
    for message in &sent[2..] {
        assert!(message.created_at > Some(at(DAY - 1)) && message.created_at < Some(at(DAY + 1)));
        assert!(message.updated_at < Some(at(5 * 60)), "{message:?}");
    }

    // What became settled since comes once, but for the one message that has the wrong time.
    let (all, next) = catch_up(
        &store,
        bob,
        Cursor {
            point: 0,
            ..store.cursor(0)
        },
    )
    .await;
    let ids = |messages: &[Message]| messages.iter().map(|message| message.id).collect::<HashSet<_>>();
    assert_eq!(ids(&all), ids(&sent));
    fixture.clock.set(at(7 * 60));
    let (_, next) = catch_up(&store, bob, next).await;
    fixture.clock.set(at(10 * 60));
    let (again, _) = catch_up(&store, bob, next).await;
    assert_eq!(ids(&again), ids(&sent[1..2]));
    assert_eq!(again.len(), 1);

    // A cursor of that clock would pass over everything of this day.
    let ahead = Cursor {
        point: at(DAY - 60).millis(),
        ..store.cursor(0)
    };
    assert!(store.changes(bob, &ahead, 10).await.is_err());
    fixture.end([store]).await;
}

/// A commit that took too long is announced to others by the time in its id, whatever `createdAt` says.
#[tokio::test]
async fn a_late_commit_is_renewed_although_its_time_is_ahead() {
    let fixture = Fixture::new().await;
    let store = fixture.open().await;
    let [ada, bob] = users(&store, ["ada", "bob"]).await;
    let ahead = MessageIdGenerator::new(fixture.clock.for_store(0), Some(at(DAY)));
    let message = minted(&ahead, ada, bob);
    let batch = [message.clone()];
    let pause = async { fixture.clock.set(at(40)) };
    let (outcomes, ()) = futures_util::future::join(store.append(&batch), pause).await;
    assert_eq!(outcomes[0].as_ref().unwrap().message.updated_at, Some(at(40)));
    assert_eq!(fixture.all("renewals").await.len(), 1);
    let pair = Conversation::between(ada, bob);
    let stored = store.message(pair, message.id).await.unwrap().unwrap();
    assert_eq!(stored.created_at, Some(message.created_at));
    fixture.end([store]).await;
}

/// A machine that has forgotten the time. What everybody has read does not become unread by it, then or later.
#[tokio::test]
async fn a_start_by_a_clock_that_is_behind_makes_nothing_unread() {
    let fixture = Fixture::new().await;
    let store = fixture.open().await;
    let [ada, bob] = users(&store, ["ada", "bob"]).await;
    let old = [-2_000, -1_000].map(|seconds| mongooses(bob, ada, "before the first start", at(seconds)));
    fixture.insert("messages", old).await;
    store.close(at(0)).await.unwrap();
    for now in [0, -5_000, 100] {
        fixture.clock.set(at(now));
        let store = fixture.open().await;
        let summary = store.summaries(&[(ada, bob)]).await.unwrap().remove(0);
        assert_eq!(summary.unread, 0, "started at {now}");
        store.close(at(now)).await.unwrap();
    }
    fixture.end([]).await;
}

/// What other programs left can have any time.
#[tokio::test]
async fn times_that_cannot_be_right_do_not_count() {
    let fixture = Fixture::new().await;
    let store = fixture.open().await;
    let [ada, bob] = users(&store, ["ada", "bob"]).await;
    let honest = mongooses(ada, bob, "honest", at(10));
    let mut id_ahead = mongooses(ada, bob, "a made-up id", at(4 * DAY));
    id_ahead.insert("createdAt", DateTime::from_millis(at(5).millis()));
    let mut time_ahead = mongooses(ada, bob, "a made-up time", at(6));
    time_ahead.insert("createdAt", DateTime::from_millis(at(9 * DAY).millis()));
    let mut undated = mongooses(ada, bob, "no time", at(8 * DAY));
    undated.remove("createdAt");
    fixture
        .insert("messages", [honest, id_ahead, time_ahead, undated])
        .await;
    fixture.clock.set(at(20));
    let newest = store.newest().await.unwrap().unwrap();
    let expected: Timestamp = at(10);
    assert_eq!(newest, expected);
    fixture.end([store]).await;
}
