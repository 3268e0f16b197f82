//! Feeds that are read while commits come late and out of order, by clocks that do not agree.

use std::collections::{BTreeMap, HashMap, HashSet};

use bson::oid::ObjectId;
use bson::{Bson, DateTime, Document, doc};
use futures_util::TryStreamExt;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use server::domain::{Change, Cursor, Mark, MarkKind, PageEnd};
use server::storage::mongodb::MongoStore;
use server::storage::{ChangesError, FeedStore, MessageStore, ReceiptStore, UserStore};
use shared::{SettingsChange, Timestamp, UserId};

use super::fixture::{Fixture, at, new_message, users};

/// How far the clocks of the programs in these tests are ahead of the test's, in milliseconds.
const SKEWS: [i64; 3] = [0, 5_000, -5_000];

fn oid(user: UserId) -> ObjectId {
    ObjectId::from_bytes(user.bytes())
}

/// What identifies a version of a change to a client.
fn version(change: &Change) -> (Vec<u8>, i64) {
    match change {
        Change::Message(message) => (message.id.bytes().to_vec(), message.updated_at.unwrap().millis()),
        Change::Marker(marker) => {
            let key = [marker.user.bytes(), marker.peer.bytes()].concat();
            (key, marker.read.unwrap().at.millis())
        }
        Change::Settings(_) => (Vec::new(), 0),
    }
}

/// Documents on their way to the database: by the time of the test's clock at which they become visible.
#[derive(Default)]
struct Held(BTreeMap<i64, Vec<(&'static str, Document)>>);

impl Held {
    /// A program whose clock is ahead by `skew` stamps a document now and commits it up to 29 seconds later.
    fn hold(&mut self, rng: &mut SmallRng, now: i64, collection: &'static str, mut document: Document) -> i64 {
        let skew = SKEWS[rng.random_range(0..SKEWS.len())];
        // Coarse, so that many share a moment.
        let mut updated_at = (now + skew) / 2_000 * 2_000;
        let mut visible = now + rng.random_range(0..27_000);
        if rng.random_ratio(1, 8) {
            // Took too long: renewed, and visible soon after.
            visible += 40_000;
            updated_at = visible + skew;
            visible += rng.random_range(0..20_000);
        }
        document.insert("updatedAt", DateTime::from_millis(updated_at));
        if collection == "markers" {
            document.insert("readMarkedAt", DateTime::from_millis(updated_at));
        }
        self.0.entry(visible).or_default().push((collection, document));
        updated_at
    }

    /// Commits what is to be visible by now.
    async fn release(&mut self, fixture: &Fixture, now: i64) {
        let later = self.0.split_off(&(now + 1));
        for (collection, document) in std::mem::replace(&mut self.0, later).into_values().flatten() {
            fixture.insert(collection, [document]).await;
        }
    }
}

/// One of the changes that a feed has to hold, and one that concerns somebody else.
fn change(rng: &mut SmallRng, user: UserId, number: u32) -> (&'static str, Document, Vec<u8>) {
    let other = UserId::from_bytes(ObjectId::from_bytes([rng.random_range(100..103); 12]).bytes());
    let (left, right) = match rng.random_range(0..3) {
        0 => (user, other),
        1 => (other, user),
        _ => (user, user),
    };
    // Keys on both sides of the user's own, and never in the order of the times.
    let key: [u8; 12] = rng.random();
    if rng.random_ratio(2, 3) || left == right {
        let message =
            doc! { "_id": ObjectId::from_bytes(key), "sender": oid(left), "receiver": oid(right), "message": "text" };
        return ("messages", message, key.to_vec());
    }
    let mut peer = key;
    peer[..4].copy_from_slice(&number.to_be_bytes());
    let peer = UserId::from_bytes(peer);
    let (who, whose) = match left == user {
        true => (user, peer),
        false => (peer, user),
    };
    let place = doc! { "at": DateTime::from_millis(1), "id": ObjectId::from_bytes(key) };
    let marker = doc! { "_id": { "user": oid(who), "peer": oid(whose) }, "read": place };
    ("markers", marker, [who.bytes(), whose.bytes()].concat())
}

#[tokio::test]
async fn nothing_is_skipped_whatever_order_commits_become_visible_in() {
    for seed in 0..3 {
        nothing_is_skipped(seed).await;
    }
}

async fn nothing_is_skipped(seed: u64) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let fixture = Fixture::new().await;
    let mut readers: Vec<MongoStore> = Vec::new();
    for skew in SKEWS {
        readers.push(fixture.open_skewed(skew).await);
    }
    let [ada, bob] = users(&readers[0], ["ada", "bob"]).await;
    let mut held = Held::default();
    let mut expected: HashMap<Vec<u8>, i64> = HashMap::new();
    let mut heard: HashSet<(Vec<u8>, i64)> = HashSet::new();
    let mut cursor = readers[0].cursor(readers[0].committed_position());
    for number in 0..150 {
        let now = fixture.clock.now().millis() + rng.random_range(0..2_500);
        fixture.clock.set(Timestamp::from_millis(now));
        held.release(&fixture, now).await;
        for side in 0..rng.random_range(0..4) {
            let (collection, document, key) = change(&mut rng, ada, number * 4 + side);
            expected.insert(key, held.hold(&mut rng, now, collection, document));
        }
        let (collection, document, _) = change(&mut rng, bob, 4_000 + number);
        held.hold(&mut rng, now, collection, document);
        // A client that reads a page or some, then pauses, on whichever server it meets.
        for _ in 0..rng.random_range(0..4) {
            let reader = &readers[rng.random_range(0..readers.len())];
            let page = reader.changes(ada, &cursor, rng.random_range(1..6)).await.unwrap();
            heard.extend(page.changes.iter().map(version));
            cursor = Cursor::parse(&page.next.to_string()).unwrap();
        }
        if rng.random_ratio(1, 60) {
            let pause = rng.random_range(30..600);
            fixture.clock.set(Timestamp::from_millis(now + pause * 1_000));
        }
    }
    // Everything is visible in the end, and the client reads on: it must receive all of it.
    let end = fixture.clock.now().millis() + 100_000;
    held.release(&fixture, end).await;
    fixture.clock.set(Timestamp::from_millis(end + 100_000));
    loop {
        let page = readers[0].changes(ada, &cursor, 50).await.unwrap();
        heard.extend(page.changes.iter().map(version));
        cursor = page.next;
        if !page.more {
            break;
        }
    }
    let missing: Vec<_> = expected
        .into_iter()
        .filter(|(key, updated_at)| !heard.contains(&(key.clone(), *updated_at)))
        .collect();
    assert!(
        missing.is_empty(),
        "seed {seed}: {} are missing: {missing:?}",
        missing.len()
    );
    assert!(
        heard.iter().all(|(key, _)| !key.is_empty()),
        "ada has changed no settings"
    );
    // The client has caught up: nothing is left, and the cursor is settled.
    let rest = readers[0].changes(ada, &cursor, 50).await.unwrap();
    assert_eq!((rest.changes, rest.more, rest.next.page), (Vec::new(), false, None));
    assert_eq!(rest.next.point, fixture.clock.now().millis() - 60_000);
    fixture.end(readers).await;
}

#[tokio::test]
async fn settled_pages_go_on_exactly_and_come_to_an_end() {
    let fixture = Fixture::new().await;
    let store = fixture.open().await;
    let [ada, bob, eve] = users(&store, ["ada", "bob", "eve"]).await;
    let mut expected = Vec::new();
    // All of one moment, as after a migration; among them markers and settings.
    let moment = DateTime::from_millis(at(10).millis());
    let document = |number: u32, sender, receiver| {
        let mut id = [0; 12];
        id[..4].copy_from_slice(&number.to_be_bytes());
        doc! { "_id": ObjectId::from_bytes(id), "sender": oid(sender), "receiver": oid(receiver), "createdAt": moment, "updatedAt": moment }
    };
    for number in 1..=40 {
        let (sender, receiver) = [(ada, bob), (bob, ada), (ada, ada), (bob, eve)][number as usize % 4];
        fixture.insert("messages", [document(number, sender, receiver)]).await;
        if sender == ada || receiver == ada {
            expected.push(document(number, sender, receiver).get_object_id("_id").unwrap().bytes());
        }
    }
    let mark = |user, peer, number: u32| Mark {
        user,
        peer,
        kind: MarkKind::Read,
        up_to: document(number, user, peer)
            .get_object_id("_id")
            .unwrap()
            .to_hex()
            .parse()
            .unwrap(),
        at: at(10),
    };
    let marks = [
        mark(ada, bob, 1),
        mark(bob, ada, 4),
        mark(ada, ada, 2),
        mark(bob, eve, 3),
    ];
    assert!(store.mark(&marks).await.iter().all(Result::is_ok));
    let invisible = SettingsChange {
        read_receipts: None,
        invisible: Some(true),
    };
    store.change_settings(ada, invisible, at(10)).await.unwrap().unwrap();

    fixture.clock.set(at(100));
    for limit in [1, 2, 3, 7, 100] {
        let mut cursor = Cursor {
            point: at(9).millis(),
            ..store.cursor(0)
        };
        let mut messages = Vec::new();
        let (mut markers, mut settings) = (Vec::new(), 0);
        loop {
            let page = store.changes(ada, &cursor, limit).await.unwrap();
            assert!(page.changes.len() <= limit);
            for change in page.changes {
                match change {
                    Change::Message(message) => messages.push(message.id.bytes()),
                    Change::Marker(marker) => markers.push((marker.user, marker.peer)),
                    Change::Settings(changed) => settings += i32::from(changed.invisible),
                }
            }
            cursor = page.next;
            if !page.more {
                break;
            }
        }
        assert_eq!(
            (&messages, settings),
            (&expected, 1),
            "limit {limit}: once each, in order"
        );
        let mut pairs = vec![(ada, bob), (bob, ada), (ada, ada)];
        pairs.sort();
        assert_eq!(markers, pairs, "limit {limit}");
        assert_eq!((cursor.point, cursor.page), (at(40).millis(), None), "limit {limit}");
    }
    fixture.end([store]).await;
}

#[tokio::test]
async fn cursors_of_other_databases_and_of_lost_states_are_refused() {
    let fixture = Fixture::new().await;
    let store = fixture.open().await;
    let other = Fixture::new().await;
    let stranger = other.open().await;
    let [ada] = users(&store, ["ada"]).await;
    let good = store.cursor(store.committed_position());
    assert!(store.changes(ada, &good, 5).await.is_ok());
    let damaged = Cursor {
        page: Some(PageEnd {
            at: at(0),
            key: vec![0; 5],
        }),
        ..good.clone()
    };
    let future = Cursor {
        point: at(1).millis(),
        ..good.clone()
    };
    for cursor in [stranger.cursor(stranger.committed_position()), damaged, future] {
        let refused = store.changes(ada, &cursor, 5).await;
        assert!(matches!(refused, Err(ChangesError::Reset(_))), "{cursor:?}");
    }
    // Extremes, which anybody can make up, are no danger.
    for point in [i64::MIN, i64::MIN + 1, 0, -1] {
        let cursor = Cursor { point, ..good.clone() };
        assert!(store.changes(ada, &cursor, 5).await.is_ok());
    }
    // Another store of the same database accepts the cursor.
    let again = fixture.open().await;
    assert!(again.changes(ada, &good, 5).await.is_ok());
    other.end([stranger]).await;
    fixture.end([store, again]).await;
}

#[tokio::test]
async fn a_page_costs_the_same_however_long_the_feed_is() {
    const COUNT: usize = 5_000;
    const LIMIT: usize = 50;
    let fixture = Fixture::new().await;
    let store = fixture.open().await;
    let [ada, bob, eve] = users(&store, ["ada", "bob", "eve"]).await;
    for chunk in 0..COUNT / 500 {
        let pair = |number| [(ada, bob), (bob, ada), (bob, eve), (ada, ada)][number % 4];
        let batch: Vec<_> = (chunk * 500..(chunk + 1) * 500)
            .map(|number| new_message(pair(number).0, pair(number).1, "text"))
            .collect();
        assert!(store.append(&batch).await.iter().all(Result::is_ok));
    }
    fixture.clock.set(at(1_000));
    fixture.database.run_command(doc! { "profile": 2 }).await.unwrap();
    let mut cursor = Cursor {
        point: 0,
        ..store.cursor(0)
    };
    for _ in 0..10 {
        let page = store.changes(ada, &cursor, LIMIT).await.unwrap();
        assert!(page.more && page.changes.len() == LIMIT);
        cursor = page.next;
    }
    fixture.database.run_command(doc! { "profile": 0 }).await.unwrap();
    let own = doc! { "op": "query", "ns": format!("{}.messages", fixture.database.name()), "command.comment": { "$ne": "follower" } };
    let profiles: Vec<Document> = fixture
        .collection("system.profile")
        .find(own)
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(profiles.len(), 10);
    for profile in profiles {
        let number = |field: &str| profile.get(field).and_then(Bson::as_i32).unwrap_or_default() as usize;
        let (keys, docs) = (number("keysExamined"), number("docsExamined"));
        assert!(!profile.get_bool("hasSortStage").unwrap_or(false), "{profile}");
        // Messages to oneself are met in both directions.
        assert!(
            keys <= 2 * LIMIT + 8 && docs <= 2 * LIMIT + 8,
            "{keys} keys, {docs} documents: {profile}"
        );
    }
    fixture.end([store]).await;
}
