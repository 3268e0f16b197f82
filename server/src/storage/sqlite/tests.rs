//! What can be seen only from inside: the writer's failures, the length of the log.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use rusqlite::Connection;
use shared::{SettingsChange, UserId};

use super::*;
use crate::domain::{Conversation, Cursor, Mark, NewMessage};
use crate::storage::{
    AppendError, ChangesError, FeedStore, InboxStore, MessageStore, Projection, ReceiptStore, UserStore,
};
use fixture::{AT, count, messages, store, user};

mod derived;
mod figures;
pub(crate) mod fixture;
mod lost;
mod moved;
mod plans;

/// An administrator's shell can hold the lock. Each write would wait for it by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_database_fails_all_that_waits_at_once() {
    let (dir, store) = store();
    let ada = user(&store, "ada").await;
    let shell = Connection::open(dir.path().join("chat.db")).unwrap();
    shell.execute_batch("BEGIN IMMEDIATE").unwrap();
    let begun = Instant::now();
    // The first is tried alone; what comes meanwhile is one group.
    let batches: Vec<_> = (0..30).map(|number| messages(ada, number..number + 1, 10)).collect();
    let outcomes = futures_util::future::join_all(batches.iter().map(|batch| store.append(batch))).await;
    assert!(begun.elapsed() < 4 * schema::BUSY_TIMEOUT, "{:?}", begun.elapsed());
    let locked = |outcome: &Result<_, _>| matches!(outcome, Err(AppendError::Store(StoreError::Unavailable(_))));
    assert!(outcomes.iter().flatten().all(locked));
    shell.execute_batch("ROLLBACK").unwrap();
    assert!(store.append(&batches[0]).await[0].is_ok());
    assert_eq!(count(&store).await, 1);
}

#[tokio::test]
async fn a_full_disk_fails_the_batch_and_heals() {
    let (_dir, store) = store();
    let ada = user(&store, "ada").await;
    let stored = store.append(&messages(ada, 0..10, 100)).await;
    assert!(stored.iter().all(Result::is_ok));

    // As many pages as there are now, and no more.
    let limit = |pages: i64| {
        move |connection: &Connection| {
            connection.pragma_update_and_check(None, "max_page_count", pages, |row| row.get::<_, i64>(0))
        }
    };
    store.writer.run(limit(1)).await.unwrap();
    let refused = store.append(&messages(ada, 10..30, 10_000)).await;
    assert_eq!(refused.len(), 20);
    for outcome in refused {
        assert!(
            matches!(outcome, Err(AppendError::Store(StoreError::Unavailable(_)))),
            "{outcome:?}"
        );
    }
    assert_eq!(count(&store).await, 10);
    // Reading works, and so does a write that finds room; but that is not to be ready.
    assert_eq!(store.user(ada).await.unwrap().unwrap().id, ada);
    store.writer.run(users::probe_write).await.unwrap();
    for _ in 0..2 {
        assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
    }

    store.writer.run(limit(1_000_000)).await.unwrap();
    store.ping().await.unwrap();
    let stored = store.append(&messages(ada, 10..30, 10_000)).await;
    assert!(stored.iter().all(Result::is_ok));
    assert_eq!(count(&store).await, 30);
}

#[tokio::test]
async fn a_job_that_fails_fails_alone() {
    let (_dir, store) = store();
    let ada = user(&store, "ada").await;
    // All four wait for a job that waits for them: one group.
    let (release, released) = mpsc::channel::<()>();
    let held = store.writer.run(move |_| Ok(released.recv().is_err()));
    let rename = |name: &'static str, then: &'static str| {
        store.writer.run(move |connection| {
            connection.execute("UPDATE users SET username = ?1", [name])?;
            connection.execute_batch(then)
        })
    };
    let panics = store.writer.run(|connection| -> rusqlite::Result<()> {
        connection.execute("UPDATE users SET username = 'panicked'", [])?;
        panic!("on purpose");
    });
    let batch = messages(ada, 0..1, 1);
    let release = async { drop(release) };
    let (_, good, bad, panics, message, _) = tokio::join!(
        biased;
        held,
        rename("good", "SELECT 1"),
        rename("bad", "INSERT INTO nowhere VALUES (1)"),
        panics,
        store.append(&batch),
        release,
    );
    assert_eq!(good, Ok(()));
    assert!(matches!(bad, Err(StoreError::Failed(_))), "{bad:?}");
    assert_eq!(panics, Err(StoreError::Failed("a write panicked".to_owned())));
    assert!(message[0].is_ok());
    assert_eq!(store.user(ada).await.unwrap().unwrap().username, "good");
    assert_eq!(count(&store).await, 1);
}

/// The supervisor of the threads is notified, so that the server does not run without a writer.
#[tokio::test]
async fn a_writer_that_panics_after_a_commit_is_missed() {
    let dir = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::default();
    let store = EmbeddedStore::open_with(dir.path(), &Options::default(), &supervisor).unwrap();
    let ada = user(&store, "ada").await;
    let lost = store
        .writer
        .run_then(users::probe_write, |()| panic!("on purpose"))
        .await;
    assert!(matches!(lost, Err(StoreError::Unavailable(_))), "{lost:?}");
    supervisor.stopping().cancelled().await;
    assert_eq!(supervisor.failed(), Some("store-writer"));
    assert!(store.append(&messages(ada, 0..1, 1)).await[0].is_err());
    assert!(store.ping().await.is_err());
    drop(store);
    EmbeddedStore::open(dir.path()).unwrap();
}

#[tokio::test]
async fn a_ping_does_not_wait_for_a_stuck_writer() {
    let (_dir, store) = store();
    let (release, released) = mpsc::channel::<()>();
    let stuck = store.writer.run(move |_| Ok(released.recv().is_err()));
    let ping = async {
        let error = store.ping_within(Duration::from_millis(50)).await.unwrap_err();
        drop(release);
        error
    };
    let (stuck, error) = tokio::join!(biased; stuck, ping);
    assert_eq!(stuck, Ok(true));
    assert_eq!(error, StoreError::Unavailable("no answer within 50ms".to_owned()));
    store.ping().await.unwrap();
}

/// The log is restarted again and again, although a stream stands still in the middle of a conversation.
#[tokio::test]
async fn the_log_stays_short() {
    const PAGES: u64 = 200;
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        log_pages: PAGES,
        ..Options::default()
    };
    let store = EmbeddedStore::open_with(dir.path(), &options, &Supervisor::default()).unwrap();
    let database = dir.path().join("chat.db");
    let ada = user(&store, "ada").await;
    let conversation = Conversation::between(ada, ada);
    let mut stalled = None;
    let began = Instant::now();
    for round in 0..300 {
        let outcomes = store.append(&messages(ada, round * 20..(round + 1) * 20, 400)).await;
        assert!(outcomes.iter().all(Result::is_ok));
        if round == 20 {
            let mut stream = store.history(conversation);
            stream.next().await.unwrap().unwrap();
            stalled = Some(stream);
        }
    }
    // 300 commits of several pages each, a dozen times the limit. The file never shrinks while it is used.
    let log = std::fs::metadata(database.with_extension("db-wal")).unwrap().len() / 4_096;
    assert!(log < 5 * PAGES, "{log} pages after {:?}", began.elapsed());
    let rest: usize = stalled
        .unwrap()
        .map(|chunk| chunk.unwrap().len())
        .collect::<Vec<_>>()
        .await
        .iter()
        .sum();
    assert_eq!(rest, 6_000 - super::store::MAX_CHUNK);
}

/// However long a write takes: what was given up could be committed later, and its caller would not be notified.
#[tokio::test]
async fn writes_wait_for_their_fate() {
    let (_dir, store) = store();
    let ada = user(&store, "ada").await;
    let stored = store.append(&messages(ada, 0..1, 10)).await;
    let committed_position = store.committed_position();
    let (release, released) = mpsc::channel::<()>();
    let batch = messages(ada, 1..4, 10);
    let mark = Mark {
        user: ada,
        peer: ada,
        kind: crate::domain::MarkKind::Read,
        up_to: stored[0].as_ref().unwrap().message.id,
        at: AT,
    };
    let change = SettingsChange {
        invisible: Some(true),
        ..SettingsChange::default()
    };
    let stuck = store.writer.run(move |_| Ok(released.recv().is_err()));
    let marks = [mark];
    let writes = async {
        tokio::join!(
            stuck,
            store.append(&batch),
            store.mark(&marks),
            store.change_settings(ada, change, AT)
        )
    };
    let mut writes = std::pin::pin!(writes);
    tokio::time::pause();
    let hour = tokio::time::timeout(Duration::from_secs(3_600), writes.as_mut());
    assert!(hour.await.is_err(), "they still wait");
    tokio::time::resume();
    assert_eq!(store.committed_position(), committed_position);
    drop(release);
    let (stuck, appended, marked, settings) = writes.await;
    assert_eq!(stuck, Ok(true));
    assert!(appended.iter().all(Result::is_ok) && marked[0].is_ok());
    assert!(settings.unwrap().unwrap().invisible);
    assert_eq!(count(&store).await, 4);
}
