//! Opening: on what others created, and when it can't work.

use std::time::{Duration, Instant};

use bson::oid::ObjectId;
use bson::{Document, doc};
use futures_util::TryStreamExt;
use mongodb::IndexModel;
use mongodb::options::IndexOptions;
use server::domain::{Bounds, Conversation, End};
use server::storage::mongodb::MongoStore;
use server::storage::{MessageStore, PresenceStore, Store, StoreError};
use testkit::mongod::Mongod;

use super::fixture::{Fixture, at, history, new_message, stored, until, users, with_client_id};

const NAMES: [&str; 21] = [
    "_id_",
    "sender_1_receiver_1_createdAt_1__id_1",
    "clientMessageId_sender_unique",
    "sender_1_updatedAt_1__id_1",
    "receiver_1_updatedAt_1__id_1",
    "_id_",
    "username_1",
    "usernameKey_unique",
    "externalId_unique",
    "onlineNodes_1",
    "settings.updatedAt_1",
    "access.updatedAt_1",
    "_id_",
    "user_updatedAt_peer",
    "peer_updatedAt_user",
    "updatedAt_1",
    "_id_",
    "owner_last",
    "owner_peer_hinted",
    "_id_",
    "at_1",
];

async fn index_names(fixture: &Fixture) -> Vec<String> {
    let mut names = Vec::new();
    for collection in ["messages", "users", "markers", "inboxes", "renewals"] {
        names.extend(fixture.collection(collection).list_index_names().await.unwrap());
    }
    names
}

async fn create_index(fixture: &Fixture, collection: &str, keys: Document, options: IndexOptions) {
    let model = IndexModel::builder().keys(keys).options(options).build();
    fixture.collection(collection).create_index(model).await.unwrap();
}

#[tokio::test]
async fn indexes_are_created_once() {
    let fixture = Fixture::new().await;
    let store = fixture.open().await;
    let again = fixture.open().await;
    assert_eq!(index_names(&fixture).await, NAMES);
    fixture.end([store, again]).await;
}

#[tokio::test]
async fn indexes_of_other_programs_are_no_obstacle() {
    let fixture = Fixture::new().await;
    let named = |name: &str| IndexOptions::builder().name(name.to_owned()).build();
    // The same keys under another name serve as well.
    let keys = doc! { "sender": 1.0, "receiver": 1_i64, "createdAt": 1, "_id": 1 };
    create_index(&fixture, "messages", keys, named("mine")).await;
    // A Mongoose schema with `unique: true`.
    let unique = IndexOptions::builder()
        .name("username_1".to_owned())
        .unique(true)
        .build();
    create_index(&fixture, "users", doc! { "username": 1 }, unique).await;
    // Our name, other keys.
    create_index(&fixture, "users", doc! { "onlineNodes": -1 }, named("onlineNodes_1")).await;
    // Our keys, but not unique: the one that is needed is built beside it.
    create_index(
        &fixture,
        "messages",
        doc! { "clientMessageId": 1, "sender": 1 },
        named("slow"),
    )
    .await;

    let store = fixture.open().await;
    let [ada, bob] = users(&store, ["ada", "bob"]).await;
    let first = with_client_id(new_message(ada, bob, "once"), "k");
    let again = with_client_id(new_message(ada, bob, "once"), "k");
    assert_eq!(store.append(std::slice::from_ref(&first)).await, [stored(&first)]);
    assert!(store.append(&[again]).await[0].as_ref().unwrap().duplicate);
    let names = index_names(&fixture).await;
    assert!(
        names.contains(&"clientMessageId_sender_unique".into()) && !names.contains(&NAMES[1].into()),
        "{names:?}"
    );
    fixture.end([store]).await;
}

#[tokio::test]
async fn a_unique_index_of_another_program_on_messages_is_named() {
    let fixture = Fixture::new().await;
    let store = fixture.open().await;
    let [ada, bob] = users(&store, ["ada", "bob"]).await;
    let unique = IndexOptions::builder()
        .name("one_of_each".to_owned())
        .unique(true)
        .build();
    create_index(&fixture, "messages", doc! { "message": 1 }, unique).await;
    let batch = ["same", "same", "else"].map(|text| new_message(ada, bob, text));
    let outcomes = store.append(&batch).await;
    let named = Err(StoreError::ForeignIndex("one_of_each".to_owned()).into());
    assert_eq!(outcomes, [stored(&batch[0]), named, stored(&batch[2])]);
    fixture.end([store]).await;
}

#[tokio::test]
async fn data_that_breaks_a_promise_is_refused() {
    let fixture = Fixture::new().await;
    let ids = [1, 2, 3, 4, 5].map(|id| ObjectId::from_bytes([id; 12]));
    let double =
        |id: ObjectId| doc! { "_id": id, "sender": id.bytes()[0] as i32 / 4, "clientMessageId": "secret-of-a-client" };
    fixture.insert("messages", ids.map(double)).await;
    let Err(StoreError::Failed(text)) = MongoStore::open(&fixture.uri, Some(fixture.database.name())).await else {
        panic!("opened");
    };
    assert!(
        text.contains("clientMessageId_sender_unique") && !text.contains("secret"),
        "{text}"
    );
    assert!(
        text.contains("2 keys are held by 5 documents of messages")
            && ids.iter().all(|id| text.contains(&id.to_hex()) || *id == ids[1])
            && text.contains("keep clientMessageId in one document of each key"),
        "{text}"
    );
    fixture.end([]).await;
}

#[tokio::test]
async fn all_that_is_in_the_way_of_unique_indexes_is_named_at_once() {
    let fixture = Fixture::new().await;
    let ids = [1, 2, 3, 4].map(|id| ObjectId::from_bytes([id; 12]));
    let message = |id: &ObjectId| doc! { "_id": id, "sender": 1, "clientMessageId": "secret" };
    fixture.insert("messages", ids[..2].iter().map(message)).await;
    let user = |id: &ObjectId| doc! { "_id": id, "username": "private", "usernameKey": "private" };
    fixture.insert("users", ids[2..].iter().map(user)).await;
    let Err(StoreError::Failed(text)) = MongoStore::open(&fixture.uri, Some(fixture.database.name())).await else {
        panic!("opened");
    };
    assert!(ids.iter().all(|id| text.contains(&id.to_hex())), "{text}");
    assert!(
        text.contains("keep usernameKey in one document of each key and remove the field from the others"),
        "{text}"
    );
    assert!(!text.contains("secret") && !text.contains("private"), "{text}");
    fixture.end([]).await;
}

#[tokio::test]
async fn inboxes_of_an_earlier_version_are_completed_once() {
    let fixture = Fixture::new().await;
    let [ada, bob] = [1, 2].map(|id| ObjectId::from_bytes([id; 12]));
    let last = doc! { "at": bson::DateTime::from_millis(5), "id": ObjectId::from_bytes([7; 12]) };
    let inbox = doc! { "_id": { "owner": ada, "peer": bob }, "last": &last, "mayHaveUnread": false, "touched": 1_i64 };
    fixture.insert("inboxes", [inbox]).await;
    let profiled = fixture.collection("system.profile");
    let scans =
        doc! { "op": "update", "ns": format!("{}.inboxes", fixture.database.name()), "planSummary": "COLLSCAN" };
    fixture.database.run_command(doc! { "profile": 2 }).await.unwrap();
    for _ in 0..3 {
        let store = fixture.open().await;
        let inboxes = fixture.all("inboxes").await;
        assert_eq!(inboxes[0].get_document("lastIncoming").unwrap(), &last);
        store.close(at(0)).await.unwrap();
        // All of them are read at the first start only.
        assert_eq!(profiled.count_documents(scans.clone()).await.unwrap(), 1);
    }
    fixture.database.run_command(doc! { "profile": 0 }).await.unwrap();
    fixture.end([]).await;
}

#[tokio::test]
async fn an_unreachable_host_fails_in_time() {
    let start = Instant::now();
    let Err(StoreError::Unavailable(text)) = MongoStore::open("mongodb://joe:s3cret@127.0.0.1:1/chat", None).await
    else {
        panic!("opened");
    };
    assert!(start.elapsed() < Duration::from_secs(9), "{:?}", start.elapsed());
    assert!(text.contains("127.0.0.1:1") && text.contains("refused"), "{text}");
    assert!(!text.contains("s3cret") && !text.contains("joe"), "{text}");
}

#[tokio::test]
async fn a_refused_login_says_so() {
    let uri = testkit::mongod::uri().replace("mongodb://", "mongodb://joe:s3cret@");
    let Err(StoreError::Failed(text)) = MongoStore::open(&uri, None).await else {
        panic!("opened");
    };
    assert!(
        text.contains("Authentication failed") && !text.contains("s3cret"),
        "{text}"
    );
}

#[tokio::test]
async fn a_standalone_server_will_do() {
    let server = tokio::task::spawn_blocking(Mongod::standalone).await.unwrap();
    let fixture = Fixture::on(server.uri()).await;
    let store = fixture.open().await;
    let [ada, bob] = users(&store, ["ada", "bob"]).await;
    let first = with_client_id(new_message(ada, bob, "once"), "k");
    let again = with_client_id(new_message(ada, bob, "once"), "k");
    assert_eq!(store.append(std::slice::from_ref(&first)).await, [stored(&first)]);
    // The same id again, as after an answer that was lost.
    assert_eq!(store.append(std::slice::from_ref(&first)).await, [stored(&first)]);
    assert!(store.append(&[again]).await[0].as_ref().unwrap().duplicate);
    assert_eq!(history(&store, ada, bob).await, [first.to_message()]);
    let page = store
        .page(Conversation::between(ada, bob), Bounds::default(), End::Newest, 5)
        .await;
    assert_eq!(page.unwrap().len(), 1);
    store.heartbeat(at(1)).await.unwrap();
    store.ping().await.unwrap();
    fixture.end([store]).await;
}

#[tokio::test]
async fn a_history_that_is_not_read_holds_nothing_in_the_database() {
    let fixture = Fixture::new().await;
    let store = fixture.open().await;
    let [ada, bob] = users(&store, ["ada", "bob"]).await;
    // More than one answer of the server can hold, so that its cursor stays open.
    let large = "x".repeat(100_000);
    let [a, b] = [ada, bob].map(|user| user.to_string().parse::<ObjectId>().unwrap());
    let messages = (0..400).map(|_| doc! { "sender": a, "receiver": b, "message": &large });
    fixture.insert("messages", messages).await;
    let mut stream = store.history(Conversation::between(ada, bob));
    assert!(stream.try_next().await.unwrap().unwrap().len() < 400);
    let cursors = async || {
        let filter = doc! { "$match": { "ns": format!("{}.messages", fixture.database.name()) } };
        let admin = fixture.database.client().database("admin");
        let stages = [doc! { "$currentOp": { "idleCursors": true } }, filter];
        admin
            .aggregate(stages)
            .await
            .unwrap()
            .try_collect::<Vec<_>>()
            .await
            .unwrap()
    };
    // However long the reader takes. Ending a cursor is not waited for.
    until("no cursor is open", async || cursors().await.is_empty()).await;
    let mut rest = 0;
    while let Some(chunk) = stream.try_next().await.unwrap() {
        rest += chunk.len();
    }
    assert!(rest > 350, "{rest}");
    assert_eq!(history(&store, ada, bob).await.len(), 400);
    fixture.end([store]).await;
}
