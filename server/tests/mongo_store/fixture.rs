//! A database of its own for each test, the raw driver beside the store, and a clock that the test sets.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use bson::oid::ObjectId;
use bson::{DateTime, Document, doc};
use futures_util::TryStreamExt;
use mongodb::{Client, Collection, Database};
use server::domain::Conversation;
use server::domain::{ClientMessageId, NewMessage, Text, Username};
use server::storage::mongodb::{Clock, MongoStore};
use server::storage::{AppendError, Appended, MessageStore, Store, UserStore};
use shared::{Message, MessageId, Timestamp, UserId};

/// A database without anything in it.
pub(crate) struct Fixture {
    pub(crate) uri: String,
    client: Client,
    pub(crate) database: Database,
    pub(crate) clock: TestClock,
}

/// A clock that stands still until it is set. Its clones are the same one.
#[derive(Clone)]
pub(crate) struct TestClock(Arc<AtomicI64>);

impl TestClock {
    /// Standing at a moment.
    pub(crate) fn at(now: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(now.millis())))
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }

    pub(crate) fn set(&self, now: Timestamp) {
        self.0.store(now.millis(), Ordering::SeqCst);
    }

    /// For a store; `skew` milliseconds ahead of this clock.
    pub(crate) fn for_store(&self, skew: i64) -> Clock {
        let clock = self.clone();
        Arc::new(move || Timestamp::from_millis(clock.now().millis() + skew))
    }
}

impl Fixture {
    /// In the deployment that all tests share.
    pub(crate) async fn new() -> Self {
        Self::on(testkit::mongod::uri()).await
    }

    /// In another deployment.
    pub(crate) async fn on(uri: String) -> Self {
        let client = Client::with_uri_str(&uri).await.unwrap();
        let database = client.database(&format!("mongo_store_{}", ObjectId::new()));
        let clock = TestClock::at(at(0));
        Self {
            uri,
            client,
            database,
            clock,
        }
    }

    /// Opens a store on it, by the test's clock.
    pub(crate) async fn open(&self) -> MongoStore {
        self.open_skewed(0).await
    }

    /// Opens a store on it whose clock is `skew` milliseconds ahead.
    pub(crate) async fn open_skewed(&self, skew: i64) -> MongoStore {
        MongoStore::open_with(&self.uri, Some(self.database.name()), self.clock.for_store(skew))
            .await
            .unwrap()
    }

    pub(crate) fn collection(&self, name: &str) -> Collection<Document> {
        self.database.collection(name)
    }

    /// All documents of a collection, by `_id`.
    pub(crate) async fn all(&self, name: &str) -> Vec<Document> {
        let collection = self.collection(name);
        let cursor = collection.find(doc! {}).sort(doc! { "_id": 1 }).await.unwrap();
        cursor.try_collect().await.unwrap()
    }

    pub(crate) async fn insert(&self, name: &str, documents: impl IntoIterator<Item = Document>) {
        self.collection(name).insert_many(documents).await.unwrap();
    }

    /// Makes the server fail `times` calls of a command on this database's collections.
    pub(crate) async fn fail(&self, command: &str, times: i32, mut data: Document) {
        data.insert("failCommands", [command]);
        let point = doc! { "configureFailPoint": "failCommand", "mode": { "times": times }, "data": data };
        self.client.database("admin").run_command(point).await.unwrap();
    }

    /// Ends what [`fail`](Self::fail) began, and answers how often it struck.
    pub(crate) async fn failed(&self) -> i64 {
        let point = doc! { "configureFailPoint": "failCommand", "mode": "off" };
        let answer = self.client.database("admin").run_command(point).await.unwrap();
        answer
            .get_i64("count")
            .or_else(|_| answer.get_i32("count").map(i64::from))
            .unwrap()
    }

    /// Closes the stores and drops the database.
    pub(crate) async fn end(self, stores: impl IntoIterator<Item = MongoStore>) {
        for store in stores {
            store.close(at(0)).await.unwrap();
        }
        self.database.drop().await.unwrap();
        self.client.shutdown().await;
    }
}

/// Waits until something holds, which another task or process brings about.
pub(crate) async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting)
        .await
        .unwrap_or_else(|_| panic!("{what}"));
}

/// A message as a Mongoose program stores it at a moment.
pub(crate) fn mongooses(sender: UserId, receiver: UserId, text: &str, now: Timestamp) -> Document {
    static COUNT: AtomicU32 = AtomicU32::new(1);
    let mut id = [0xcc; 12];
    let seconds = u32::try_from(now.millis() / 1_000).unwrap();
    id[..4].copy_from_slice(&seconds.to_be_bytes());
    id[8..].copy_from_slice(&COUNT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    let [sender, receiver] = [sender, receiver].map(|user| ObjectId::from_bytes(user.bytes()));
    let date = DateTime::from_millis(now.millis());
    doc! { "_id": ObjectId::from_bytes(id), "sender": sender, "receiver": receiver, "message": text,
    "createdAt": date, "updatedAt": date, "__v": 0 }
}

/// A moment of the tests' own time.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000 + seconds * 1_000)
}

/// Creates users of these names.
pub(crate) async fn users<const N: usize>(store: &MongoStore, names: [&str; N]) -> [UserId; N] {
    let names = names.map(name);
    let users = store.create_users(&names, at(0)).await.unwrap();
    let ids: Vec<UserId> = users.into_iter().map(|(user, _)| user.id).collect();
    ids.try_into().unwrap()
}

pub(crate) fn name(name: &str) -> Username {
    Username::new(name.to_owned()).unwrap()
}

/// A message with an id and a time later than every earlier one's.
pub(crate) fn new_message(sender: UserId, receiver: UserId, text: &str) -> NewMessage {
    static CLOCK: AtomicI64 = AtomicI64::new(0);
    let tick = CLOCK.fetch_add(1, Ordering::Relaxed);
    let mut id = [0; 12];
    id[4..].copy_from_slice(&(tick + 1).to_be_bytes());
    NewMessage {
        id: MessageId::from_bytes(id),
        sender,
        receiver,
        text: Text::new(text.to_owned(), 1_000).unwrap(),
        client_message_id: None,
        created_at: Timestamp::from_millis(at(0).millis() + tick),
    }
}

pub(crate) fn with_client_id(mut message: NewMessage, id: &str) -> NewMessage {
    message.client_message_id = Some(ClientMessageId::new(id.to_owned()).unwrap());
    message
}

/// What [`Store::append`] answers for a message that is stored now.
pub(crate) fn stored(message: &NewMessage) -> Result<Appended, AppendError> {
    Ok(Appended {
        message: message.to_message(),
        duplicate: false,
    })
}

/// The whole history.
pub(crate) async fn history(store: &MongoStore, a: UserId, b: UserId) -> Vec<Message> {
    let chunks: Vec<Vec<Message>> = store.history(Conversation::between(a, b)).try_collect().await.unwrap();
    chunks.concat()
}
