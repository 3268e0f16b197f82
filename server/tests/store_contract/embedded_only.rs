//! What only the embedded engine promises: its directory and its file.

use std::os::unix::fs::PermissionsExt;

use server::store::embedded::EmbeddedStore;
use server::store::{PresenceChange, Store, StoreError};

use crate::data::{START, people};

#[tokio::test]
async fn a_directory_belongs_to_one_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(dir.path()).unwrap();
    let error = EmbeddedStore::open(dir.path()).unwrap_err();
    let text = format!("{} is in use by another process", dir.path().display());
    assert_eq!(error, StoreError::Unavailable(text));
    store.ping().await.unwrap();

    store.close(START).await.unwrap();
    let second = EmbeddedStore::open(dir.path()).unwrap();
    drop(second);
    EmbeddedStore::open(dir.path()).unwrap();
}

#[tokio::test]
async fn files_are_for_their_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/new/directory");
    let store = EmbeddedStore::open(&path).unwrap();
    people::<1>(&store).await;
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.clone()), 0o700);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&path).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(mode(entry.path()), 0o600, "{:?}", entry.path());
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["chat.db", "chat.db-shm", "chat.db-wal", "lock"]);

    store.close(START).await.unwrap();
    // The log is part of the database now.
    assert!(!path.join("chat.db-wal").exists());
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(EmbeddedStore::open(dir.path()).unwrap());
    let database = rusqlite::Connection::open(dir.path().join("chat.db")).unwrap();
    database.pragma_update(None, "user_version", 1_000).unwrap();

    let StoreError::Failed(text) = EmbeddedStore::open(dir.path()).unwrap_err() else {
        panic!("not Failed")
    };
    assert!(text.starts_with(&dir.path().display().to_string()), "{text}");
    assert!(text.contains("newer version") && text.contains("1000"), "{text}");
    let version: i64 = database.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(version, 1_000);
}

#[tokio::test]
async fn what_is_no_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("chat.db");
    std::fs::write(&file, "these are not the bytes of a database, but a text").unwrap();
    assert!(matches!(EmbeddedStore::open(dir.path()), Err(StoreError::Failed(_))));
    assert!(matches!(EmbeddedStore::open(&file), Err(StoreError::Unavailable(_))));
}

/// Without waiting for a lease: the directory's lock proves that the other process is gone.
#[tokio::test]
async fn opening_takes_everyone_offline_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(dir.path()).unwrap();
    let [ada] = people(&store).await;
    let online = PresenceChange {
        user: ada,
        online: true,
        at: START,
    };
    store.set_presence(&[online]).await.unwrap();
    drop(store);
    let store = EmbeddedStore::open(dir.path()).unwrap();
    let user = store.user(ada).await.unwrap().unwrap();
    assert_eq!((user.is_online, user.last_seen), (false, Some(START)));
}
