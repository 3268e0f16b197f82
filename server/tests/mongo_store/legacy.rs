//! Databases of the Node.js program: `../legacy` holds its documents and the bytes that it answered for them.

use std::path::Path;

use bson::oid::ObjectId;
use bson::{Bson, DateTime, Document, doc};
use futures_util::TryStreamExt;
use server::domain::{Bounds, Conversation, End, Position};
use server::storage::{MessageStore, UserStore};
use shared::{Message, Timestamp, UserId};

use super::fixture::{Fixture, at, history, name};

const A: &str = "6945576383968f286a0ff5f9";
const B: &str = "6945577083968f286a0ff5fb";
const C: &str = "69455b2183968f286a0ff601";

fn user(id: &str) -> UserId {
    id.parse().unwrap()
}

fn file(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/legacy").join(name)).unwrap()
}

fn documents(name: &str) -> Vec<Document> {
    let parse = |line: &str| match serde_json::from_str::<serde_json::Value>(line).unwrap().try_into() {
        Ok(Bson::Document(document)) => document,
        other => panic!("{other:?}"),
    };
    file(name).lines().map(parse).collect()
}

async fn legacy() -> Fixture {
    let fixture = Fixture::new().await;
    fixture.insert("users", documents("users.jsonl")).await;
    fixture.insert("messages", documents("messages.jsonl")).await;
    fixture
}

#[tokio::test]
async fn histories_are_equal_to_the_byte() {
    let fixture = legacy().await;
    let store = fixture.open().await;
    for (a, b, answer) in [
        (A, B, "history-userA-userB.json"),
        (A, C, "history-userA-userC.json"),
        (A, A, "history-userA-userA.json"),
    ] {
        let messages = history(&store, user(a), user(b)).await;
        assert_eq!(
            serde_json::to_string(&messages).unwrap(),
            file(answer).trim_end(),
            "{answer}"
        );
        assert_eq!(history(&store, user(b), user(a)).await, messages);
    }
    fixture.end([store]).await;
}

#[tokio::test]
async fn pages_join_to_the_history_from_both_ends() {
    let fixture = legacy().await;
    let undated = |id: u8, sender: &str, receiver: &str| {
        let [sender, receiver] = [sender, receiver].map(|id| ObjectId::parse_str(id).unwrap());
        doc! { "_id": ObjectId::from_bytes([id; 12]), "sender": sender, "receiver": receiver, "message": "old" }
    };
    let odd = [undated(1, A, B), undated(2, B, A), undated(3, A, B), undated(4, A, A)];
    fixture.insert("messages", odd).await;
    let store = fixture.open().await;
    for (a, b) in [(A, B), (A, C), (A, A)] {
        let whole = history(&store, user(a), user(b)).await;
        let conversation = Conversation::between(user(a), user(b));
        for limit in [1, 2, 7, 1_000] {
            let (mut up, mut down) = (Vec::new(), Vec::new());
            let mut bounds = Bounds::default();
            loop {
                let page = store.page(conversation, bounds, End::Oldest, limit).await.unwrap();
                let Some(last) = page.last() else { break };
                bounds.after = Some(Position::of(last));
                up.extend(page);
            }
            let mut bounds = Bounds::default();
            loop {
                let mut page = store.page(conversation, bounds, End::Newest, limit).await.unwrap();
                let Some(first) = page.first() else { break };
                bounds.before = Some(Position::of(first));
                page.extend(down);
                down = page;
            }
            assert_eq!((&up, &down), (&whole, &whole), "{a} {b} {limit}");
        }
    }
    fixture.end([store]).await;
}

#[tokio::test]
async fn a_history_without_times_comes_whole() {
    let fixture = legacy().await;
    let [a, b] = [A, B].map(|id| ObjectId::parse_str(id).unwrap());
    // More of each kind than a chunk holds, and their ids in no order of the kinds.
    let kinds = [
        Bson::Null,
        "yesterday".into(),
        5.into(),
        DateTime::from_millis(5).into(),
    ];
    let odd = (0..3_000_u32).map(|number| {
        let mut id = [9; 12];
        id[8..].copy_from_slice(&number.wrapping_mul(0x9e37_79b9).to_be_bytes());
        let time = kinds[number as usize % 4].clone();
        doc! { "_id": ObjectId::from_bytes(id), "sender": a, "receiver": b, "message": "old", "createdAt": time }
    });
    fixture.insert("messages", odd).await;
    let store = fixture.open().await;
    let pair = doc! { "$or": [{ "sender": a, "receiver": b }, { "sender": b, "receiver": a }] };
    let messages = fixture.collection("messages");
    let order = doc! { "createdAt": 1, "_id": 1 };
    let stored: Vec<_> = messages
        .find(pair)
        .sort(order)
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    let stored: Vec<String> = stored
        .iter()
        .map(|message| message.get_object_id("_id").unwrap().to_hex())
        .collect();
    let listed = history(&store, user(A), user(B)).await;
    let listed: Vec<String> = listed.iter().map(|message| message.id.to_string()).collect();
    assert!(stored.len() > 3_000 && listed == stored);
    fixture.end([store]).await;
}

#[tokio::test]
async fn bounds_exclude_themselves_and_meet() {
    let fixture = legacy().await;
    let store = fixture.open().await;
    let whole = history(&store, user(A), user(B)).await;
    let conversation = Conversation::between(user(A), user(B));
    let bounds = Bounds {
        after: Some(Position::of(&whole[5])),
        before: Some(Position::of(&whole[20])),
    };
    let page = async |bounds, end, limit| store.page(conversation, bounds, end, limit).await.unwrap();
    assert_eq!(page(bounds, End::Oldest, 100).await, whole[6..20]);
    assert_eq!(page(bounds, End::Oldest, 3).await, whole[6..9]);
    assert_eq!(page(bounds, End::Newest, 3).await, whole[17..20]);
    let moment = whole[20].created_at.unwrap();
    let bounds = Bounds {
        after: Some(Position::start_of(moment)),
        before: Some(Position::end_of(moment)),
    };
    assert_eq!(page(bounds, End::Newest, 100).await, whole[20..21]);
    assert_eq!(page(Bounds::default(), End::Newest, 0).await, []);
    let before_all = Bounds {
        before: Some(Position::start_of(Timestamp::from_millis(0))),
        after: None,
    };
    assert_eq!(page(before_all, End::Newest, 100).await, []);
    fixture.end([store]).await;
}

#[tokio::test]
async fn opening_changes_no_document_and_duplicate_names_live_on() {
    let fixture = legacy().await;
    let before = (fixture.all("users").await, fixture.all("messages").await);
    let store = fixture.open().await;
    assert_eq!((fixture.all("users").await, fixture.all("messages").await), before);

    let named: Vec<String> = store
        .users_named("userC")
        .await
        .unwrap()
        .iter()
        .map(|user| user.id.to_string())
        .collect();
    assert_eq!(named, [C, "69455b2183968f286a0ff602"]);
    let names = ["userC", "new", "userA", "new"].map(name);
    let users = store.create_users(&names, at(0)).await.unwrap();
    let made: Vec<(&str, bool)> = users
        .iter()
        .map(|(user, created)| (user.username.as_str(), *created))
        .collect();
    assert_eq!(
        made,
        [("userC", false), ("new", true), ("userA", false), ("new", false)]
    );
    assert_eq!(
        (users[0].0.id, users[2].0.id, users[1].0.id),
        (user(C), user(A), users[3].0.id)
    );
    assert_eq!(fixture.all("users").await.len(), before.0.len() + 1);
    fixture.end([store]).await;
}

#[tokio::test]
async fn odd_documents_do_not_spoil_a_page() {
    let fixture = legacy().await;
    let [a, c] = [A, C].map(|id| ObjectId::parse_str(id).unwrap());
    let date = DateTime::from_millis(1);
    let odd = |message: Bson| doc! { "sender": a, "receiver": c, "message": message, "createdAt": date };
    fixture
        .insert(
            "messages",
            [odd(12345.into()), odd(1.5.into()), odd(Bson::Null), odd(doc! {}.into())],
        )
        .await;
    fixture
        .insert(
            "messages",
            [doc! { "_id": "own", "sender": a, "receiver": c, "createdAt": date }],
        )
        .await;
    fixture
        .insert(
            "users",
            [doc! { "_id": "own", "username": "x" }, doc! { "isOnline": 3 }],
        )
        .await;
    let store = fixture.open().await;
    let conversation = Conversation::between(user(A), user(C));
    let page = store
        .page(conversation, Bounds::default(), End::Oldest, 6)
        .await
        .unwrap();
    let texts: Vec<Option<&str>> = page.iter().map(|message| message.message.as_deref()).collect();
    assert_eq!(texts, [Some("12345"), Some("1.5"), None, None, Some("third party 0")]);

    let listed = store.list_users(None, 10).await.unwrap();
    assert_eq!(
        listed.last().map(|user| (user.username.as_str(), user.is_online)),
        Some(("", false))
    );
    assert_eq!(store.list_users(Some(user(B)), 1).await.unwrap()[0].id, user(C));
    fixture.end([store]).await;
}

#[tokio::test]
async fn a_message_is_found_in_its_conversation_only() {
    let fixture = legacy().await;
    let store = fixture.open().await;
    let first: Message = history(&store, user(A), user(B)).await.remove(0);
    let find = async |a, b| {
        store
            .message(Conversation::between(user(a), user(b)), first.id)
            .await
            .unwrap()
    };
    assert_eq!(find(A, B).await.as_ref(), Some(&first));
    assert_eq!(find(A, C).await, None);
    fixture.end([store]).await;
}

#[tokio::test]
async fn whole_histories_continue_after_any_time_there_can_be() {
    let fixture = Fixture::new().await;
    let [a, b] = [A, B].map(|id| ObjectId::parse_str(id).unwrap());
    // More of each kind than are read at once, and many of one moment.
    let times = [
        Bson::Null,
        Bson::Int32(5),
        Bson::String("yesterday".into()),
        DateTime::from_millis(7).into(),
    ];
    let message = |number: usize| {
        let (sender, receiver) = if number.is_multiple_of(2) { (a, b) } else { (b, a) };
        let time = match number % 5 {
            4 => DateTime::from_millis((number / 100) as i64).into(),
            kind => times[kind].clone(),
        };
        doc! { "sender": sender, "receiver": receiver, "message": number.to_string(), "createdAt": time }
    };
    fixture.insert("messages", (0..6_000).map(message)).await;
    fixture
        .insert("messages", [doc! { "_id": "odd", "sender": a, "receiver": b }])
        .await;
    let pair = doc! { "$or": [{ "sender": a, "receiver": b }, { "sender": b, "receiver": a }] };
    let messages = fixture.collection("messages");
    let sorted = messages.find(pair).sort(doc! { "createdAt": 1, "_id": 1 });
    let stored: Vec<Document> = sorted.await.unwrap().try_collect().await.unwrap();
    let text = |document: &Document| Some(document.get_str("message").ok()?.to_owned());
    let expected: Vec<Option<String>> = stored.iter().map(text).filter(Option::is_some).collect();
    let store = fixture.open().await;
    let read = history(&store, user(A), user(B)).await;
    let read: Vec<Option<String>> = read.into_iter().map(|message| message.message).collect();
    assert_eq!(read.len(), 6_000);
    assert!(read == expected, "in the order of the database");
    fixture.end([store]).await;
}

/// To an index a missing time is null. A merge of what was read to compare it takes it for less.
#[tokio::test]
async fn pages_of_messages_with_and_without_a_time_are_parts_of_the_whole() {
    // With much fewer the database sorts by itself.
    const COUNT: usize = 400;
    let fixture = Fixture::new().await;
    let key = |user: &str| ObjectId::parse_str(user).unwrap();
    let messages = (0..COUNT as u32).map(|number| {
        // In no order of the kinds, nor of the directions.
        let mixed = number.wrapping_mul(2_654_435_761);
        let mut id = [7; 12];
        id[..4].copy_from_slice(&mixed.to_be_bytes());
        let (sender, receiver) = if mixed & 64 == 0 { (A, B) } else { (B, A) };
        let mut message = doc! { "_id": ObjectId::from_bytes(id), "sender": key(sender), "receiver": key(receiver),
        "message": number.to_string() };
        match number % 3 {
            0 => {}
            1 => _ = message.insert("createdAt", Bson::Null),
            _ => _ = message.insert("createdAt", DateTime::from_millis(i64::from(mixed >> 4))),
        }
        message
    });
    fixture.insert("messages", messages).await;
    let store = fixture.open().await;
    let (a, b) = (user(A), user(B));
    let whole = history(&store, a, b).await;
    assert_eq!(whole.len(), COUNT);
    let order = |message: &Message| Position::of(message);
    assert!(whole.is_sorted_by_key(order));
    let page = async |bounds, end, limit| {
        let page = store.page(Conversation::between(a, b), bounds, end, limit).await;
        page.unwrap()
    };
    // The last ones first: the database keeps to the plan that was best for the first query of a kind.
    for (index, message) in whole.iter().enumerate().rev().step_by(3) {
        let place = Some(Position::of(message));
        let before = Bounds {
            before: place,
            ..Bounds::default()
        };
        let after = Bounds {
            after: place,
            ..Bounds::default()
        };
        for limit in [7, 1, 40, COUNT] {
            let (from, to) = (index.saturating_sub(limit), (index + 1 + limit).min(COUNT));
            let newest = page(before, End::Newest, limit).await;
            assert_eq!(newest, whole[from..index], "{limit} before {index}");
            let oldest = page(before, End::Oldest, limit).await;
            assert_eq!(oldest, whole[..limit.min(index)], "the first {limit} before {index}");
            let oldest = page(after, End::Oldest, limit).await;
            assert_eq!(oldest, whole[index + 1..to], "{limit} after {index}");
        }
        let between = Bounds {
            after: Some(Position::of(&whole[index / 2])),
            before: place,
        };
        let first = index / 2 + 1;
        let between = page(between, End::Newest, COUNT).await;
        assert_eq!(between, whole[first.min(index)..index], "between {first} and {index}");
    }
    fixture.end([store]).await;
}
