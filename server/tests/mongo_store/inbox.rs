//! Inboxes of old databases, their rebuilding, and what it costs to read them.

use std::collections::HashMap;

use bson::oid::ObjectId;
use bson::{Bson, DateTime, Document, doc};
use futures_util::TryStreamExt;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use server::domain::{Mark, MarkKind, Position};
use server::storage::mongodb::MongoStore;
use server::storage::{InboxEntry, InboxStore, MessageStore, ReceiptStore};
use shared::{MessageId, Timestamp, UserId};

use super::fixture::{Fixture, at, mongooses, new_message, stored, until, users};

fn person(number: u8) -> UserId {
    UserId::from_bytes([number; 12])
}

/// Messages of an old database, with its oddities.
fn old_messages(count: usize) -> Vec<Document> {
    let mut rng = SmallRng::seed_from_u64(7);
    let message = |number: usize| {
        let [sender, receiver] = [(); 2].map(|()| person(rng.random_range(1..20)));
        let mut message = mongooses(sender, receiver, "old", at(-1_000_000 + number as i64));
        // The order of the ids is not that of the times, and some have none.
        let created_at = match rng.random_ratio(1, 10) {
            true => Bson::Null,
            false => DateTime::from_millis(at(rng.random_range(-2_000_000..0)).millis()).into(),
        };
        message.insert("createdAt", created_at);
        if rng.random_ratio(1, 20) {
            message.remove(["sender", "receiver", "createdAt", "updatedAt"][rng.random_range(0..4)]);
        }
        message
    };
    (0..count).map(message).collect()
}

/// The inboxes that these messages make.
async fn expected(fixture: &Fixture) -> HashMap<UserId, Vec<InboxEntry>> {
    let mut last: HashMap<(UserId, UserId), Position> = HashMap::new();
    for message in fixture.all("messages").await {
        let user = |field| Some(UserId::from_bytes(message.get_object_id(field).ok()?.bytes()));
        let (Some(sender), Some(receiver)) = (user("sender"), user("receiver")) else {
            continue;
        };
        let created_at = message.get_datetime("createdAt").ok();
        let place = Position {
            created_at: created_at.map_or(Position::UNDATED, |at| Timestamp::from_millis(at.timestamp_millis())),
            id: message.get_object_id("_id").unwrap().to_hex().parse().unwrap(),
        };
        for pair in [(sender, receiver), (receiver, sender)] {
            let newest = last.entry(pair).or_insert(place);
            *newest = place.max(*newest);
        }
    }
    let mut inboxes: HashMap<UserId, Vec<InboxEntry>> = HashMap::new();
    for ((owner, peer), last) in last {
        inboxes.entry(owner).or_default().push(InboxEntry { peer, last });
    }
    for inbox in inboxes.values_mut() {
        inbox.sort_by_key(|entry| std::cmp::Reverse(entry.last));
    }
    inboxes
}

/// Reads all inboxes, each in pages of some size.
async fn all(store: &MongoStore, limit: usize) -> HashMap<UserId, Vec<InboxEntry>> {
    let mut inboxes = HashMap::new();
    for number in 0..=40 {
        let mut inbox: Vec<InboxEntry> = Vec::new();
        loop {
            let after = inbox.last().map(|entry| entry.last);
            let page = store.inbox(person(number), after, limit).await.unwrap();
            if page.is_empty() {
                break;
            }
            inbox.extend(page);
        }
        if !inbox.is_empty() {
            inboxes.insert(person(number), inbox);
        }
    }
    inboxes
}

async fn built(store: &MongoStore) {
    until("inboxes are built", async || {
        let projection = store.projection();
        projection.ready && !projection.building
    })
    .await;
}

#[tokio::test]
async fn the_first_start_on_an_old_database_builds_all_inboxes() {
    let fixture = Fixture::new().await;
    fixture.insert("messages", old_messages(3_000)).await;
    let expected = expected(&fixture).await;
    // One node begins, dies at whatever point, and others continue, all at once.
    drop(fixture.open().await);
    let release = doc! { "$set": { "build.until": DateTime::from_millis(0) } };
    fixture
        .collection("meta")
        .update_one(doc! { "_id": "inbox", "build": { "$type": "object" } }, release)
        .await
        .unwrap();
    let (one, two) = (fixture.open().await, fixture.open().await);
    for store in [&one, &two] {
        built(store).await;
        for limit in [1, 7, 100] {
            assert_eq!(all(store, limit).await, expected);
        }
    }
    // The next start has nothing to build.
    let next = fixture.open().await;
    assert!(next.projection().ready && !next.projection().building);
    fixture.end([one, two, next]).await;
}

#[tokio::test]
async fn an_empty_database_is_ready_at_once() {
    let fixture = Fixture::new().await;
    let store = fixture.open().await;
    assert!(store.projection().ready && !store.projection().building);
    fixture.end([store]).await;
}

#[tokio::test]
async fn rebuilding_finds_what_was_imported_and_removes_what_is_gone() {
    let fixture = Fixture::new().await;
    let store = fixture.open().await;
    let [ada, bob, eve] = users(&store, ["ada", "bob", "eve"]).await;
    let batch = [
        new_message(ada, bob, "one"),
        new_message(bob, ada, "two"),
        new_message(ada, eve, "gone"),
    ];
    assert!(store.append(&batch).await.iter().all(Result::is_ok));
    for (user, peers) in [(ada, 2), (bob, 1), (eve, 1)] {
        assert_eq!(store.inbox(user, None, 10).await.unwrap().len(), peers);
    }
    // What no node can notice: old messages are imported, others deleted.
    fixture.insert("messages", old_messages(500)).await;
    for gone in &batch[1..] {
        let id = ObjectId::from_bytes(gone.id.bytes());
        fixture
            .collection("messages")
            .delete_one(doc! { "_id": id })
            .await
            .unwrap();
    }
    store.rebuild().await.unwrap();
    assert!(store.projection().ready, "the old inboxes are used meanwhile");
    built(&store).await;
    let mut expected = expected(&fixture).await;
    for user in [ada, bob] {
        assert_eq!(
            store.inbox(user, None, 10).await.unwrap(),
            expected.remove(&user).unwrap()
        );
    }
    assert_eq!(store.inbox(eve, None, 10).await.unwrap(), []);
    assert_eq!(all(&store, 100).await, expected);
    fixture.end([store]).await;
}

#[tokio::test]
async fn unread_messages_are_counted_where_a_hint_says_so() {
    let fixture = Fixture::new().await;
    let store = fixture.open().await;
    let [ada, bob, eve] = users(&store, ["ada", "bob", "eve"]).await;
    let batch: Vec<_> = [(ada, eve), (bob, ada), (eve, ada), (bob, ada), (ada, ada)]
        .map(|(sender, receiver)| new_message(sender, receiver, "text"))
        .into();
    assert!(store.append(&batch).await.iter().all(Result::is_ok));
    let hints = async || {
        let hinted = doc! { "_id.owner": ObjectId::from_bytes(ada.bytes()), "mayHaveUnread": true };
        fixture.collection("inboxes").count_documents(hinted).await.unwrap()
    };
    assert_eq!((store.total_unread(ada, 1_000).await, hints().await), (Ok(3), 2));
    assert_eq!(store.total_unread(ada, 2).await, Ok(2));
    let mark = |peer, up_to: usize| Mark {
        user: ada,
        peer,
        kind: MarkKind::Read,
        up_to: batch[up_to].id,
        at: at(0),
    };
    assert!(store.mark(&[mark(bob, 3)]).await[0].is_ok());
    assert_eq!((store.total_unread(ada, 1_000).await, hints().await), (Ok(1), 1));
    let another = new_message(bob, ada, "more");
    assert_eq!(store.append(std::slice::from_ref(&another)).await, [stored(&another)]);
    assert_eq!((store.total_unread(ada, 1_000).await, hints().await), (Ok(2), 2));
    fixture.end([store]).await;
}

/// Other programs can store anything as a time. To readers it is none.
#[tokio::test]
async fn a_message_is_read_up_to_which_was_read_whatever_its_time_is() {
    let fixture = Fixture::new().await;
    let store = fixture.open().await;
    let [ada, bob] = users(&store, ["ada", "bob"]).await;
    let times = [
        None,
        Some(Bson::Null),
        Some(Bson::Int32(5)),
        Some(Bson::String("2019-05-04".into())),
        Some(Bson::Boolean(true)),
        Some(Bson::DateTime(DateTime::from_millis(at(5).millis()))),
    ];
    let count = times.len();
    let mut ids = Vec::new();
    for time in times {
        let mut message = mongooses(bob, ada, "text", at(0));
        ids.push(message.get_object_id("_id").unwrap());
        match time {
            Some(time) => _ = message.insert("createdAt", time),
            None => _ = message.remove("createdAt"),
        }
        fixture.insert("messages", [message]).await;
    }
    let newest = MessageId::from_bytes(ids[count - 1].bytes());
    until("what another program wrote is listed", async || {
        let inbox = store.inbox(ada, None, 1).await.unwrap();
        inbox.first().is_some_and(|entry| entry.last.id == newest)
    })
    .await;
    for (index, id) in ids.into_iter().enumerate() {
        let read = Mark {
            user: ada,
            peer: bob,
            kind: MarkKind::Read,
            up_to: MessageId::from_bytes(id.bytes()),
            at: at(0),
        };
        assert!(store.mark(&[read]).await[0].is_ok());
        let summaries = store.summaries(&[(ada, bob)]).await.unwrap();
        assert_eq!(summaries[0].unread as usize, count - index - 1, "after {index}");
    }
    fixture.end([store]).await;
}

#[tokio::test]
async fn lists_and_counts_read_little() {
    const PEERS: u32 = 60;
    let fixture = Fixture::new().await;
    // What is older than the first start counts as read.
    fixture.clock.set(at(-200_000));
    let store = fixture.open().await;
    let [ada] = users(&store, ["ada"]).await;
    let peer = |number: u32| {
        let mut id = [9; 12];
        id[..4].copy_from_slice(&number.to_be_bytes());
        UserId::from_bytes(id)
    };
    let messages = (0..4_800).map(|number| {
        let (sender, receiver) = match number < 2_400 {
            true => (ada, peer(number % PEERS)),
            false => (peer(number % PEERS), ada),
        };
        mongooses(sender, receiver, "text", at(-100_000 + i64::from(number)))
    });
    fixture.insert("messages", messages).await;
    fixture.clock.set(at(0));
    store.rebuild().await.unwrap();
    built(&store).await;
    fixture.database.run_command(doc! { "profile": 2 }).await.unwrap();
    let page = store.inbox(ada, None, 50).await.unwrap();
    let pairs: Vec<_> = page.iter().map(|entry| (ada, entry.peer)).collect();
    let summaries = store.summaries(&pairs).await.unwrap();
    let others: Vec<_> = (0..2 * PEERS).map(peer).collect();
    let known = store.acquainted(ada, &others).await.unwrap();
    fixture.database.run_command(doc! { "profile": 0 }).await.unwrap();
    assert_eq!(known.len(), PEERS as usize);
    for (entry, summary) in page.iter().zip(&summaries) {
        assert_eq!(
            (Position::of(summary.last.as_ref().unwrap()), summary.unread),
            (entry.last, 40)
        );
    }
    let own = doc! { "command.comment": { "$ne": "follower" }, "op": { "$in": ["query", "command"] } };
    let profiles: Vec<Document> = fixture
        .collection("system.profile")
        .find(own)
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    let (mut keys, mut documents) = (0, 0);
    for profile in &profiles {
        let number = |field: &str| profile.get(field).and_then(Bson::as_i32).unwrap_or_default();
        assert!(!profile.get_bool("hasSortStage").unwrap_or(false), "{profile}");
        keys += number("keysExamined");
        documents += number("docsExamined");
    }
    // 50 inboxes, 100 newest messages, 50 own ones by the index alone, 2,000 counted, 60 people in two directions, the progress of the building.
    assert!(documents <= 160, "{documents} documents");
    assert!(keys <= 2_700, "{keys} keys");
    fixture.end([store]).await;
}
