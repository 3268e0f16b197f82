//! A store that was separated from its database while much was written there.

use std::collections::BTreeSet;
use std::sync::Arc;

use bson::doc;
use futures_util::StreamExt;
use server::chat::MessageIdGenerator;
use server::domain::NewMessage;
use server::domain::RemoteChange;
use server::storage::mongodb::MongoStore;
use server::storage::{FeedStore, MessageStore};
use shared::{MessageId, Timestamp};
use testkit::mongod::Mongod;
use testkit::proxy::{Link, Proxy};

use super::fixture::{Fixture, at, new_message, until, users};

const BATCHES: i64 = 40;
const BATCH: usize = 300;

#[tokio::test]
async fn everything_is_received_after_minutes_in_which_much_was_written() {
    let server = Arc::new(tokio::task::spawn_blocking(|| Mongod::replica_set(1)).await.unwrap());
    let fixture = Fixture::on(server.uri()).await;
    let writer = fixture.open().await;
    let [ada, bob] = users(&writer, ["ada", "bob"]).await;
    let port: u16 = server.uri().rsplit(':').next().unwrap().parse().unwrap();
    let proxy = tokio::task::spawn_blocking(move || Proxy::to(port)).await.unwrap();
    let uri = format!("mongodb://127.0.0.1:{}/?directConnection=true", proxy.port());
    let name = Some(fixture.database.name());
    let store = MongoStore::open_with(&uri, name, fixture.clock.for_store(0))
        .await
        .unwrap();
    let mut foreign = store.remote_changes();
    let point = || store.cursor(store.committed_position()).point;
    until("it follows", async || point() >= at(0).millis() - 66_000).await;

    proxy.set(Link::Reset);
    let mint = MessageIdGenerator::new(fixture.clock.for_store(0), None);
    let mut written: BTreeSet<MessageId> = BTreeSet::new();
    for batch in 0..BATCHES {
        fixture.clock.set(at(batch * 15));
        let message = |_| {
            let (created_at, id) = mint.next();
            NewMessage {
                id,
                created_at,
                ..new_message(ada, bob, "text")
            }
        };
        let batch: Vec<NewMessage> = (0..BATCH).map(message).collect();
        assert!(writer.append(&batch).await.iter().all(Result::is_ok));
        written.extend(batch.iter().map(|new| new.id));
    }
    // Reading more than what one answer holds takes longer than a command may: all at once can't be read.
    let slow = doc! { "blockConnection": true, "blockTimeMS": 11_000 };
    fixture.fail("getMore", 1_000_000, slow).await;
    proxy.heal();

    let mut heard: BTreeSet<MessageId> = BTreeSet::new();
    let end = at(BATCHES * 15).millis();
    fixture.clock.set(Timestamp::from_millis(end));
    let hearing = async {
        while heard.len() < written.len() {
            for change in foreign.next().await.unwrap() {
                if let RemoteChange::Message(message) = change {
                    heard.insert(message.id);
                }
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(90), hearing)
        .await
        .expect("it comes to the end");
    assert_eq!(heard, written);
    let more = tokio::spawn(async move { foreign.next().await });
    until("cursors move on", async || point() >= end - 66_000).await;
    more.abort();
    fixture.failed().await;
    fixture.end([store, writer]).await;
}
