//! The inboxes of what several nodes and other programs wrote: each is written once, and none is forgotten, whichever node
//! dies.

use bson::doc;
use bson::oid::ObjectId;
use futures_util::stream::BoxStream;
use server::chat::MessageIdGenerator;
use server::domain::RemoteChange;
use server::storage::mongodb::MongoStore;
use server::storage::{FeedStore, InboxStore, MessageStore, PresenceStore, Store};
use shared::UserId;
use testkit::mongod::Mongod;

use super::fixture::{Fixture, at, mongooses, until, users};
use super::nodes::{hear, id, minted, new_mint, peers};

#[tokio::test]
async fn what_a_dead_node_left_is_listed_by_the_next() {
    let fixture = Fixture::new().await;
    let store = fixture.open().await;
    let [ada, bob, eve] = users(&store, ["ada", "bob", "eve"]).await;
    let message_ids = new_mint(&fixture);
    // For every time that the next node may come later.
    for (pause, peer) in [(1, bob), (600, eve), (100_000, ada)] {
        let dying = fixture.open().await;
        let message = minted(&message_ids, ada, peer);
        assert!(dying.append(std::slice::from_ref(&message)).await[0].is_ok());
        drop(dying);
        // Whether it came to it or not: nothing of that message is listed.
        fixture
            .collection("inboxes")
            .delete_many(doc! { "last.id": ObjectId::from_bytes(message.id.bytes()) })
            .await
            .unwrap();
        let now = fixture.clock.now().millis() + pause * 1_000;
        fixture.clock.set(shared::Timestamp::from_millis(now));
        let next = fixture.open().await;
        until("the next node lists it", async || {
            peers(&next, ada).await.contains(&(peer, message.id))
        })
        .await;
        next.close(fixture.clock.now()).await.unwrap();
    }
    fixture.end([store]).await;
}

/// Lets a node live whose ids the others know by their bytes. `hears` is another node, and its stream.
async fn introduce(
    fixture: &Fixture,
    node: &MongoStore,
    message_ids: &MessageIdGenerator,
    hears: &mut BoxStream<'static, Vec<RemoteChange>>,
) {
    let [ada, bob] = users(node, ["ada", "bob"]).await;
    let first = minted(message_ids, ada, bob);
    assert!(node.append(std::slice::from_ref(&first)).await[0].is_ok());
    assert_eq!(hear(hears, 1).await, [first.id]);
    node.heartbeat(fixture.clock.now()).await.unwrap();
    // A node that receives this one reads the leases again before it reads more.
    let fence = mongooses(ada, bob, "fence", fixture.clock.now());
    fixture.insert("messages", [fence.clone()]).await;
    assert_eq!(hear(hears, 1).await, [id(&fence)]);
}

/// How often the inbox of one user was written for another.
async fn touched(fixture: &Fixture, owner: UserId, peer: UserId) -> i64 {
    let [owner, peer] = [owner, peer].map(|user| ObjectId::from_bytes(user.bytes()));
    let one = doc! { "_id.owner": owner, "_id.peer": peer };
    let inbox = fixture.collection("inboxes").find_one(one).await.unwrap();
    inbox.map_or(0, |inbox| inbox.get_i64("touched").unwrap())
}

#[tokio::test]
async fn each_node_writes_the_inboxes_of_what_it_stored_itself() {
    let fixture = Fixture::new().await;
    let (one, two) = (fixture.open().await, fixture.open().await);
    let [ada, bob, eve] = users(&one, ["ada", "bob", "eve"]).await;
    let mut heard = two.remote_changes();
    let message_ids = new_mint(&fixture);
    introduce(&fixture, &one, &message_ids, &mut heard).await;
    let messages = [minted(&message_ids, ada, eve), minted(&message_ids, bob, eve)];
    assert!(one.append(&messages).await.iter().all(Result::is_ok));
    assert_eq!(hear(&mut heard, 2).await, messages.each_ref().map(|new| new.id));
    // A node that has received a message shows it.
    let summary = two.summaries(&[(eve, ada)]).await.unwrap().remove(0);
    assert_eq!((summary.last.unwrap().id, summary.unread), (messages[0].id, 1));
    assert!(peers(&two, bob).await.contains(&(eve, messages[1].id)));
    // Both write all they have.
    two.close(fixture.clock.now()).await.unwrap();
    one.close(fixture.clock.now()).await.unwrap();
    for (owner, peer, times) in [(ada, eve, 1), (eve, ada, 1), (eve, bob, 1), (bob, eve, 2)] {
        assert_eq!(
            touched(&fixture, owner, peer).await,
            times,
            "bob has asked for his, the others have not"
        );
    }
    fixture.end([]).await;
}

#[tokio::test]
async fn what_a_node_left_is_written_by_those_that_live_and_else_by_the_next() {
    for all_die in [false, true] {
        let fixture = Fixture::new().await;
        let (dies, other) = (fixture.open().await, fixture.open().await);
        let [ada, eve] = users(&dies, ["ada", "eve"]).await;
        let mut heard = other.remote_changes();
        let message_ids = new_mint(&fixture);
        introduce(&fixture, &dies, &message_ids, &mut heard).await;
        let message = minted(&message_ids, ada, eve);
        assert!(dies.append(std::slice::from_ref(&message)).await[0].is_ok());
        assert_eq!(hear(&mut heard, 1).await, [message.id]);
        drop(dies);
        // Whether it came to it or not: nothing of that message is listed.
        let inboxes = fixture.collection("inboxes");
        let id = ObjectId::from_bytes(message.id.bytes());
        inboxes.delete_many(doc! { "last.id": id }).await.unwrap();
        if all_die {
            drop(other);
            fixture.clock.set(at(100_000));
            let next = fixture.open().await;
            until("the next lists it", async || {
                peers(&next, ada).await.contains(&(eve, message.id))
            })
            .await;
            fixture.end([next]).await;
        } else {
            // It notices that the other one is gone.
            other.heartbeat(fixture.clock.now()).await.unwrap();
            until("the other one has written it", async || {
                inboxes.count_documents(doc! { "last.id": id }).await.unwrap() == 2
            })
            .await;
            fixture.end([other]).await;
        }
    }
}

/// What was received long after it was written counts as listed only when its inboxes are written, not as soon as enough time has
/// passed since its own.
#[tokio::test]
async fn what_was_received_late_is_listed_though_its_inboxes_were_not_written() {
    let server = tokio::task::spawn_blocking(|| Mongod::replica_set(1)).await.unwrap();
    let fixture = Fixture::on(server.uri()).await;
    let store = fixture.open().await;
    let [ada, bob, eve] = users(&store, ["ada", "bob", "eve"]).await;
    let mut foreign = store.remote_changes();
    let fails = |collection: &str| {
        let namespace = format!("{}.{collection}", fixture.database.name());
        doc! { "namespace": namespace, "errorCode": 8000 }
    };
    fixture.fail("find", 1_000_000, fails("messages")).await;
    let theirs = mongooses(ada, bob, "from Node.js", at(1));
    fixture.insert("messages", [theirs.clone()]).await;
    fixture.clock.set(at(300));
    let message_ids = new_mint(&fixture);
    let inboxes = fixture.collection("inboxes");
    // Once the second is written, the writing of the first has ended.
    for _ in 0..2 {
        let own = minted(&message_ids, ada, eve);
        assert!(store.append(std::slice::from_ref(&own)).await[0].is_ok());
        let listed = doc! { "last.id": ObjectId::from_bytes(own.id.bytes()) };
        until("it is written", async || {
            inboxes.count_documents(listed.clone()).await.unwrap() == 2
        })
        .await;
    }

    fixture.fail("update", 1_000_000, fails("inboxes")).await;
    assert_eq!(hear(&mut foreign, 1).await, [id(&theirs)]);
    // Each is received by another poll. The node stores how far it is every few polls.
    for _ in 0..8 {
        let fence = mongooses(bob, eve, "fence", at(300));
        fixture.insert("messages", [fence.clone()]).await;
        assert_eq!(hear(&mut foreign, 1).await, [id(&fence)]);
    }
    drop((store, foreign));
    fixture.failed().await;
    let next = fixture.open().await;
    until("the next one lists it", async || {
        peers(&next, ada).await.contains(&(bob, id(&theirs)))
    })
    .await;
    fixture.end([next]).await;
}
