//! Catching up: every change that concerns a user comes at least once, from whichever cursor a client continues.
//!
//! An engine may repeat what was in an earlier page, so a reader stores what it receives by its key.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use server::domain::{Change, Cursor, MarkKind, Marker};
use server::storage::{ChangesError, FeedStore};
use shared::{Message, MessageId, Settings, SettingsChange, UserId};

use crate::data::{append_new, mark, mint_now, now, people};
use crate::engine::Engine;

/// A client that keeps a copy of all that concerns a user.
pub(crate) struct Reader {
    pub(crate) user: UserId,
    pub(crate) cursor: Cursor,
    /// In the order of first hearing of each.
    pub(crate) heard: Vec<MessageId>,
    messages: HashMap<MessageId, Message>,
    pub(crate) markers: HashMap<(UserId, UserId), Marker>,
    settings: Option<Settings>,
}

impl Reader {
    /// One that has nothing yet and continues from now.
    pub(crate) fn new(store: &dyn FeedStore, user: UserId) -> Self {
        Self {
            user,
            cursor: store.cursor(store.committed_position()),
            heard: Vec::new(),
            messages: HashMap::new(),
            markers: HashMap::new(),
            settings: None,
        }
    }

    /// Reads one page. Returns whether there is more.
    pub(crate) async fn page(&mut self, store: &dyn FeedStore, limit: usize) -> bool {
        let page = store.changes(self.user, &self.cursor, limit).await.unwrap();
        assert!(page.changes.len() <= limit);
        assert!(!page.more || !page.changes.is_empty(), "more, but nothing of it");
        for change in page.changes {
            match change {
                Change::Message(message) => {
                    assert!(message.sender == Some(self.user) || message.receiver == Some(self.user));
                    if let Some(before) = self.messages.insert(message.id, message.clone()) {
                        assert_eq!(before, message);
                    } else {
                        self.heard.push(message.id);
                    }
                }
                Change::Marker(marker) => {
                    assert!(marker.user == self.user || marker.peer == self.user);
                    self.markers.insert((marker.user, marker.peer), marker);
                }
                Change::Settings(settings) => self.settings = Some(settings),
            }
        }
        // As a client would keep it.
        self.cursor = Cursor::parse(&page.next.to_string()).unwrap();
        page.more
    }

    /// Reads to the end, which must come.
    async fn catch_up(&mut self, store: &dyn FeedStore, limit: usize) {
        for _ in 0..10_000 {
            if !self.page(store, limit).await {
                return;
            }
        }
        panic!("no end of pages");
    }
}

fn ids(messages: &[Message]) -> Vec<MessageId> {
    messages.iter().map(|message| message.id).collect()
}

/// The messages of one user, in the order stored.
pub(crate) fn of(user: UserId, messages: &[Message]) -> Vec<MessageId> {
    let concerns = |message: &&Message| message.sender == Some(user) || message.receiver == Some(user);
    messages.iter().filter(concerns).map(|message| message.id).collect()
}

pub(crate) async fn is_empty_at_first(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada] = people(&*store).await;
    let mut reader = Reader::new(&*store, ada);
    for _ in 0..3 {
        assert!(!reader.page(&*store, 10).await);
    }
    assert!(reader.heard.is_empty() && reader.markers.is_empty() && reader.settings.is_none());
}

pub(crate) async fn has_what_concerns_the_user_in_order(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob, eve] = people(&*store).await;
    let start = Reader::new(&*store, ada).cursor;
    let mut stored = Vec::new();
    for round in 0..20 {
        let text = format!("round {round}");
        let pairs = [(ada, bob), (bob, ada), (bob, eve), (ada, ada), (eve, ada), (eve, eve)];
        let batch: Vec<_> = pairs.map(|(sender, receiver)| mint_now(sender, receiver, &text)).into();
        stored.extend(append_new(&*store, &batch).await);
    }
    for (user, count) in [(ada, 80), (bob, 60), (eve, 60)] {
        let expected = of(user, &stored);
        assert_eq!(expected.len(), count);
        for limit in [1, 3, 80, 200, usize::MAX] {
            let mut reader = Reader::new(&*store, user);
            reader.cursor = start.clone();
            reader.catch_up(&*store, limit).await;
            assert_eq!(reader.heard, expected, "in pages of {limit}");
            assert_eq!(
                ids(&stored)
                    .iter()
                    .filter(|id| reader.messages.contains_key(id))
                    .count(),
                count
            );
        }
    }
}

/// Reads now and then, in pages of any size, while messages, watermarks and settings change at random.
pub(crate) async fn agrees_with_a_model(engine: &dyn Engine) {
    let store = engine.open().await;
    let people: [_; 4] = people(&*store).await;
    let seed = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    let mut readers = people.map(|user| Reader::new(&*store, user));
    let mut stored: Vec<Message> = Vec::new();
    let mut markers = HashMap::new();
    let mut settings = HashMap::new();
    for _ in 0..300 {
        let mut one = || people[random.random_range(0..people.len())];
        let (a, b) = (one(), one());
        match random.random_range(0..10) {
            0..4 => {
                let count = random.random_range(1..10);
                let batch: Vec<_> = (0..count).map(|_| mint_now(a, b, "text")).collect();
                stored.extend(append_new(&*store, &batch).await);
            }
            4..7 if !stored.is_empty() => {
                let message = &stored[random.random_range(0..stored.len())];
                let (Some(user), Some(peer)) = (message.sender, message.receiver) else {
                    panic!()
                };
                let (user, peer) = if random.random() { (user, peer) } else { (peer, user) };
                let kind = if random.random() {
                    MarkKind::Read
                } else {
                    MarkKind::Delivered
                };
                let marked = mark(&*store, user, peer, kind, message.id).await;
                markers.insert((user, peer), marked.marker);
            }
            7 => {
                let change = SettingsChange {
                    read_receipts: Some(random.random()),
                    invisible: Some(random.random()),
                };
                let now = store.change_settings(a, change, now()).await.unwrap().unwrap();
                settings.insert(a, now);
            }
            _ => {
                let limit = random.random_range(1..20);
                readers[random.random_range(0..people.len())].page(&*store, limit).await;
            }
        }
    }
    for mut reader in readers {
        reader.catch_up(&*store, random.random_range(1..20)).await;
        let user = reader.user;
        assert_eq!(reader.heard, of(user, &stored), "seed {seed}");
        let mut expected = markers.clone();
        expected.retain(|(a, b), _| *a == user || *b == user);
        assert_eq!(reader.markers, expected, "seed {seed}");
        let told = reader.settings.unwrap_or_default();
        assert_eq!(told, settings.get(&user).copied().unwrap_or_default(), "seed {seed}");
    }
}

/// A client that was given everything up to a committed position misses nothing that was committed later.
pub(crate) async fn continues_from_any_committed_position(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob, eve] = people(&*store).await;
    let other = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for _ in 0..50 {
                append_new(&*store, &[mint_now(eve, eve, "meanwhile")]).await;
            }
        })
    };
    for _ in 0..30 {
        let mut reader = Reader::new(&*store, bob);
        let message = append_new(&*store, &[mint_now(ada, bob, "after")]).await;
        let marked = mark(&*store, ada, bob, MarkKind::Read, message[0].id).await;
        reader.catch_up(&*store, 2).await;
        assert!(reader.messages.contains_key(&message[0].id));
        assert_eq!(reader.markers[&(ada, bob)], marked.marker);
    }
    other.await.unwrap();
}

pub(crate) async fn never_skips_while_others_write(engine: &dyn Engine) {
    const ROUNDS: usize = 40;
    let store = engine.open().await;
    let [ada, bob, eve, kim] = people(&*store).await;
    let ended = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = [(ada, 1), (ada, 7), (bob, 200), (kim, 3)]
        .map(|(user, limit)| {
            let (store, ended) = (Arc::clone(&store), Arc::clone(&ended));
            let mut reader = Reader::new(&*store, user);
            tokio::spawn(async move {
                while !ended.load(Ordering::Acquire) {
                    reader.page(&*store, limit).await;
                }
                // Pages that were begun before the end need not have what became visible before them meanwhile; those
                // that follow do.
                for _ in 0..2 {
                    reader.catch_up(&*store, limit).await;
                }
                reader
            })
        })
        .into();
    // A lane has one call at a time, as the server does it; marks come from anywhere.
    let conversations = [(ada, bob), (bob, eve), (eve, ada), (kim, ada), (ada, ada), (bob, kim)];
    let lanes = store.append_lanes();
    let writers: Vec<_> = (0..lanes)
        .map(|lane| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let own: Vec<_> = conversations.into_iter().skip(lane).step_by(lanes).collect();
                let mut stored = Vec::new();
                let mut marks = Vec::new();
                for round in 0..ROUNDS {
                    let (sender, receiver) = own[round % own.len()];
                    let batch: Vec<_> = (0..round % 9 + 1).map(|_| mint_now(sender, receiver, "text")).collect();
                    stored.extend(append_new(&*store, &batch).await);
                    let (store, last) = (Arc::clone(&store), batch[batch.len() - 1].id);
                    marks.push(tokio::spawn(async move {
                        mark(&*store, receiver, sender, MarkKind::Read, last).await;
                    }));
                }
                for mark in marks {
                    mark.await.unwrap();
                }
                stored
            })
        })
        .collect();
    let mut stored = Vec::new();
    for writer in writers {
        stored.extend(writer.await.unwrap());
    }
    ended.store(true, Ordering::Release);
    for reader in readers {
        let reader = reader.await.unwrap();
        let user = reader.user;
        let mut expected = of(user, &stored);
        let mut heard = reader.heard;
        expected.sort_unstable();
        heard.sort_unstable();
        assert_eq!(heard, expected);
        for (sender, receiver) in conversations {
            if sender == user || receiver == user {
                let own = store.summaries(&[(receiver, sender)]).await.unwrap()[0].own;
                assert_eq!(reader.markers.get(&(receiver, sender)).copied(), own);
            }
        }
    }
}

pub(crate) async fn continues_after_reopening(engine: &dyn Engine) {
    let mut store = engine.open().await;
    let [ada, bob] = people(&*store).await;
    let mut reader = Reader::new(&*store, ada);
    let mut stored = Vec::new();
    // Closed in an orderly way, or dropped as if it had crashed; with something unread and without.
    for round in 0..6 {
        let batch: Vec<_> = (0..10).map(|_| mint_now(bob, ada, "text")).collect();
        stored.extend(append_new(&*store, &batch).await);
        if round % 3 == 0 {
            reader.page(&*store, 4).await;
        } else if round % 3 == 1 {
            reader.catch_up(&*store, 4).await;
        }
        let committed_position = store.committed_position();
        if round % 2 == 0 {
            store.close(now()).await.unwrap();
        }
        drop(store);
        store = engine.open().await;
        assert!(store.committed_position() >= committed_position);
    }
    reader.catch_up(&*store, 4).await;
    assert_eq!(reader.heard, ids(&stored));
}

pub(crate) async fn holds_watermarks_for_both(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob, eve] = people(&*store).await;
    let mut readers = [ada, bob, eve].map(|user| Reader::new(&*store, user));
    let batch: Vec<_> = (0..4).map(|_| mint_now(ada, bob, "text")).collect();
    let messages = append_new(&*store, &batch).await;
    let delivered = mark(&*store, bob, ada, MarkKind::Delivered, messages[2].id).await;
    for reader in &mut readers[..2] {
        reader.catch_up(&*store, 200).await;
        assert_eq!(reader.markers[&(bob, ada)], delivered.marker);
    }
    mark(&*store, bob, ada, MarkKind::Read, messages[0].id).await;
    let read = mark(&*store, bob, ada, MarkKind::Read, messages[3].id).await;
    let own = append_new(&*store, &[mint_now(ada, ada, "note")]).await;
    let noted = mark(&*store, ada, ada, MarkKind::Read, own[0].id).await;
    for reader in &mut readers {
        reader.catch_up(&*store, 1).await;
    }
    let [ada_told, bob_told, eve_told] = readers.map(|reader| reader.markers);
    assert_eq!(
        ada_told,
        HashMap::from([((bob, ada), read.marker), ((ada, ada), noted.marker)])
    );
    assert_eq!(bob_told, HashMap::from([((bob, ada), read.marker)]));
    assert_eq!(eve_told, HashMap::new());
}

pub(crate) async fn holds_settings_for_their_owner(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob] = people(&*store).await;
    let mut readers = [ada, bob].map(|user| Reader::new(&*store, user));
    append_new(&*store, &[mint_now(ada, bob, "hello")]).await;
    for invisible in [true, false, true] {
        let change = SettingsChange {
            read_receipts: None,
            invisible: Some(invisible),
        };
        let settings = store.change_settings(ada, change, now()).await.unwrap();
        for reader in &mut readers {
            reader.catch_up(&*store, 1).await;
        }
        assert_eq!(readers[0].settings, settings);
        assert_eq!(readers[1].settings, None);
    }
}

pub(crate) async fn refuses_the_cursor_of_another_database(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada] = people(&*store).await;
    append_new(&*store, &[mint_now(ada, ada, "note")]).await;
    let own = store.cursor(store.committed_position());
    assert!(store.changes(ada, &own, 10).await.is_ok());
    let mut foreign = own.clone();
    foreign.instance[0] ^= 1;
    let Err(ChangesError::Reset(text)) = store.changes(ada, &foreign, 10).await else {
        panic!("not refused")
    };
    assert!(!text.is_empty());
    drop(store);
    // The same after reopening.
    let store = engine.open().await;
    assert!(store.changes(ada, &own, 10).await.is_ok());
    assert!(matches!(
        store.changes(ada, &foreign, 10).await,
        Err(ChangesError::Reset(_))
    ));
}
