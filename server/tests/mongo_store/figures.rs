//! What it costs to read how conversations stand; a figure, not a promise: `cargo test -p server --test mongo_store --
//! --ignored --nocapture figures`.

use std::time::{Duration, Instant};

use bson::{Document, doc};
use futures_util::TryStreamExt;
use server::domain::{Mark, MarkKind};
use server::storage::mongodb::MongoStore;
use server::storage::{InboxStore, ReceiptStore, Summary};
use shared::{MessageId, UserId};

use super::fixture::{Fixture, at, mongooses, until};

const CONVERSATIONS: u32 = 10_000;
const MESSAGES: u32 = 10;
const RUNS: u32 = 20;

type Pair = (UserId, UserId);

fn pair(number: u32) -> Pair {
    let user = |side: u8| {
        let mut id = [side; 12];
        id[..4].copy_from_slice(&number.to_be_bytes());
        UserId::from_bytes(id)
    };
    (user(1), user(2))
}

/// How long the summaries of `count` pairs take, how many commands they are, and what they say.
async fn cost(fixture: &Fixture, store: &MongoStore, count: u32, from: u32) -> (Duration, usize, Vec<Summary>) {
    let pairs = |run: u32| -> Vec<Pair> {
        (0..count)
            .map(|number| pair((from + run * 487 + number * 7) % CONVERSATIONS))
            .collect()
    };
    let begun = Instant::now();
    for run in 0..RUNS {
        store.summaries(&pairs(run)).await.unwrap();
    }
    let took = begun.elapsed() / RUNS;
    fixture.database.run_command(doc! { "profile": 2 }).await.unwrap();
    let summaries = store.summaries(&pairs(0)).await.unwrap();
    fixture.database.run_command(doc! { "profile": 0 }).await.unwrap();
    let profile = fixture.collection("system.profile");
    let own = doc! { "command.comment": { "$ne": "follower" }, "ns": { "$regex": "\\.(messages|inboxes|markers)$" },
    "command.listIndexes": null, "op": { "$in": ["query", "command"] } };
    let commands: Vec<Document> = profile.find(own).await.unwrap().try_collect().await.unwrap();
    profile.drop().await.unwrap();
    (took, commands.len(), summaries)
}

#[tokio::test]
#[ignore = "it measures"]
async fn figures() {
    let fixture = Fixture::new().await;
    for message in 0..MESSAGES {
        let numbers: Vec<u32> = (0..CONVERSATIONS).collect();
        for numbers in numbers.chunks(2_000) {
            let documents = numbers.iter().map(|number| {
                let (one, other) = pair(*number);
                let time = at(-10_000 + i64::from(message));
                match message % 2 {
                    0 => mongooses(one, other, "hello hello hello", time),
                    _ => mongooses(other, one, "hello hello hello", time),
                }
            });
            fixture.insert("messages", documents).await;
        }
    }
    let store = fixture.open().await;
    until("inboxes are built", async || {
        store.projection().ready && !store.projection().building
    })
    .await;
    // The second half has read everything.
    let mut marks = Vec::new();
    for message in fixture.all("messages").await {
        let user = |field| UserId::from_bytes(message.get_object_id(field).unwrap().bytes());
        let (sender, receiver) = (user("sender"), user("receiver"));
        let number = u32::from_be_bytes(sender.bytes()[..4].try_into().unwrap());
        if number >= CONVERSATIONS / 2 {
            marks.push(Mark {
                user: receiver,
                peer: sender,
                kind: MarkKind::Read,
                up_to: MessageId::from_bytes(message.get_object_id("_id").unwrap().bytes()),
                at: at(0),
            });
        }
    }
    for marks in marks.chunks(1_000) {
        assert!(store.mark(marks).await.iter().all(Result::is_ok));
    }
    for count in [64, 500] {
        let mut told = Vec::new();
        for complete in [false, true] {
            let state = doc! { "$set": { "ready": complete } };
            let inbox = doc! { "_id": "inbox" };
            fixture.collection("meta").update_one(inbox, state).await.unwrap();
            until("it is known", async || store.projection().ready == complete).await;
            let (took, commands, summaries) = cost(&fixture, &store, count, 0).await;
            println!("{count} pairs, inboxes complete: {complete}: {took:?}, {commands} commands");
            told.push(summaries);
        }
        assert_eq!(told[0], told[1]);
    }
    fixture.end([store]).await;
}
