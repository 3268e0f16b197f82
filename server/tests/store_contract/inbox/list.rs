//! The order of a user's conversations, and how each stands.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use server::domain::NewMessage;
use server::domain::Position;
use server::storage::{InboxEntry, InboxStore, Projection, Store, Summary};
use shared::{Message, UserId};

use crate::data::{append_new, later, message_id, mint, nobody, open_ready, people};
use crate::engine::Engine;

/// How long what a dead process left may take to be in the inboxes.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The whole inbox in pages.
async fn pages(store: &dyn InboxStore, user: UserId, limit: usize) -> Vec<InboxEntry> {
    let mut listed: Vec<InboxEntry> = Vec::new();
    loop {
        let after = listed.last().map(|entry| entry.last);
        let page = store.inbox(user, after, limit).await.unwrap();
        assert!(page.len() <= limit);
        let ended = page.len() < limit;
        listed.extend(page);
        if ended {
            return listed;
        }
    }
}

fn other(user: UserId, message: &Message) -> Option<UserId> {
    match (message.sender, message.receiver) {
        (Some(sender), receiver) if sender == user => receiver,
        (sender, Some(receiver)) if receiver == user => sender,
        _ => None,
    }
}

/// What an inbox should be.
fn model(messages: &[Message], user: UserId) -> Vec<InboxEntry> {
    let mut peers: Vec<_> = messages.iter().filter_map(|message| other(user, message)).collect();
    peers.sort();
    peers.dedup();
    let entry = |peer| {
        let of_peer = messages.iter().filter(|message| other(user, message) == Some(peer));
        let last = of_peer.map(Position::of).max().unwrap();
        InboxEntry { peer, last }
    };
    let mut entries: Vec<_> = peers.into_iter().map(entry).collect();
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.last));
    entries
}

pub(crate) async fn is_empty_without_messages(engine: &dyn Engine) {
    let store = open_ready(engine).await;
    let [ada, bob, eve] = people(&*store).await;
    assert_eq!(store.inbox(ada, None, 10).await, Ok(Vec::new()));
    append_new(&*store, &[mint(bob, eve, "elsewhere")]).await;
    assert_eq!(store.inbox(ada, None, 10).await, Ok(Vec::new()));
    let nothing = Summary {
        last: None,
        unread: 0,
        own: None,
        peers: None,
    };
    let asked = [(ada, bob), (ada, ada), (nobody(), ada)];
    assert_eq!(store.summaries(&asked).await, Ok(vec![nothing; 3]));
    assert_eq!(store.summaries(&[]).await, Ok(Vec::new()));
    assert!(matches!(
        store.projection(),
        Projection {
            ready: true,
            building: false,
            ..
        }
    ));
}

pub(crate) async fn holds_what_was_just_stored(engine: &dyn Engine) {
    let store = open_ready(engine).await;
    let [ada, bob, eve] = people(&*store).await;
    let mut stored = Vec::new();
    for (sender, receiver) in [(ada, bob), (eve, ada), (bob, ada), (ada, ada), (bob, eve), (ada, eve)] {
        stored.extend(append_new(&*store, &[mint(sender, receiver, "text")]).await);
        let last = stored[stored.len() - 1].clone();
        for (user, peer) in [(sender, receiver), (receiver, sender)] {
            let inbox = store.inbox(user, None, 10).await.unwrap();
            assert_eq!(inbox, model(&stored, user));
            assert_eq!((inbox[0].peer, inbox[0].last), (peer, Position::of(&last)));
            let summary = store.summaries(&[(user, peer)]).await.unwrap().remove(0);
            assert_eq!(summary.last.as_ref(), Some(&last));
        }
    }
    // A message that is older than the newest changes nothing in the order.
    let old = NewMessage {
        created_at: later(-1_000),
        ..mint(bob, ada, "from long ago")
    };
    stored.extend(append_new(&*store, &[old]).await);
    assert_eq!(store.inbox(ada, None, 10).await.unwrap(), model(&stored, ada));
    assert_eq!(store.inbox(ada, None, 0).await, Ok(Vec::new()));
}

pub(crate) async fn agrees_with_a_model(engine: &dyn Engine) {
    let store = open_ready(engine).await;
    let people: [_; 12] = people(&*store).await;
    let seed = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    let mut stored: Vec<Message> = Vec::new();
    // Few moments: many conversations share the time of their newest message, and ids decide.
    for round in 0..20 {
        let batch: Vec<_> = (0..random.random_range(1..30))
            .map(|number| {
                let mut one = || people[random.random_range(0..people.len())];
                let (sender, receiver) = (one(), one());
                NewMessage {
                    id: message_id(random.random_range(0..1_000) * 1_000_000 + stored.len() as u64 + number),
                    created_at: later(random.random_range(0..4)),
                    ..mint(sender, receiver, &format!("{round} {number}"))
                }
            })
            .collect();
        stored.extend(append_new(&*store, &batch).await);
        for user in people {
            let expected = model(&stored, user);
            let limit = random.random_range(1..15);
            assert_eq!(pages(&*store, user, limit).await, expected, "seed {seed}");
            let pairs: Vec<_> = expected.iter().map(|entry| (user, entry.peer)).collect();
            let summaries = store.summaries(&pairs).await.unwrap();
            for (entry, summary) in expected.iter().zip(summaries) {
                let last = summary.last.unwrap();
                assert_eq!(Position::of(&last), entry.last, "seed {seed}");
                assert_eq!(other(user, &last), Some(entry.peer), "seed {seed}");
            }
        }
    }
}

pub(crate) async fn is_complete_after_reopening(engine: &dyn Engine) {
    let mut store = open_ready(engine).await;
    let [ada, bob, eve] = people(&*store).await;
    let mut stored = Vec::new();
    for orderly in [true, false, true] {
        for (sender, receiver) in [(bob, ada), (ada, eve)] {
            stored.extend(append_new(&*store, &[mint(sender, receiver, "text")]).await);
        }
        if orderly {
            store.close(later(1)).await.unwrap();
        }
        drop(store);
        store = open_ready(engine).await;
        for user in [ada, bob, eve] {
            // What a process committed that died is in the next one's inboxes soon.
            let expected = model(&stored, user);
            let end = Instant::now() + TIMEOUT;
            while store.inbox(user, None, 10).await.unwrap() != expected && Instant::now() < end {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            assert_eq!(store.inbox(user, None, 10).await.unwrap(), expected);
        }
        let unread = stored.len() as u32 / 2;
        assert_eq!(store.total_unread(ada, 100).await, Ok(unread));
        assert_eq!(store.total_unread(eve, 100).await, Ok(unread));
    }
}

pub(crate) async fn can_be_rebuilt_while_others_write(engine: &dyn Engine) {
    let store = open_ready(engine).await;
    let people: [_; 6] = people(&*store).await;
    let write = |store: Arc<dyn Store>| async move {
        let mut stored = Vec::new();
        for round in 0..60 {
            let (sender, receiver) = (people[round % 6], people[round * 7 % 5]);
            let batch: Vec<_> = (0..20).map(|_| mint(sender, receiver, "text")).collect();
            stored.extend(append_new(&*store, &batch).await);
        }
        stored
    };
    let mut stored = write(Arc::clone(&store)).await;
    let before: Vec<_> = people.map(|user| model(&stored, user)).into();
    store.rebuild().await.unwrap();
    // Asking again while it is under way is no other.
    store.rebuild().await.unwrap();
    let writer = tokio::spawn(write(Arc::clone(&store)));
    // It says when it is over; meanwhile nothing that there was is missing.
    loop {
        let projection = store.projection();
        assert!(
            projection.ready && projection.done <= projection.total,
            "{projection:?}"
        );
        for (user, before) in people.iter().zip(&before) {
            // One page, because a conversation moves to the front while others are read.
            let inbox = store.inbox(*user, None, 100).await.unwrap();
            let peers: HashSet<_> = inbox.iter().map(|entry| entry.peer).collect();
            assert!(before.iter().all(|entry| peers.contains(&entry.peer)));
        }
        if !projection.building {
            assert!(
                projection.done >= 1_200,
                "what it has looked at is still known: {projection:?}"
            );
            break;
        }
    }
    stored.extend(writer.await.unwrap());
    for user in people {
        assert_eq!(pages(&*store, user, 4).await, model(&stored, user));
    }
}

pub(crate) async fn knows_who_has_exchanged_a_message(engine: &dyn Engine) {
    let store = open_ready(engine).await;
    let [ada, bob, eve, kim] = people(&*store).await;
    let known = async |user, others: &[UserId]| store.acquainted(user, others).await.unwrap();
    assert_eq!(known(ada, &[bob, eve, ada]).await, HashSet::new());
    let batch = [
        mint(ada, bob, "to"),
        mint(eve, ada, "from"),
        mint(kim, eve, "elsewhere"),
    ];
    append_new(&*store, &batch).await;
    append_new(&*store, &[mint(kim, kim, "note")]).await;
    assert_eq!(
        known(ada, &[kim, eve, nobody(), bob, ada]).await,
        HashSet::from([bob, eve])
    );
    assert_eq!(known(bob, &[ada, eve, kim]).await, HashSet::from([ada]));
    assert_eq!(known(kim, &[ada, bob, eve, kim]).await, HashSet::from([eve, kim]));
    assert_eq!(known(ada, &[]).await, HashSet::new());
}
