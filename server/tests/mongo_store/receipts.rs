//! Marks while the database fails between storing them and delivering them.

use std::sync::Arc;

use bson::doc;
use server::chat::{MarkOutcome, Receipts};
use server::delivery::DeliveryWatermark;
use server::domain::{Change, Mark, MarkKind};
use server::storage::mongodb::MongoStore;
use server::storage::{MarkError, MessageStore, Store, StoreError};
use server::supervisor::Supervisor;
use testkit::mongod::Mongod;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::fixture::{Fixture, at, new_message, users};

async fn deployment(members: usize) -> Arc<Mongod> {
    let start = move || Mongod::replica_set(members);
    Arc::new(tokio::task::spawn_blocking(start).await.unwrap())
}

fn start(store: &Arc<dyn Store>) -> (Receipts<&'static str>, UnboundedReceiver<MarkOutcome<&'static str>>) {
    let (tell, told) = unbounded_channel();
    let delivery_watermark = DeliveryWatermark::new(store.clone());
    let settle = move |settled| tell.send(settled).unwrap();
    let receipts = Receipts::start(Arc::clone(store), delivery_watermark, &Supervisor::default(), settle);
    (receipts, told)
}

/// A stored message, and the mark by which its receiver has read it.
async fn unread_message(store: &MongoStore) -> Mark {
    let [ada, bob] = users(store, ["ada", "bob"]).await;
    let message = new_message(ada, bob, "text");
    store.append(std::slice::from_ref(&message)).await[0].as_ref().unwrap();
    Mark {
        user: bob,
        peer: ada,
        kind: MarkKind::Read,
        up_to: message.id,
        at: at(0),
    }
}

/// The primary has it, and whether it stays is unknown.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mark_of_unknown_outcome_is_delivered_once_it_is_known() {
    let deployment = deployment(3).await;
    let fixture = Fixture::on(deployment.uri()).await;
    let store = fixture.open().await;
    let mark = unread_message(&store).await;
    let store: Arc<dyn Store> = Arc::new(store);
    let since = store.cursor(store.committed_position());
    let (receipts, mut told) = start(&store);
    let primary = deployment.primary().unwrap();
    let others: Vec<usize> = (0..3).filter(|member| *member != primary).collect();
    others.iter().for_each(|member| deployment.pause(*member));
    receipts.submit(mark, "reply").unwrap();
    let failed = told.recv().await.unwrap();
    assert_eq!(failed.reply, Some("reply"));
    let unavailable = |error: &MarkError| matches!(error, MarkError::Store(StoreError::Unavailable(_)));
    assert!(failed.outcome.is_err_and(|error| unavailable(&error)));
    others.iter().for_each(|member| deployment.resume(*member));
    // Bob does not mark again.
    let late = told.recv().await.unwrap();
    let marked = late.outcome.unwrap();
    assert!(marked.read_moved && late.shown && late.reply.is_none());
    drop(late.in_flight);
    let changes = store.changes(mark.peer, &since, 10).await.unwrap().changes;
    let read = |change: &Change| matches!(change, Change::Marker(marker) if marker.read.is_some());
    assert!(changes.iter().any(read), "{changes:?}");
    receipts.stop().await;
}

#[tokio::test]
async fn a_mark_is_delivered_though_the_settings_can_not_be_read_at_first() {
    let deployment = deployment(1).await;
    let fixture = Fixture::on(deployment.uri()).await;
    let store = fixture.open().await;
    let mark = unread_message(&store).await;
    let store: Arc<dyn Store> = Arc::new(store);
    let (receipts, mut told) = start(&store);
    let collection = format!("{}.users", fixture.database.name());
    fixture
        .fail("find", 3, doc! { "errorCode": 24, "namespace": collection })
        .await;
    receipts.submit(mark, "reply").unwrap();
    let late = told.recv().await.unwrap();
    assert!(late.outcome.unwrap().read_moved && late.shown);
    assert!(fixture.failed().await >= 3, "nothing failed");
    receipts.stop().await;
}
