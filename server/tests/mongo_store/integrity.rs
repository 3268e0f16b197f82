//! A database that is emptied, replaced or loses its indexes under a running store.

use std::sync::Arc;

use bson::oid::ObjectId;
use bson::{Bson, doc};
use server::domain::NewMessage;
use server::storage::mongodb::MongoStore;
use server::storage::{AppendError, Appended, InboxStore, MessageStore, PresenceStore, Store, StoreError, UserStore};
use testkit::mongod::Mongod;

use super::fixture::{Fixture, at, history, name, new_message, stored, until, users, with_client_id};

type Outcome = Result<Appended, AppendError>;

fn is_unavailable(outcome: &Outcome) -> bool {
    matches!(outcome, Err(AppendError::Store(StoreError::Unavailable(_))))
}

/// Why the store is not ready.
async fn refusal(store: &MongoStore) -> String {
    match store.ping().await {
        Err(StoreError::Unavailable(why)) => why,
        other => panic!("it should be unavailable: {other:?}"),
    }
}

async fn count(fixture: &Fixture) -> u64 {
    fixture.collection("messages").count_documents(doc! {}).await.unwrap()
}

/// The same `clientMessageId` again.
fn again(new: &NewMessage) -> NewMessage {
    let mut again = new_message(new.sender, new.receiver, new.text.as_str());
    again.client_message_id = new.client_message_id.clone();
    again
}

#[tokio::test]
async fn a_dropped_database_is_refused_until_a_restart() {
    let fixture = Fixture::new().await;
    let store = fixture.open().await;
    let [ada, bob] = users(&store, ["ada", "bob"]).await;
    let first = with_client_id(new_message(ada, bob, "once"), "k");
    assert_eq!(store.append(std::slice::from_ref(&first)).await, [stored(&first)]);

    fixture.database.drop().await.unwrap();
    // Collections are dropped one after the other, so something else can be noticed first.
    let is_empty = |error: StoreError| error.to_string().contains("is empty");
    until("it is noticed", async || store.ping().await.is_err_and(is_empty)).await;
    assert!(refusal(&store).await.contains("restart the server"));
    // Bob is no longer known to exist, and nothing is made again.
    assert!(is_unavailable(&store.append(&[again(&first)]).await[0]));
    assert!(matches!(
        store.create_users(&[name("eve")], at(1)).await,
        Err(StoreError::Unavailable(_))
    ));
    assert!(matches!(store.user(ada).await, Err(StoreError::Unavailable(_))));
    assert!(store.inbox(ada, None, 5).await.is_err() && store.heartbeat(at(1)).await.is_err());
    assert_eq!(fixture.database.list_collection_names().await.unwrap(), [""; 0]);

    let next = fixture.open().await;
    let [ada, bob] = users(&next, ["ada", "bob"]).await;
    let first = with_client_id(new_message(ada, bob, "once"), "k");
    assert_eq!(next.append(std::slice::from_ref(&first)).await, [stored(&first)]);
    assert!(is_unavailable(&store.append(&[again(&first)]).await[0]));
    drop(store);
    fixture.end([next]).await;
}

#[tokio::test]
async fn another_database_is_refused_and_the_old_one_taken_again() {
    let fixture = Fixture::new().await;
    let store = fixture.open().await;
    let [ada, bob] = users(&store, ["ada", "bob"]).await;
    let meta = fixture.collection("meta");
    let id = doc! { "_id": "instance" };
    let own = meta.find_one(id.clone()).await.unwrap().unwrap();
    let become_ = async |bytes: Bson| {
        let update = doc! { "$set": { "bytes": bytes } };
        meta.update_one(id.clone(), update).await.unwrap();
    };
    become_(ObjectId::from_bytes([7; 12]).into()).await;
    until("it is noticed", async || store.ping().await.is_err()).await;
    let why = refusal(&store).await;
    assert!(why.contains("070707070707"), "{why}");
    assert!(is_unavailable(&store.append(&[new_message(ada, bob, "no")]).await[0]));
    become_(own.get("bytes").unwrap().clone()).await;
    until("it is back", async || store.ping().await.is_ok()).await;
    let yes = new_message(ada, bob, "yes");
    assert_eq!(store.append(std::slice::from_ref(&yes)).await, [stored(&yes)]);

    // A collection that was dropped is noticed, whatever was made in its place.
    fixture.collection("messages").drop().await.unwrap();
    fixture.insert("messages", [doc! { "message": "restored" }]).await;
    until("it is noticed", async || store.ping().await.is_err()).await;
    let why = refusal(&store).await;
    assert!(why.contains("messages was dropped"), "{why}");
    drop(store);
    fixture.end([]).await;
}

#[tokio::test]
async fn nothing_is_acknowledged_by_a_server_that_came_back_empty() {
    let server = Arc::new(tokio::task::spawn_blocking(Mongod::standalone).await.unwrap());
    let fixture = Fixture::on(server.uri()).await;
    let store = fixture.open().await;
    let [ada, bob] = users(&store, ["ada", "bob"]).await;
    let first = new_message(ada, bob, "before");
    assert_eq!(store.append(std::slice::from_ref(&first)).await, [stored(&first)]);
    let blocking = async |work: fn(&Mongod)| {
        let server = server.clone();
        tokio::task::spawn_blocking(move || work(&server)).await.unwrap();
    };
    blocking(|server| server.kill(0)).await;
    // It is tried all the time, also at the very moment at which the empty server answers.
    let batch = [new_message(ada, bob, "after")];
    let (outcomes, ()) = tokio::join!(store.append(&batch), blocking(|server| server.restart_empty(0)));
    assert!(is_unavailable(&outcomes[0]), "{outcomes:?}");
    until("it is noticed", async || {
        assert!(is_unavailable(&store.append(&batch).await[0]));
        matches!(store.ping().await, Err(StoreError::Unavailable(why)) if why.contains("this is not the database"))
    })
    .await;
    // At most what was on its way is there, and it was not acknowledged.
    assert!(count(&fixture).await <= 1);
    assert!(store.user(bob).await.is_err());
    drop(store);
    fixture.end([]).await;
}

#[tokio::test]
async fn dropped_indexes_are_built_again_and_nothing_is_sent_meanwhile() {
    let server = Arc::new(tokio::task::spawn_blocking(|| Mongod::replica_set(1)).await.unwrap());
    let fixture = Fixture::on(server.uri()).await;
    let store = fixture.open().await;
    let [ada, bob] = users(&store, ["ada", "bob"]).await;
    let first = with_client_id(new_message(ada, bob, "once"), "k");
    assert_eq!(store.append(std::slice::from_ref(&first)).await, [stored(&first)]);

    fixture.fail("createIndexes", 1_000_000, doc! { "errorCode": 91 }).await;
    for collection in ["messages", "users", "inboxes"] {
        fixture.collection(collection).drop_indexes().await.unwrap();
    }
    until("it is noticed", async || store.ping().await.is_err()).await;
    let why = refusal(&store).await;
    assert!(why.contains("messages.clientMessageId_sender_unique"), "{why}");
    let missing = store.facts().await.unwrap().missing_indexes;
    assert!(
        missing.contains(&"inboxes.owner_last".to_owned()),
        "an administrator is told all: {missing:?}"
    );
    assert!(is_unavailable(&store.append(&[again(&first)]).await[0]));
    assert!(store.create_users(&[name("ada")], at(1)).await.is_err());

    fixture.failed().await;
    until("it is mended", async || store.ping().await.is_ok()).await;
    assert!(store.append(&[again(&first)]).await[0].as_ref().unwrap().duplicate);
    for (collection, index) in [
        ("messages", "sender_1_updatedAt_1__id_1"),
        ("users", "usernameKey_unique"),
        ("inboxes", "owner_last"),
    ] {
        until("all are built", async || {
            let names = fixture.collection(collection).list_index_names().await.unwrap();
            names.contains(&index.to_owned())
        })
        .await;
    }
    fixture.end([store]).await;
}

#[tokio::test]
async fn duplicates_that_came_meanwhile_are_named() {
    let fixture = Fixture::new().await;
    let store = fixture.open().await;
    let [ada, bob] = users(&store, ["ada", "bob"]).await;
    let messages = fixture.collection("messages");
    let ids = [1, 2, 3].map(|id| ObjectId::from_bytes([id; 12]));
    let sender = ObjectId::from_bytes(ada.bytes());
    let double = |id: &ObjectId| doc! { "_id": id, "sender": sender, "clientMessageId": "secret-of-a-client", "message": "private" };
    // The store may build its index again before they are there.
    until("they are there", async || {
        messages.drop_indexes().await.unwrap();
        messages.delete_many(doc! { "_id": { "$in": &ids } }).await.unwrap();
        messages.insert_many(ids.iter().map(double)).await.is_ok()
    })
    .await;
    until("it is said", async || {
        let ping = store.ping().await;
        ping.is_err_and(|error| error.to_string().contains("can't be built"))
    })
    .await;
    let why = refusal(&store).await;
    assert!(why.contains("1 keys are held by 3 documents of messages"), "{why}");
    assert!(
        why.contains(&ids[0].to_hex()) && why.contains(&ids[2].to_hex()),
        "{why}"
    );
    assert!(!why.contains("secret") && !why.contains("private"), "{why}");
    assert!(is_unavailable(&store.append(&[new_message(ada, bob, "no")]).await[0]));

    // What it says to do.
    for id in &ids[1..] {
        let remove = doc! { "$unset": { "clientMessageId": "" } };
        fixture
            .collection("messages")
            .update_one(doc! { "_id": id }, remove)
            .await
            .unwrap();
    }
    until("it is mended", async || store.ping().await.is_ok()).await;
    let yes = new_message(ada, bob, "yes");
    assert_eq!(store.append(std::slice::from_ref(&yes)).await, [stored(&yes)]);
    assert_eq!(history(&store, ada, bob).await.len(), 1);
    fixture.end([store]).await;
}

#[tokio::test]
async fn dropped_inboxes_are_built_again() {
    let fixture = Fixture::new().await;
    let store = fixture.open().await;
    let [ada, bob] = users(&store, ["ada", "bob"]).await;
    let first = new_message(ada, bob, "text");
    assert_eq!(store.append(std::slice::from_ref(&first)).await, [stored(&first)]);
    let is_listed = async |store: &MongoStore| {
        let inbox = store.inbox(bob, None, 5).await.unwrap_or_default();
        store.projection().ready && inbox.iter().any(|entry| entry.last.id == first.id)
    };
    assert!(is_listed(&store).await);
    fixture.collection("inboxes").drop().await.unwrap();
    until("it is listed again", async || is_listed(&store).await).await;
    store.close(at(0)).await.unwrap();

    // Nobody was there to notice.
    fixture.collection("inboxes").drop().await.unwrap();
    let next = fixture.open().await;
    assert!(!next.projection().ready || is_listed(&next).await);
    until("it is listed by the next", async || is_listed(&next).await).await;
    fixture.end([next]).await;
}
