//! Watermarks and changes of settings on a disk that hangs as long as a test wants: what is stored late is told late,
//! and no cursor goes past it.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use shared::{MessageId, SettingsChange, UserId};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_util::task::TaskTracker;

use crate::chat::{MarkOutcome, Receipts, SettingsChanges, SubmitError};
use crate::delivery::DeliveryWatermark;
use crate::domain::{Change, Cursor, Mark, MarkKind};
use crate::storage::sqlite::EmbeddedStore;
use crate::storage::sqlite::tests::fixture::{AT, hang, messages, store, user};
use crate::storage::{FeedStore, InboxStore, MarkError, MessageStore, Store, StoreError};
use crate::supervisor::Supervisor;

/// What was said of a mark, and the cursor of whoever would have been told of it then.
struct Told {
    settled: MarkOutcome<&'static str>,
    cursor: Cursor,
}

struct Chat {
    _dir: tempfile::TempDir,
    store: Arc<EmbeddedStore>,
    watermark: Arc<DeliveryWatermark>,
    receipts: Receipts<&'static str>,
    settings: SettingsChanges,
    told: UnboundedReceiver<Told>,
}

fn chat() -> Chat {
    let (dir, store) = store();
    let store = Arc::new(store);
    let shared = || Arc::clone(&store) as Arc<dyn Store>;
    let watermark = DeliveryWatermark::new(shared());
    let (tell, told) = unbounded_channel();
    let cursors = Arc::clone(&watermark);
    let settle = move |settled| {
        let cursor = cursors.cursor();
        tell.send(Told { settled, cursor }).unwrap();
    };
    let parts = Supervisor::default();
    Chat {
        _dir: dir,
        receipts: Receipts::start(shared(), Arc::clone(&watermark), &parts, settle),
        settings: SettingsChanges::new(shared(), Arc::clone(&watermark), &parts),
        watermark,
        store,
        told,
    }
}

fn is_unavailable(told: &Told) -> bool {
    matches!(&told.settled.outcome, Err(MarkError::Store(StoreError::Unavailable(_)))) && told.settled.reply.is_some()
}

/// What of a user's changes after a cursor is not a message.
async fn changes(store: &EmbeddedStore, user: UserId, since: &Cursor) -> Vec<Change> {
    let mut changes = store.changes(user, since, 100).await.unwrap().changes;
    changes.retain(|change| !matches!(change, Change::Message(_)));
    changes
}

#[tokio::test]
async fn a_mark_that_is_stored_late_is_told_late() {
    let mut chat = chat();
    let [ada, bob] = [user(&chat.store, "ada").await, user(&chat.store, "bob").await];
    let mut message = messages(ada, 0..1, 10).remove(0);
    message.receiver = bob;
    chat.store.append(&[message.clone()]).await[0].as_ref().unwrap();
    let mark = |kind| Mark {
        user: bob,
        peer: ada,
        kind,
        up_to: message.id,
        at: AT,
    };
    let before = chat.watermark.cursor();

    let hang = hang(&chat.store).await;
    tokio::time::pause();
    chat.receipts.submit(mark(MarkKind::Read), "first").unwrap();
    // It is with the store before the next one comes, which waits.
    tokio::task::yield_now().await;
    chat.receipts.submit(mark(MarkKind::Delivered), "waits").unwrap();
    for _ in 0..2 {
        assert!(is_unavailable(&chat.told.recv().await.unwrap()));
    }
    // Further ones are refused sooner, and all are answered.
    chat.receipts.submit(mark(MarkKind::Read), "later").unwrap();
    assert!(is_unavailable(&chat.told.recv().await.unwrap()));
    tokio::time::resume();

    drop(hang);
    let late = chat.told.recv().await.unwrap();
    let marked = late.settled.outcome.as_ref().unwrap();
    assert!(marked.read_moved && late.settled.shown, "the peer is told");
    assert_eq!(late.settled.reply, None, "it was answered before");
    assert_eq!(late.cursor, before, "no client is given a cursor after it");
    drop(late);
    assert!(!changes(&chat.store, ada, &before).await.is_empty());
    assert!(changes(&chat.store, ada, &chat.watermark.cursor()).await.is_empty());

    chat.receipts.submit(mark(MarkKind::Read), "again").unwrap();
    let again = chat.told.recv().await.unwrap();
    assert!(!again.settled.outcome.unwrap().read_moved, "it is told once");
    chat.receipts.stop().await;
    let refused = chat.receipts.submit(mark(MarkKind::Read), "stopped");
    assert_eq!(refused, Err((SubmitError::Stopping, "stopped")));
}

/// What the store gave up is tried on, with nobody's help.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mark_that_the_store_gave_up_is_told_when_it_is_stored() {
    let mut chat = chat();
    let [ada, bob] = [user(&chat.store, "ada").await, user(&chat.store, "bob").await];
    let mut message = messages(ada, 0..1, 10).remove(0);
    message.receiver = bob;
    chat.store.append(&[message.clone()]).await[0].as_ref().unwrap();
    // Or the projection waits for the lock, too.
    chat.store.inbox(bob, None, 1).await.unwrap();
    let mark = Mark {
        user: bob,
        peer: ada,
        kind: MarkKind::Read,
        up_to: message.id,
        at: AT,
    };
    let before = chat.watermark.cursor();
    let shell = Connection::open(chat._dir.path().join("chat.db")).unwrap();
    shell.execute_batch("BEGIN IMMEDIATE").unwrap();
    chat.receipts.submit(mark, "first").unwrap();
    assert!(is_unavailable(&chat.told.recv().await.unwrap()));
    // Whoever comes meanwhile is answered.
    chat.receipts.submit(mark, "meanwhile").unwrap();
    assert!(is_unavailable(&chat.told.recv().await.unwrap()));
    shell.execute_batch("ROLLBACK").unwrap();
    let late = chat.told.recv().await.unwrap();
    assert!(late.settled.outcome.as_ref().unwrap().read_moved && late.settled.shown);
    assert_eq!(late.settled.reply, None, "it was answered before");
    assert_eq!(late.cursor, before, "no client is given a cursor after it");
    chat.receipts.stop().await;
}

#[tokio::test]
async fn one_user_s_marks_leave_room_and_turns_for_others() {
    let mut chat = chat();
    let [flood, ada] = [user(&chat.store, "flood").await, user(&chat.store, "ada").await];
    let mark = |user| Mark {
        user,
        peer: user,
        kind: MarkKind::Read,
        up_to: MessageId::from_bytes([1; 12]),
        at: AT,
    };
    let hang = hang(&chat.store).await;
    let taken = std::iter::repeat_with(|| chat.receipts.submit(mark(flood), "flood")).take_while(Result::is_ok);
    assert!(taken.count() < 5_000, "as many as are still free");
    for _ in 0..100 {
        chat.receipts.submit(mark(ada), "ada").unwrap();
    }
    drop(hang);
    let mut before = 0;
    while chat.told.recv().await.unwrap().settled.reply != Some("ada") {
        before += 1;
    }
    assert!(
        before < 1_000,
        "{before} marks of the flood were stored before the first one of others"
    );
}

#[tokio::test]
async fn a_stop_waits_for_the_marks_that_were_taken() {
    let mut chat = chat();
    let ada = user(&chat.store, "ada").await;
    let hang = hang(&chat.store).await;
    for _ in 0..1_000 {
        let mark = Mark {
            user: ada,
            peer: ada,
            kind: MarkKind::Read,
            up_to: MessageId::from_bytes([1; 12]),
            at: AT,
        };
        chat.receipts.submit(mark, "taken").unwrap();
    }
    let release = tokio::spawn(async move { drop(hang) });
    chat.receipts.stop().await;
    for _ in 0..1_000 {
        let told = chat.told.try_recv().expect("all are answered when it has stopped");
        assert!(matches!(told.settled.outcome, Err(MarkError::UnknownMessage)));
    }
    release.await.unwrap();
}

#[tokio::test]
async fn a_change_of_settings_that_is_stored_late_is_told_late() {
    for leaves in [false, true] {
        let chat = chat();
        let ada = user(&chat.store, "ada").await;
        let before = chat.watermark.cursor();
        let (tell, mut told) = unbounded_channel();
        let cursors = Arc::clone(&chat.watermark);
        let change = SettingsChange {
            invisible: Some(true),
            ..SettingsChange::default()
        };
        let requests = TaskTracker::new();
        let hang = hang(&chat.store).await;
        tokio::time::pause();
        let changing = chat
            .settings
            .change(ada, change, requests.token(), move |settings, is_answered| {
                assert!(!is_answered);
                let _ = tell.send((*settings, cursors.cursor()));
            });
        if leaves {
            // Long enough for it to be with the store, as of a client that then closes its connection.
            let gone = tokio::time::timeout(Duration::from_secs(5), changing).await;
            assert!(gone.is_err());
        } else {
            let late = changing.await;
            assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");
        }
        assert!(told.try_recv().is_err(), "it is not stored");
        tokio::time::resume();
        drop(hang);
        let (settings, cursor) = told.recv().await.unwrap();
        assert!(settings.invisible);
        assert_eq!(cursor, before, "no client is given a cursor after it");
        requests.close();
        requests.wait().await;
        assert_eq!(changes(&chat.store, ada, &before).await.len(), 1);
        assert!(changes(&chat.store, ada, &chat.watermark.cursor()).await.is_empty());
    }
}
