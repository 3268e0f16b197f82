//! The whole of a conversation as a stream.

use std::sync::Arc;

use futures_util::StreamExt;
use server::domain::Conversation;
use server::storage::MessageStore;
use shared::{Message, UserId};

use crate::data::{START, all, append_new, mint, people, streamed};
use crate::engine::Engine;

/// Stores `count` messages, in both directions.
async fn fill(store: &dyn MessageStore, ada: UserId, bob: UserId, count: usize) -> Vec<Message> {
    let messages: Vec<_> = (0..count)
        .map(|number| match number % 3 {
            0 => mint(bob, ada, &format!("{number}")),
            _ => mint(ada, bob, &format!("{number}")),
        })
        .collect();
    let mut listed = Vec::with_capacity(count);
    for batch in messages.chunks(500) {
        listed.extend(append_new(store, batch).await);
    }
    listed
}

pub(crate) async fn is_all_pages(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob, eve] = people(&*store).await;
    let conversation = Conversation::between(ada, bob);
    let mut expected = Vec::new();
    // Around the sizes at which an engine might end a chunk.
    for more in [1, 100, 155, 1, 255, 1, 300] {
        expected.extend(fill(&*store, ada, bob, more).await);
        append_new(&*store, &[mint(ada, eve, "elsewhere")]).await;
        assert_eq!(streamed(&*store, conversation).await, expected);
    }
    assert_eq!(all(&*store, conversation).await, expected);
}

pub(crate) async fn streams_ten_thousand(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob] = people(&*store).await;
    let expected = fill(&*store, ada, bob, 10_000).await;
    let mut chunks = store.history(Conversation::between(ada, bob));
    let mut listed = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.unwrap();
        assert!(!chunk.is_empty() && chunk.len() <= 1_000, "a chunk of {}", chunk.len());
        listed.extend(chunk);
    }
    assert!(listed == expected);
}

pub(crate) async fn is_empty_without_messages(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob, eve] = people(&*store).await;
    append_new(&*store, &[mint(ada, bob, "hello")]).await;
    assert!(store.history(Conversation::between(ada, eve)).next().await.is_none());
}

pub(crate) async fn can_be_dropped_early(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob] = people(&*store).await;
    let expected = fill(&*store, ada, bob, 3_000).await;
    let conversation = Conversation::between(ada, bob);
    // More streams than a pool has connections: one that did not give up its work would block the rest.
    for _ in 0..30 {
        drop(store.history(conversation));
        let mut chunks = store.history(conversation);
        let first = chunks.next().await.unwrap().unwrap();
        assert_eq!(first[..], expected[..first.len()]);
    }
    assert!(streamed(&*store, conversation).await == expected);
    store.close(START).await.unwrap();
}

pub(crate) async fn can_be_read_while_others_write(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob] = people(&*store).await;
    let conversation = Conversation::between(ada, bob);
    let mut expected = fill(&*store, ada, bob, 2_000).await;
    // Stalled readers, all in the middle of the conversation.
    let mut streams: Vec<_> = (0..10).map(|_| store.history(conversation)).collect();
    let mut begun = Vec::new();
    for stream in &mut streams {
        begun.push(stream.next().await.unwrap().unwrap());
    }
    let writer = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { fill(&*store, ada, bob, 1_000).await })
    };
    expected.extend(writer.await.unwrap());
    for (mut stream, mut listed) in streams.into_iter().zip(begun) {
        while let Some(chunk) = stream.next().await {
            listed.extend(chunk.unwrap());
        }
        // It may or may not see what came after its beginning, but nothing twice and no gap.
        assert!(listed.len() >= 2_000 && listed == expected[..listed.len()]);
    }
}
