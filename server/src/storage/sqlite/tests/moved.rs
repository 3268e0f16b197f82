//! Files that are deleted, moved or replaced while they are open: nothing is acknowledged that no path leads to.

use std::fs;
use std::path::Path;

use super::*;

/// A store in a directory that can be moved.
fn movable() -> (tempfile::TempDir, std::path::PathBuf, EmbeddedStore) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    let store = EmbeddedStore::open(&path).unwrap();
    (dir, path, store)
}

async fn refuses(store: &EmbeddedStore, batch: &[NewMessage], path: &Path) {
    let error = store.ping().await.unwrap_err();
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    for outcome in store.append(batch).await {
        assert_eq!(outcome, Err(AppendError::Store(error.clone())));
    }
}

#[tokio::test]
async fn a_deleted_directory_is_noticed_by_the_next_write() {
    let (_dir, path, store) = movable();
    let ada = user(&store, "ada").await;
    assert!(store.append(&messages(ada, 0..10, 10)).await.iter().all(Result::is_ok));
    fs::remove_dir_all(&path).unwrap();
    refuses(&store, &messages(ada, 10..20, 10), &path).await;
    // What is there can still be read.
    assert_eq!(count(&store).await, 10);
    let closed = store.close(AT).await;
    assert!(matches!(closed, Err(StoreError::Unavailable(_))), "{closed:?}");
    assert!(!path.exists(), "it is not made anew");
}

#[tokio::test]
async fn a_directory_that_comes_back_heals() {
    let (dir, path, store) = movable();
    let ada = user(&store, "ada").await;
    assert!(store.append(&messages(ada, 0..10, 10)).await.iter().all(Result::is_ok));
    let away = dir.path().join("away");
    fs::rename(&path, &away).unwrap();
    refuses(&store, &messages(ada, 10..20, 10), &path).await;
    // Another database in its place is not taken for it.
    let other = EmbeddedStore::open(&path).unwrap();
    refuses(&store, &messages(ada, 10..20, 10), &path).await;
    other.close(AT).await.unwrap();
    fs::remove_dir_all(&path).unwrap();

    fs::rename(&away, &path).unwrap();
    store.ping().await.unwrap();
    assert!(store.append(&messages(ada, 10..20, 10)).await.iter().all(Result::is_ok));
    drop(store);
    let store = EmbeddedStore::open(&path).unwrap();
    assert_eq!(count(&store).await, 20);
}

/// The moment that no check before the commit can cover.
#[tokio::test]
async fn a_commit_into_a_moved_directory_is_not_acknowledged_before_it_is_back() {
    let (dir, path, store) = movable();
    let ada = user(&store, "ada").await;
    let away = dir.path().join("away");
    let committed_position = store.committed_position();
    // Holds the writer until the other two wait, which are then one transaction.
    let (release, gate) = std::sync::mpsc::channel();
    let gated = store.writer.run(move |_| Ok(gate.recv().is_ok()));
    // Moved in the middle of the transaction.
    let (from, to) = (path.clone(), away.clone());
    let moved = store.writer.run(move |_| Ok(fs::rename(&from, &to).is_ok()));
    let batch = messages(ada, 0..3, 10);
    let append = store.append(&batch);
    let back = async {
        release.send(()).unwrap();
        // It is committed now, and whatever comes is refused.
        while store.ping().await.is_ok() || count(&store).await < 3 {
            tokio::task::yield_now().await;
        }
        assert_eq!(
            store.committed_position(),
            committed_position,
            "no cursor comes after it"
        );
        fs::rename(&away, &path).unwrap();
    };
    let (gated, moved, outcomes, ()) = tokio::join!(biased; gated, moved, append, back);
    assert_eq!((gated, moved), (Ok(true), Ok(true)));
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(store.committed_position(), committed_position + 3);
}

/// What was acknowledged is in the database file although its log is gone, also if the process is killed then.
#[tokio::test]
async fn a_deleted_log_is_copied_into_the_database_before_it_is_lost() {
    let (dir, path, store) = movable();
    let ada = user(&store, "ada").await;
    assert!(store.append(&messages(ada, 0..10, 10)).await.iter().all(Result::is_ok));
    fs::remove_file(path.join("chat.db-wal")).unwrap();
    refuses(&store, &messages(ada, 10..20, 10), &path.join("chat.db-wal")).await;
    // As a kill would leave it.
    let copy = dir.path().join("copy");
    fs::create_dir(&copy).unwrap();
    for file in ["chat.db", "known.json"] {
        fs::copy(path.join(file), copy.join(file)).unwrap();
    }
    let copied = EmbeddedStore::open(&copy).unwrap();
    assert_eq!(count(&copied).await, 10);
    drop(store);
    let store = EmbeddedStore::open(&path).unwrap();
    assert_eq!(count(&store).await, 10);
}
