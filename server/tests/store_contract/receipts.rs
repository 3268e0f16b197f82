//! Watermarks: what was received and read.

use std::sync::Arc;

use server::domain::NewMessage;
use server::domain::{Mark, MarkKind, Marked, Marker, Position, Watermark};
use server::storage::{InboxStore, MarkError, MessageStore};
use shared::{Timestamp, UserId};

use crate::data::{append_new, later, mark, message_id, mint, people, up_to};
use crate::engine::Engine;

/// What a store holds of one of two.
async fn stored(store: &dyn InboxStore, user: UserId, peer: UserId) -> Option<Marker> {
    let summaries = store.summaries(&[(user, peer), (peer, user)]).await.unwrap();
    // Both people see the same.
    assert_eq!(summaries[0].own, summaries[1].peers);
    summaries[0].own
}

fn watermark(message: &NewMessage, at: Timestamp) -> Option<Watermark> {
    let place = Position {
        created_at: message.created_at,
        id: message.id,
    };
    Some(Watermark { place, at })
}

fn marker(user: UserId, peer: UserId, delivered: Option<Watermark>, read: Option<Watermark>) -> Marker {
    Marker {
        user,
        peer,
        delivered,
        read,
    }
}

/// A mark made at a certain time.
fn said(user: UserId, peer: UserId, kind: MarkKind, message: &NewMessage, millis: i64) -> Mark {
    Mark {
        at: later(millis),
        ..up_to(user, peer, kind, message.id)
    }
}

/// Ten messages between two, the even ones of the first.
async fn ten(store: &dyn MessageStore, ada: UserId, bob: UserId) -> Vec<NewMessage> {
    let messages: Vec<_> = (0..10)
        .map(|number| match number % 2 {
            0 => mint(ada, bob, "even"),
            _ => mint(bob, ada, "odd"),
        })
        .collect();
    append_new(store, &messages).await;
    messages
}

pub(crate) async fn are_missing_at_first(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob] = people(&*store).await;
    assert_eq!(stored(&*store, ada, bob).await, None);
    ten(&*store, ada, bob).await;
    assert_eq!(stored(&*store, ada, bob).await, None);
    assert_eq!(stored(&*store, bob, ada).await, None);
    assert_eq!(store.mark(&[]).await, []);
}

pub(crate) async fn only_move_forward(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob] = people(&*store).await;
    let messages = ten(&*store, ada, bob).await;
    for kind in [MarkKind::Delivered, MarkKind::Read] {
        let mut now = stored(&*store, ada, bob).await;
        for (index, moves, millis) in [
            (3, true, 30),
            (1, false, 31),
            (3, false, 32),
            (4, true, 33),
            (0, false, 34),
        ] {
            // Reading goes over messages that were received before.
            let index = index + usize::from(kind == MarkKind::Read) * 2;
            let outcomes = store.mark(&[said(ada, bob, kind, &messages[index], millis)]).await;
            let Ok(Marked {
                marker,
                delivered_moved,
                read_moved,
            }) = outcomes[0]
            else {
                panic!("{outcomes:?}")
            };
            assert_eq!((marker.user, marker.peer), (ada, bob));
            let (moved, place) = match kind {
                MarkKind::Delivered => (delivered_moved, marker.delivered),
                MarkKind::Read => (read_moved, marker.read),
            };
            assert_eq!(moved, moves, "{kind:?} {index}");
            if moves {
                assert_eq!(place, watermark(&messages[index], later(millis)));
            } else {
                assert_eq!(Some(marker), now);
                assert!(!delivered_moved && !read_moved);
            }
            now = stored(&*store, ada, bob).await;
            assert_eq!(now, Some(marker));
        }
    }
    // The other one's are their own.
    assert_eq!(stored(&*store, bob, ada).await, None);
}

pub(crate) async fn imply_receiving_by_reading(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob] = people(&*store).await;
    let messages = ten(&*store, ada, bob).await;
    let one = async |mark| {
        let outcomes = store.mark(&[mark]).await;
        let outcome = outcomes[0].clone().unwrap();
        (outcome.marker, outcome.delivered_moved, outcome.read_moved)
    };
    let at = |index: usize, millis| watermark(&messages[index], later(millis));
    let told = one(said(ada, bob, MarkKind::Read, &messages[2], 1)).await;
    assert_eq!(told, (marker(ada, bob, at(2, 1), at(2, 1)), true, true));
    let told = one(said(ada, bob, MarkKind::Delivered, &messages[6], 2)).await;
    assert_eq!(told, (marker(ada, bob, at(6, 2), at(2, 1)), true, false));
    // Read after what was read, before what was received.
    let told = one(said(ada, bob, MarkKind::Read, &messages[4], 3)).await;
    assert_eq!(told, (marker(ada, bob, at(6, 2), at(4, 3)), false, true));
    let told = one(said(ada, bob, MarkKind::Delivered, &messages[5], 4)).await;
    assert_eq!(told, (marker(ada, bob, at(6, 2), at(4, 3)), false, false));
    let told = one(said(ada, bob, MarkKind::Read, &messages[9], 5)).await;
    assert_eq!(told, (marker(ada, bob, at(9, 5), at(9, 5)), true, true));
}

pub(crate) async fn are_ordered_by_place_within_a_moment(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob] = people(&*store).await;
    let at = |number: u64, millis| NewMessage {
        id: message_id(2_000_000 + number),
        created_at: later(millis),
        ..mint(bob, ada, "text")
    };
    // Stored in another order than listed, and ids that contradict the times.
    let batch = [at(7, 5), at(3, 5), at(9, 4), at(1, 6)];
    append_new(&*store, &batch).await;
    for (index, moves) in [
        (2, true),
        (1, true),
        (0, true),
        (1, false),
        (2, false),
        (3, true),
        (0, false),
    ] {
        let marked = mark(&*store, ada, bob, MarkKind::Read, batch[index].id).await;
        assert_eq!(marked.read_moved, moves, "{index}");
    }
}

pub(crate) async fn refuse_unknown_messages(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob, eve] = people(&*store).await;
    let messages = ten(&*store, ada, bob).await;
    let elsewhere = [mint(eve, ada, "elsewhere"), mint(ada, ada, "note")];
    append_new(&*store, &elsewhere).await;
    for kind in [MarkKind::Delivered, MarkKind::Read] {
        let marks = [
            up_to(ada, bob, kind, message_id(u64::MAX)),
            up_to(ada, bob, kind, elsewhere[0].id),
            up_to(ada, bob, kind, elsewhere[1].id),
            up_to(eve, bob, kind, messages[0].id),
            up_to(ada, ada, kind, messages[0].id),
            up_to(ada, eve, kind, messages[0].id),
        ];
        let refused = vec![Err(MarkError::UnknownMessage); marks.len()];
        assert_eq!(store.mark(&marks).await, refused);
    }
    for (user, peer) in [(ada, bob), (eve, bob), (ada, ada), (ada, eve)] {
        assert_eq!(stored(&*store, user, peer).await, None);
    }
}

pub(crate) async fn are_taken_in_batches(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob, eve] = people(&*store).await;
    let messages = ten(&*store, ada, bob).await;
    let others = ten(&*store, eve, bob).await;
    let at = |messages: &[NewMessage], index: usize, millis| watermark(&messages[index], later(millis));
    let outcomes = store
        .mark(&[
            said(ada, bob, MarkKind::Delivered, &messages[1], 1),
            said(bob, eve, MarkKind::Read, &others[2], 2),
            said(ada, bob, MarkKind::Read, &others[2], 3),
            said(ada, bob, MarkKind::Read, &messages[5], 4),
            said(bob, ada, MarkKind::Read, &messages[9], 5),
            said(ada, bob, MarkKind::Delivered, &messages[3], 6),
        ])
        .await;
    let moved = |marker, delivered_moved, read_moved| {
        Ok(Marked {
            marker,
            delivered_moved,
            read_moved,
        })
    };
    let ada_now = marker(ada, bob, at(&messages, 5, 4), at(&messages, 5, 4));
    let expected = [
        moved(marker(ada, bob, at(&messages, 1, 1), None), true, false),
        moved(marker(bob, eve, at(&others, 2, 2), at(&others, 2, 2)), true, true),
        Err(MarkError::UnknownMessage),
        moved(ada_now, true, true),
        moved(marker(bob, ada, at(&messages, 9, 5), at(&messages, 9, 5)), true, true),
        moved(ada_now, false, false),
    ];
    assert_eq!(outcomes, expected);
    assert_eq!(stored(&*store, ada, bob).await, Some(ada_now));
}

pub(crate) async fn end_at_the_furthest_of_concurrent_marks(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob] = people(&*store).await;
    let messages = Arc::new(ten(&*store, ada, bob).await);
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let (store, messages) = (Arc::clone(&store), Arc::clone(&messages));
            tokio::spawn(async move {
                let mut furthest = None;
                for round in 0..20 {
                    let kind = [MarkKind::Delivered, MarkKind::Read][round % 2];
                    let message = &messages[(round * 7 + task * 3) % 9];
                    let marked = mark(&*store, ada, bob, kind, message.id).await;
                    // A watermark that was returned never goes back.
                    let now = (marked.marker.read, marked.marker.delivered);
                    let places = |marks: (Option<Watermark>, Option<Watermark>)| {
                        (marks.0.map(|mark| mark.place), marks.1.map(|mark| mark.place))
                    };
                    let (read, delivered) = places(now);
                    let (read_before, delivered_before) = furthest.map(places).unwrap_or_default();
                    assert!(read >= read_before && delivered >= delivered_before && delivered >= read);
                    furthest = Some(now);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let marker = stored(&*store, ada, bob).await.unwrap();
    let last = Position {
        created_at: messages[8].created_at,
        id: messages[8].id,
    };
    assert_eq!(marker.delivered.unwrap().place, last);
    assert!(marker.read.unwrap().place <= last);
}

pub(crate) async fn of_oneself_are_one(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada] = people(&*store).await;
    let notes = [mint(ada, ada, "one"), mint(ada, ada, "two")];
    append_new(&*store, &notes).await;
    let marked = mark(&*store, ada, ada, MarkKind::Read, notes[0].id).await;
    assert!(marked.read_moved && marked.delivered_moved);
    let summary = store.summaries(&[(ada, ada)]).await.unwrap().remove(0);
    assert_eq!(summary.own, Some(marked.marker));
    assert_eq!(summary.peers, Some(marked.marker));
}

pub(crate) async fn survive_reopening(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob] = people(&*store).await;
    let messages = ten(&*store, ada, bob).await;
    mark(&*store, ada, bob, MarkKind::Read, messages[3].id).await;
    let told = mark(&*store, ada, bob, MarkKind::Delivered, messages[7].id).await;
    drop(store);
    let store = engine.open().await;
    assert_eq!(stored(&*store, ada, bob).await, Some(told.marker));
    let again = mark(&*store, ada, bob, MarkKind::Read, messages[2].id).await;
    assert_eq!(again.marker, told.marker);
}
