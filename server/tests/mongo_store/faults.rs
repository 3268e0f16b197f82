//! Batches whose fate is not known at first: lost answers, servers that die, stop or hand over.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bson::doc;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use server::chat::MessageIdGenerator;
use server::domain::NewMessage;
use server::domain::{Bounds, Conversation, End, RemoteChange};
use server::storage::mongodb::MongoStore;
use server::storage::{AppendError, FeedStore, MessageStore, PresenceStore, Store, StoreError, UserStore};
use shared::{Message, MessageId, SettingsChange, UserId};
use testkit::mongod::Mongod;
use tokio::task::JoinHandle;

use super::fixture::{Fixture, at, history, mongooses, new_message, stored, users, with_client_id};

async fn count(fixture: &Fixture) -> u64 {
    fixture.collection("messages").count_documents(doc! {}).await.unwrap()
}

async fn replica_set(members: usize) -> Arc<Mongod> {
    Arc::new(
        tokio::task::spawn_blocking(move || Mongod::replica_set(members))
            .await
            .unwrap(),
    )
}

#[tokio::test]
async fn a_batch_that_was_applied_without_an_answer_is_answered_as_stored() {
    let server = replica_set(1).await;
    let fixture = Fixture::on(server.uri()).await;
    let store = fixture.open().await;
    let [ada, bob] = users(&store, ["ada", "bob"]).await;
    let first = with_client_id(new_message(ada, bob, "first"), "k1");
    store.append(std::slice::from_ref(&first)).await;

    // The server stores the batch, but says that it may not last: that is not an acknowledgement.
    let concern = doc! { "code": 64, "codeName": "WriteConcernFailed", "errmsg": "waiting timed out" };
    fixture.fail("insert", 2, doc! { "writeConcernError": concern }).await;
    let plain = new_message(ada, bob, "plain");
    let keyed = with_client_id(new_message(bob, ada, "keyed"), "k2");
    let again = with_client_id(new_message(ada, bob, "first"), "k1");
    let conflict = with_client_id(new_message(ada, bob, "other"), "k1");
    let outcomes = store.append(&[plain.clone(), keyed.clone(), again, conflict]).await;
    assert_eq!(fixture.failed().await, 2, "answered before it was durable");
    let mut duplicate = stored(&first);
    duplicate.as_mut().unwrap().duplicate = true;
    assert_eq!(
        outcomes,
        [stored(&plain), stored(&keyed), duplicate, Err(AppendError::Conflict)]
    );
    let messages = [&first, &plain, &keyed].map(|new| new.to_message());
    assert_eq!(history(&store, ada, bob).await, messages);
    fixture.end([store]).await;
}

#[tokio::test]
async fn one_bad_message_fails_alone() {
    let fixture = Fixture::new().await;
    let store = fixture.open().await;
    let [ada, bob] = users(&store, ["ada", "bob"]).await;
    let rule = doc! { "collMod": "messages", "validator": { "message": { "$ne": "forbidden" } } };
    fixture.database.run_command(rule).await.unwrap();
    let batch = ["good", "forbidden", "fine"].map(|text| new_message(ada, bob, text));
    let outcomes = store.append(&batch).await;
    let refused = Err(StoreError::Validator.into());
    assert_eq!(outcomes, [stored(&batch[0]), refused, stored(&batch[2])]);

    // An id that belongs to another message is no message stored before.
    let mut stolen = new_message(ada, bob, "else");
    stolen.id = batch[0].id;
    assert!(matches!(
        store.append(&[stolen]).await[0],
        Err(AppendError::Store(StoreError::Failed(_)))
    ));
    fixture.end([store]).await;
}

/// Appends batch after batch until it is stopped, then answers every message that was acknowledged.
fn append_until(
    stop: &Arc<AtomicBool>,
    store: &Arc<MongoStore>,
    sender: UserId,
    receiver: UserId,
) -> JoinHandle<Vec<Message>> {
    let (stop, store) = (stop.clone(), store.clone());
    tokio::spawn(async move {
        let mut acknowledged = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let message = |_| {
                let message = new_message(sender, receiver, "text");
                let id = message.id.to_string();
                with_client_id(message, &id)
            };
            let batch: Vec<_> = (0..25).map(message).collect();
            assert_eq!(store.append(&batch).await, batch.iter().map(stored).collect::<Vec<_>>());
            acknowledged.extend(batch.iter().map(|new| new.to_message()));
        }
        acknowledged
    })
}

/// Appends on two lanes while `fault` happens and for some time after, and compares what was acknowledged with what
/// is there.
async fn outlives(members: usize, fault: impl FnOnce(&Mongod) + Send + 'static) {
    let server = replica_set(members).await;
    let fixture = Fixture::on(server.uri()).await;
    let store = Arc::new(fixture.open().await);
    let [ada, bob] = users(&store, ["ada", "bob"]).await;
    let stop = Arc::new(AtomicBool::new(false));
    let lanes = [(ada, bob), (ada, ada)].map(|(sender, receiver)| append_until(&stop, &store, sender, receiver));
    while count(&fixture).await < 200 {}
    let broken = server.clone();
    tokio::task::spawn_blocking(move || fault(&broken)).await.unwrap();
    let before = count(&fixture).await;
    while count(&fixture).await <= before {}
    stop.store(true, Ordering::Relaxed);
    let [to_bob, to_self] = lanes;
    assert_eq!(to_bob.await.unwrap(), history(&store, ada, bob).await);
    assert_eq!(to_self.await.unwrap(), history(&store, ada, ada).await);
    fixture.end(Arc::into_inner(store)).await;
}

#[tokio::test]
async fn appending_outlives_a_server_that_is_killed_and_restarted() {
    let restart = |server: &Mongod| {
        server.kill(0);
        server.restart(0);
    };
    outlives(1, restart).await;
}

#[tokio::test]
async fn appending_outlives_the_primary() {
    let elect = |set: &Mongod| {
        set.kill(set.primary().unwrap());
        while set.primary().is_none() {}
    };
    outlives(3, elect).await;
}

#[tokio::test]
async fn nothing_hangs_while_the_server_is_stopped() {
    let server = replica_set(1).await;
    let fixture = Fixture::on(server.uri()).await;
    let store = fixture.open().await;
    let [ada, bob] = users(&store, ["ada", "bob"]).await;
    let before = new_message(ada, bob, "before");
    store.append(std::slice::from_ref(&before)).await;

    server.pause(0);
    let batch = [new_message(ada, bob, "one"), new_message(ada, bob, "two")];
    let pair = Conversation::between(ada, bob);
    let within = async |limit: u64, operation: Pin<Box<dyn Future<Output = StoreError> + '_>>| {
        let start = Instant::now();
        let error = operation.await;
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        assert!(start.elapsed() < Duration::from_secs(limit), "{:?}", start.elapsed());
    };
    let appending = async {
        let outcomes = store.append(&batch).await;
        let mut errors = outcomes.into_iter().map(Result::unwrap_err);
        let AppendError::Store(error) = errors.next().unwrap() else {
            panic!("the receiver is known");
        };
        assert!(errors.all(|other| other == AppendError::Store(error.clone())));
        error
    };
    tokio::join!(
        within(3, Box::pin(async { store.ping().await.unwrap_err() })),
        within(
            15,
            Box::pin(async {
                let page = store.page(pair, Bounds::default(), End::Newest, 5).await;
                page.unwrap_err()
            })
        ),
        within(
            15,
            Box::pin(async { store.heartbeat(before.created_at).await.unwrap_err() })
        ),
        within(27, Box::pin(appending)),
    );
    server.resume(0);
    // Whether the stopped server stored it unheard or not: the same batch ends up stored once.
    assert_eq!(store.append(&batch).await, [stored(&batch[0]), stored(&batch[1])]);
    let expected: Vec<_> = [&before, &batch[0], &batch[1]].map(|new| new.to_message()).into();
    assert_eq!(history(&store, ada, bob).await, expected);
    fixture.end([store]).await;
}

/// What the foreign changes of a store hold until the next one that is not its own comes.
async fn heard_before(foreign: &mut BoxStream<'static, Vec<RemoteChange>>, last: MessageId) -> Vec<RemoteChange> {
    let mut heard = Vec::new();
    loop {
        for change in foreign.next().await.unwrap() {
            match change {
                RemoteChange::Message(message) if message.id == last => return heard,
                other => heard.push(other),
            }
        }
    }
}

/// Stores, and says that it may not last.
async fn doubt(fixture: &Fixture, command: &str) {
    let concern = doc! { "code": 64, "codeName": "WriteConcernFailed", "errmsg": "waiting timed out" };
    fixture
        .fail(command, 1_000_000, doc! { "writeConcernError": concern })
        .await;
}

#[tokio::test]
async fn what_turns_out_to_be_stored_is_received_and_nothing_else_of_its_own() {
    let server = replica_set(1).await;
    let fixture = Fixture::on(server.uri()).await;
    let store = fixture.open().await;
    let [ada, bob] = users(&store, ["ada", "bob"]).await;
    let mut foreign = store.remote_changes();
    let mint = MessageIdGenerator::new(fixture.clock.for_store(0), None);
    let minted = || {
        let (created_at, id) = mint.next();
        NewMessage {
            id,
            created_at,
            ..new_message(ada, bob, "text")
        }
    };
    let told = [minted(), minted()];
    assert!(store.append(&told).await.iter().all(Result::is_ok));
    doubt(&fixture, "insert").await;
    let unknown = [minted(), with_client_id(minted(), "again")];
    assert!(store.append(&unknown).await.iter().all(Result::is_err));
    fixture.failed().await;
    // Its sender tries again, and everybody whom it concerns receives it by that.
    let again = with_client_id(minted(), "again");
    assert!(store.append(&[again]).await[0].as_ref().unwrap().duplicate);
    assert!(store.claim_delivery(unknown[1].id));

    fixture.clock.set(at(100));
    let theirs = mongooses(ada, bob, "of another program", at(40));
    let last = MessageId::from_bytes(theirs.get_object_id("_id").unwrap().bytes());
    fixture.insert("messages", [theirs]).await;
    let heard = heard_before(&mut foreign, last).await;
    let ids: Vec<MessageId> = heard
        .iter()
        .map(|change| match change {
            RemoteChange::Message(message) => message.id,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ids, [unknown[0].id]);
    assert!(
        !store.claim_delivery(unknown[0].id),
        "whoever sends it again now tells nobody"
    );
    fixture.end([store]).await;
}

#[tokio::test]
async fn settings_that_turn_out_to_be_changed_are_received() {
    let server = replica_set(1).await;
    let fixture = Fixture::on(server.uri()).await;
    let store = fixture.open().await;
    let [ada] = users(&store, ["ada"]).await;
    let mut foreign = store.remote_changes();
    let change = SettingsChange {
        read_receipts: None,
        invisible: Some(true),
    };
    doubt(&fixture, "findAndModify").await;
    let unknown = store.change_settings(ada, change, at(0)).await;
    assert!(matches!(unknown, Err(StoreError::Unavailable(_))), "{unknown:?}");
    fixture.failed().await;
    assert!(store.settings(&[ada]).await.unwrap()[0].invisible);
    let heard = tokio::time::timeout(Duration::from_secs(20), foreign.next()).await;
    assert_eq!(heard.expect("nobody is told"), Some(vec![RemoteChange::Settings(ada)]));
    fixture.end([store]).await;
}
