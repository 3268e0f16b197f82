//! What only the primary has, and a failover could take back, is never shown.

use bson::doc;
use bson::oid::ObjectId;
use mongodb::options::{Acknowledgment, WriteConcern};
use server::domain::{Bounds, Change, Conversation, End};
use server::storage::{FeedStore, InboxStore, MessageStore, UserStore};
use shared::{MessageId, Settings};
use testkit::mongod::Mongod;

use super::fixture::{Fixture, at, history, mongooses, new_message, until, users};

#[tokio::test]
async fn nothing_is_read_that_a_majority_does_not_have() {
    let set = tokio::task::spawn_blocking(|| Mongod::replica_set(3)).await.unwrap();
    let fixture = Fixture::on(set.uri()).await;
    let store = fixture.open().await;
    let [ada, bob] = users(&store, ["ada", "bob"]).await;
    let acknowledged = new_message(ada, bob, "acknowledged");
    store
        .append(std::slice::from_ref(&acknowledged))
        .await
        .remove(0)
        .unwrap();

    // Its inbox is written before it is read.
    assert_eq!(store.inbox(bob, None, 10).await.unwrap().len(), 1);
    let since = store.cursor(store.committed_position());

    set.hold_back(true);
    let lone = || WriteConcern::builder().w(Acknowledgment::Nodes(1)).build();
    let theirs = mongooses(ada, bob, "on the primary alone", at(100));
    let id = MessageId::from_bytes(theirs.get_object_id("_id").unwrap().bytes());
    let messages = fixture.collection("messages");
    messages.insert_one(&theirs).write_concern(lone()).await.unwrap();
    let update = doc! { "$set": { "settings.invisible": true, "isOnline": true } };
    let ids = doc! { "_id": ObjectId::from_bytes(ada.bytes()) };
    let all = fixture.collection("users");
    all.update_one(ids, update).write_concern(lone()).await.unwrap();

    let pair = Conversation::between(ada, bob);
    let ids = |messages: &[shared::Message]| messages.iter().map(|message| message.id).collect::<Vec<_>>();
    assert_eq!(ids(&history(&store, ada, bob).await), [acknowledged.id]);
    let page = store.page(pair, Bounds::default(), End::Newest, 10).await.unwrap();
    assert_eq!(ids(&page), [acknowledged.id]);
    assert_eq!(store.message(pair, id).await, Ok(None));
    let summary = store.summaries(&[(bob, ada)]).await.unwrap().remove(0);
    assert_eq!((summary.last.unwrap().id, summary.unread), (acknowledged.id, 1));
    assert_eq!(store.settings(&[ada]).await, Ok(vec![Settings::default()]));
    assert!(!store.user(ada).await.unwrap().unwrap().is_online);

    let missed = async || {
        let missed = store.changes(bob, &since, 10).await.unwrap().changes;
        missed
            .iter()
            .any(|change| matches!(change, Change::Message(message) if message.id == id))
    };
    assert!(!missed().await);
    assert!(
        store
            .inbox(bob, None, 10)
            .await
            .unwrap()
            .iter()
            .all(|entry| entry.last.id != id)
    );

    set.hold_back(false);
    until("the majority has it, and so have readers", async || {
        ids(&history(&store, ada, bob).await) == [acknowledged.id, id]
            && store.settings(&[ada]).await.unwrap()[0].invisible
            && missed().await
    })
    .await;
    fixture.end([store]).await;
}
