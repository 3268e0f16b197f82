//! How many messages are unread: always counted, whatever is stored beside.

use std::collections::HashMap;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use server::domain::NewMessage;
use server::domain::{MarkKind, Position};
use server::storage::InboxStore;
use shared::UserId;
use shared::limits::MAX_UNREAD;

use crate::data::{START, append_new, later, mark, message_id, mint, open_ready, people};
use crate::engine::Engine;

async fn unread(store: &dyn InboxStore, user: UserId, peer: UserId) -> u32 {
    store.summaries(&[(user, peer)]).await.unwrap()[0].unread
}

pub(crate) async fn counts_what_the_peer_wrote_after_the_watermark(engine: &dyn Engine) {
    let store = open_ready(engine).await;
    let [ada, bob, eve] = people(&*store).await;
    assert_eq!(unread(&*store, ada, bob).await, 0);
    let own: Vec<_> = (0..10).map(|_| mint(ada, bob, "own")).collect();
    let messages: Vec<_> = (0..20).map(|_| mint(bob, ada, "the peer's")).collect();
    append_new(&*store, &own).await;
    assert_eq!(unread(&*store, bob, ada).await, 10);
    append_new(&*store, &messages).await;
    append_new(&*store, &[mint(eve, ada, "another")]).await;
    assert_eq!(unread(&*store, ada, bob).await, 20);
    assert_eq!(unread(&*store, bob, eve).await, 0);
    assert_eq!(store.total_unread(ada, MAX_UNREAD).await, Ok(21));
    mark(&*store, ada, bob, MarkKind::Read, own[9].id).await;
    for (index, rest) in [(0, 19), (1, 18), (11, 8), (5, 8), (18, 1), (19, 0)] {
        mark(&*store, ada, bob, MarkKind::Read, messages[index].id).await;
        assert_eq!(unread(&*store, ada, bob).await, rest, "read up to {index}");
        assert_eq!(store.total_unread(ada, MAX_UNREAD).await, Ok(rest + 1));
    }
    // Having received is not having read, and no user reads for another.
    mark(
        &*store,
        eve,
        ada,
        MarkKind::Delivered,
        append_new(&*store, &[mint(ada, eve, "answer")]).await[0].id,
    )
    .await;
    assert_eq!(unread(&*store, eve, ada).await, 1);
    assert_eq!(store.total_unread(eve, MAX_UNREAD).await, Ok(1));
    append_new(&*store, &[mint(bob, ada, "new")]).await;
    assert_eq!(unread(&*store, ada, bob).await, 1);
    assert_eq!(store.total_unread(ada, MAX_UNREAD).await, Ok(1));
}

pub(crate) async fn ends_with_an_answer(engine: &dyn Engine) {
    let store = open_ready(engine).await;
    let [ada, bob] = people(&*store).await;
    let numbers = async || {
        let total = store.total_unread(ada, MAX_UNREAD).await.unwrap();
        (unread(&*store, ada, bob).await, total)
    };
    let asked = append_new(&*store, &[mint(bob, ada, "one"), mint(bob, ada, "two")]).await;
    assert_eq!(numbers().await, (2, 2));
    append_new(&*store, &[mint(ada, bob, "an answer")]).await;
    assert_eq!(numbers().await, (0, 0));
    assert_eq!(unread(&*store, bob, ada).await, 1);
    append_new(&*store, &[mint(bob, ada, "three")]).await;
    assert_eq!(numbers().await, (1, 1));
    // Neither an older mark nor an answer that is listed before it changes that.
    mark(&*store, ada, bob, MarkKind::Read, asked[0].id).await;
    let early = NewMessage {
        created_at: later(0),
        ..mint(ada, bob, "listed first")
    };
    append_new(&*store, &[early]).await;
    assert_eq!(numbers().await, (1, 1));
    append_new(&*store, &[mint(ada, bob, "another answer")]).await;
    assert_eq!(numbers().await, (0, 0));
    store.rebuild().await.unwrap();
    assert_eq!(numbers().await, (0, 0));
}

/// What was read with the program before this one is not known.
pub(crate) async fn begins_with_the_first_start(engine: &dyn Engine) {
    let store = open_ready(engine).await;
    let [ada, bob, eve] = people(&*store).await;
    let at = |millis, sender, text| NewMessage {
        created_at: later(millis),
        ..mint(sender, ada, text)
    };
    let old: Vec<_> = (0..30).map(|number| at(number - 1_000, bob, "old")).collect();
    append_new(&*store, &old).await;
    assert_eq!(unread(&*store, ada, bob).await, 0);
    assert_eq!(store.total_unread(ada, MAX_UNREAD).await, Ok(0));
    append_new(&*store, &[at(0, bob, "new"), at(1, eve, "new")]).await;
    assert_eq!(unread(&*store, ada, bob).await, 1);
    assert_eq!(store.total_unread(ada, MAX_UNREAD).await, Ok(2));
    // Having received says nothing of reading; a mark of what was read does.
    mark(&*store, ada, bob, MarkKind::Delivered, old[29].id).await;
    assert_eq!(unread(&*store, ada, bob).await, 1);
    mark(&*store, ada, bob, MarkKind::Read, old[19].id).await;
    assert_eq!(unread(&*store, ada, bob).await, 11);
    assert_eq!(store.total_unread(ada, MAX_UNREAD).await, Ok(12));
    store.close(later(2)).await.unwrap();
    drop(store);
    // Later starts change nothing.
    let store = engine.open_at(later(60_000)).await;
    assert_eq!(unread(&*store, ada, bob).await, 11);
    assert_eq!(unread(&*store, ada, eve).await, 1);
    assert_eq!(store.total_unread(ada, MAX_UNREAD).await, Ok(12));
}

pub(crate) async fn does_not_begin_in_the_future(engine: &dyn Engine) {
    engine.open_at(later(3_600_000)).await.close(START).await.unwrap();
    // The clock was set right.
    let store = open_ready(engine).await;
    let [ada, bob] = people(&*store).await;
    append_new(&*store, &[mint(bob, ada, "new")]).await;
    assert_eq!(unread(&*store, ada, bob).await, 1);
}

pub(crate) async fn stops_at_the_limit(engine: &dyn Engine) {
    let store = open_ready(engine).await;
    let [ada, bob, eve] = people(&*store).await;
    let messages: Vec<_> = (0..MAX_UNREAD + 5).map(|_| mint(bob, ada, "text")).collect();
    for batch in messages.chunks(500) {
        append_new(&*store, batch).await;
    }
    append_new(&*store, &[mint(eve, ada, "one"), mint(eve, ada, "two")]).await;
    assert_eq!(unread(&*store, ada, bob).await, MAX_UNREAD);
    for (index, rest) in [
        (3, MAX_UNREAD),
        (4, MAX_UNREAD),
        (5, MAX_UNREAD - 1),
        (6, MAX_UNREAD - 2),
    ] {
        mark(&*store, ada, bob, MarkKind::Read, messages[index].id).await;
        assert_eq!(unread(&*store, ada, bob).await, rest, "read up to {index}");
        assert_eq!(store.total_unread(ada, MAX_UNREAD).await, Ok(MAX_UNREAD.min(rest + 2)));
    }
    for most in [0, 1, 2, 500] {
        assert_eq!(store.total_unread(ada, most).await, Ok(most));
    }
    assert_eq!(store.total_unread(ada, 2_000).await, Ok(MAX_UNREAD));
}

pub(crate) async fn counts_many_conversations_together(engine: &dyn Engine) {
    let store = open_ready(engine).await;
    let [ada, bob, eve, cleo, dan, fay] = people(&*store).await;
    let peers = [bob, eve, cleo, dan, fay];
    // Together more than one query counts; and few, at first.
    for (round, each) in [20_usize, 980].into_iter().enumerate() {
        let mut halves = Vec::new();
        for peer in peers {
            let messages: Vec<_> = (0..each).map(|_| mint(peer, ada, "text")).collect();
            for batch in messages.chunks(500) {
                append_new(&*store, batch).await;
            }
            halves.push(messages[each / 2].id);
        }
        for (index, (peer, half)) in peers.into_iter().zip(halves).enumerate() {
            if index % 2 == 0 {
                mark(&*store, ada, peer, MarkKind::Read, half).await;
            }
        }
        let pairs: Vec<_> = peers.iter().flat_map(|peer| [(ada, *peer), (*peer, ada)]).collect();
        let counts: Vec<u32> = store
            .summaries(&pairs)
            .await
            .unwrap()
            .iter()
            .map(|one| one.unread)
            .collect();
        let expected = match round {
            0 => [9, 0, 20, 0, 9, 0, 20, 0, 9, 0],
            _ => [489, 0, 1_000, 0, 489, 0, 1_000, 0, 489, 0],
        };
        assert_eq!(counts, expected);
    }
}

pub(crate) async fn is_none_with_oneself(engine: &dyn Engine) {
    let store = open_ready(engine).await;
    let [ada] = people(&*store).await;
    let notes = append_new(&*store, &[mint(ada, ada, "one"), mint(ada, ada, "two")]).await;
    assert_eq!(unread(&*store, ada, ada).await, 0);
    assert_eq!(store.total_unread(ada, MAX_UNREAD).await, Ok(0));
    mark(&*store, ada, ada, MarkKind::Read, notes[0].id).await;
    assert_eq!(unread(&*store, ada, ada).await, 0);
    assert_eq!(store.total_unread(ada, MAX_UNREAD).await, Ok(0));
}

/// Messages and marks at random, places that contradict the order of storing, and numbers after each step.
pub(crate) async fn agrees_with_a_model(engine: &dyn Engine) {
    let store = open_ready(engine).await;
    let people: [_; 4] = people(&*store).await;
    let seed = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    let mut stored: Vec<NewMessage> = Vec::new();
    let mut read: HashMap<(UserId, UserId), Position> = HashMap::new();
    let place = |message: &NewMessage| Position {
        created_at: message.created_at,
        id: message.id,
    };
    for step in 0..150 {
        let mut one = || people[random.random_range(0..people.len())];
        let (a, b) = (one(), one());
        if stored.is_empty() || random.random() {
            let count = random.random_range(1..6);
            let batch: Vec<_> = (0..count)
                .map(|number| NewMessage {
                    id: message_id(random.random_range(0..1_000) * 100_000 + step * 100 + number),
                    created_at: later(random.random_range(0..25)),
                    ..mint(a, b, "text")
                })
                .collect();
            append_new(&*store, &batch).await;
            stored.extend(batch);
        } else {
            let message = &stored[random.random_range(0..stored.len())];
            let mut pair = [message.sender, message.receiver];
            if random.random() {
                pair.reverse();
            }
            mark(&*store, pair[0], pair[1], MarkKind::Read, message.id).await;
            let now = read.entry(pair.into()).or_insert(place(message));
            *now = place(message).max(*now);
        }
        let count = |user: UserId, peer: UserId| {
            let own = stored
                .iter()
                .filter(|message| (message.sender, message.receiver) == (user, peer));
            let read = own.map(place).max().max(read.get(&(user, peer)).copied());
            let behind = |message: &&NewMessage| {
                message.sender == peer && message.receiver == user && user != peer && Some(place(message)) > read
            };
            stored.iter().filter(behind).count() as u32
        };
        let pairs: Vec<_> = people.iter().flat_map(|a| people.map(|b| (*a, b))).collect();
        let summaries = store.summaries(&pairs).await.unwrap();
        for (pair, summary) in pairs.into_iter().zip(summaries) {
            assert_eq!(summary.unread, count(pair.0, pair.1), "seed {seed} step {step}");
        }
        let user = people[random.random_range(0..people.len())];
        let total: u32 = people.iter().map(|peer| count(user, *peer)).sum();
        assert_eq!(
            store.total_unread(user, MAX_UNREAD).await,
            Ok(total),
            "seed {seed} step {step}"
        );
    }
}

/// A watermark may be set before whatever an engine derives from a message exists, or after.
pub(crate) async fn is_right_when_marked_before_and_after_it_is_listed(engine: &dyn Engine) {
    let store = open_ready(engine).await;
    let [ada, bob] = people(&*store).await;
    for listed in [false, true, false] {
        let batch = [mint(bob, ada, "one"), mint(bob, ada, "two")];
        append_new(&*store, &batch).await;
        if listed {
            assert_eq!(store.inbox(ada, None, 10).await.unwrap().len(), 1);
        }
        mark(&*store, ada, bob, MarkKind::Read, batch[0].id).await;
        assert_eq!(store.total_unread(ada, MAX_UNREAD).await, Ok(1));
        mark(&*store, ada, bob, MarkKind::Read, batch[1].id).await;
        assert_eq!(store.total_unread(ada, MAX_UNREAD).await, Ok(0));
        assert_eq!(unread(&*store, ada, bob).await, 0);
    }
}
