//! Closing a store whose database does not answer: it ends in time, and what is left undone is made up for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use server::chat::MessageIdGenerator;
use server::domain::NewMessage;
use server::storage::{InboxStore, MessageStore, PresenceChange, PresenceStore, Store, UserStore};
use testkit::mongod::Mongod;

use super::fixture::{Fixture, at, new_message, stored, until, users};

/// Closing may take 2 s; the rest is for a machine that is busy.
const LIMIT: Duration = Duration::from_secs(6);

#[tokio::test]
async fn closing_ends_in_time_while_the_server_is_stopped() {
    closes_in_time(|server| server.pause(0), |server| server.resume(0)).await;
}

#[tokio::test]
async fn closing_ends_in_time_while_the_server_is_killed() {
    closes_in_time(|server| server.kill(0), |server| server.restart(0)).await;
}

async fn closes_in_time(fault: fn(&Mongod), end: fn(&Mongod)) {
    let server = Arc::new(tokio::task::spawn_blocking(|| Mongod::replica_set(1)).await.unwrap());
    let blocking = async |work: fn(&Mongod)| {
        let server = server.clone();
        tokio::task::spawn_blocking(move || work(&server)).await.unwrap();
    };
    let fixture = Fixture::on(server.uri()).await;
    let store = fixture.open().await;
    let [ada, bob] = users(&store, ["ada", "bob"]).await;
    store.heartbeat(at(0)).await.unwrap();
    let online = PresenceChange {
        user: ada,
        online: true,
        at: at(0),
    };
    store.set_presence(&[online]).await.unwrap();
    // With an id as a server mints it: by the time in it, the next store finds what this one leaves.
    let (created_at, id) = MessageIdGenerator::new(fixture.clock.for_store(0), None).next();
    let message = NewMessage {
        id,
        created_at,
        ..new_message(ada, bob, "text")
    };
    assert_eq!(store.append(std::slice::from_ref(&message)).await, [stored(&message)]);

    blocking(fault).await;
    let begun = Instant::now();
    assert!(
        store.close(at(1)).await.is_err(),
        "it says that presence was not written"
    );
    assert!(begun.elapsed() < LIMIT, "{:?}", begun.elapsed());
    drop(store);
    blocking(end).await;

    // The next one makes up for it.
    let next = fixture.open().await;
    next.heartbeat(at(2)).await.unwrap();
    assert!(!next.user(ada).await.unwrap().unwrap().is_online);
    until("it is listed", async || {
        let inbox = next.inbox(bob, None, 5).await.unwrap_or_default();
        inbox.iter().any(|entry| entry.last.id == message.id)
    })
    .await;
    fixture.end([next]).await;
}
