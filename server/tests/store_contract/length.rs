//! How much a store reads at once, in bytes of JSON: messages can be a hundred times as long as most are.

use std::collections::HashMap;

use futures_util::StreamExt;
use server::domain::{Bounds, Change, Conversation, End, MarkKind, Position};
use server::storage::size::{PIECE_BYTES, is_piece};
use shared::Message;
use shared::limits::PAGE_BYTES;

use crate::data::{append_new, mark, mint, mint_now, people};
use crate::engine::Engine;
use crate::feed::{Reader, of};

/// A text that takes six times as many bytes as JSON: 98 KB.
fn long_text() -> String {
    "\u{1}".repeat(16_384)
}

/// How long messages are as JSON.
fn json_bytes(messages: &[Message]) -> usize {
    serde_json::to_string(messages).unwrap().len()
}

/// A page never gets longer than it may be, whatever is in it, and nothing is passed over where it ends.
pub(crate) async fn ends_pages_of_changes(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob, eve] = people(&*store).await;
    let mut readers = [ada, bob, eve].map(|user| Reader::new(&*store, user));
    let (long, longer) = (long_text(), "longer than a page".repeat(PAGE_BYTES / 16));
    let mut stored = Vec::new();
    let mut markers = HashMap::new();
    for round in 0..3 {
        let mut batch: Vec<_> = (0..9).map(|_| mint_now(ada, bob, &long)).collect();
        batch.extend((0..5).map(|_| mint_now(bob, ada, "short")));
        if round == 1 {
            batch.extend([
                mint_now(bob, ada, &longer),
                mint_now(eve, ada, &longer),
                mint_now(eve, ada, "short"),
            ]);
        }
        let messages = append_new(&*store, &batch).await;
        let marked = mark(&*store, bob, ada, MarkKind::Read, messages[4].id).await;
        markers.insert((bob, ada), marked.marker);
        stored.extend(messages);
    }
    for reader in &mut readers {
        let mut pages = 0;
        loop {
            let page = store.changes(reader.user, &reader.cursor, 200).await.unwrap();
            let messages = page.changes.iter().filter_map(|change| match change {
                Change::Message(message) => Some(message.clone()),
                _ => None,
            });
            let bytes = json_bytes(&messages.collect::<Vec<_>>());
            assert!(bytes <= PAGE_BYTES || page.changes.len() == 1, "{bytes} bytes");
            pages += 1;
            assert_eq!(reader.page(&*store, 200).await, page.more);
            if !page.more {
                break;
            }
        }
        let user = reader.user;
        assert_eq!(reader.heard, of(user, &stored));
        if user != eve {
            assert_eq!(reader.markers, markers);
            assert!(pages >= 4, "{pages} pages");
        }
    }
}

/// Long messages come in smaller chunks and pages; a reader that continues after each has them all.
pub(crate) async fn ends_chunks_and_pages_of_a_conversation(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob] = people(&*store).await;
    let conversation = Conversation::between(ada, bob);
    let (long, longer) = (long_text(), "longer than a piece".repeat(PIECE_BYTES / 16));
    let texts = (0..40).map(|number| match number % 8 {
        0..3 => "short",
        7 if number > 30 => &longer,
        _ => &long,
    });
    let batch: Vec<_> = texts.map(|text| mint(ada, bob, text)).collect();
    let expected = append_new(&*store, &batch).await;
    let check = |chunk: &[Message]| {
        let bytes = json_bytes(&chunk[..chunk.len() - 1]);
        assert!(bytes <= PIECE_BYTES, "{bytes} bytes, and one more");
    };
    let mut chunks = store.history(conversation);
    let mut listed = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.unwrap();
        check(&chunk);
        listed.extend(chunk);
    }
    assert!(listed == expected);
    for end in [End::Oldest, End::Newest] {
        let (mut listed, mut bounds) = (Vec::new(), Bounds::default());
        loop {
            let piece = store.page(conversation, bounds, end, 200).await.unwrap();
            let ended = !is_piece(&piece);
            if !piece.is_empty() {
                match end {
                    End::Oldest => check(&piece),
                    End::Newest => check(&piece.iter().rev().cloned().collect::<Vec<_>>()),
                }
            }
            match end {
                End::Oldest => {
                    bounds.after = piece.last().map(Position::of);
                    listed.extend(piece);
                }
                End::Newest => {
                    bounds.before = piece.first().map(Position::of);
                    listed.splice(0..0, piece);
                }
            }
            if ended {
                break;
            }
        }
        assert!(listed == expected, "{end:?}");
    }
}
