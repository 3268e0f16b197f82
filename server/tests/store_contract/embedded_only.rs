//! What only the embedded engine promises: its directory and its file.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use server::domain::Conversation;
use server::storage::sqlite::EmbeddedStore;
use server::storage::{
    AppendError, InboxStore, MessageStore, PresenceChange, PresenceStore, Store, StoreError, UserStore,
};

use crate::data::{START, all, mint, people};
use crate::engine::open_embedded;

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
    assert_eq!(names, ["chat.db", "chat.db-shm", "chat.db-wal", "known.json", "lock"]);

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

/// A file system in memory, until this is dropped.
struct SmallDisk<'a>(&'a Path);

impl SmallDisk<'_> {
    fn mount(&self, options: &str) {
        let mut mount = Command::new("mount");
        let mount = mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(self.0);
        assert!(mount.status().unwrap().success());
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let umount = Command::new("umount").arg("--lazy").arg(self.0).status();
        assert!(umount.is_ok_and(|status| status.success()));
    }
}

/// What is acknowledged is stored, and nothing else, also where the kernel is who has no room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "mounts a file system, which only root may do"]
async fn a_full_disk_loses_nothing_and_heals() {
    let dir = tempfile::tempdir().unwrap();
    let disk = SmallDisk(dir.path());
    disk.mount("size=8m");
    let store = open_embedded(dir.path(), START);
    let [ada, bob] = people(&store).await;
    let text = "x".repeat(2_000);
    let mut stored = Vec::new();
    // Fills it, then continues to knock.
    let mut refused = 0;
    while refused < 20 {
        let batch: Vec<_> = (0..50).map(|_| mint(ada, bob, &text)).collect();
        for outcome in store.append(&batch).await {
            match outcome {
                Ok(appended) => stored.push(appended.message),
                Err(AppendError::Store(StoreError::Unavailable(_))) => refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
    }
    let conversation = Conversation::between(ada, bob);
    assert!(!stored.is_empty());
    assert!(all(&store, conversation).await == stored);

    disk.mount("remount,size=64m");
    store.ping().await.unwrap();
    let batch: Vec<_> = (0..500).map(|_| mint(ada, bob, &text)).collect();
    for outcome in store.append(&batch).await {
        stored.push(outcome.unwrap().message);
    }
    assert!(all(&store, conversation).await == stored);
    // The projection tries again by itself.
    let inbox = loop {
        if let Ok(inbox) = store.inbox(bob, None, 10).await {
            break inbox;
        }
    };
    assert_eq!(inbox.len(), 1);
    let unread = store.total_unread(bob, 1_000_000).await.unwrap();
    assert_eq!(unread as usize, stored.len());
    drop(store);
    let store = EmbeddedStore::open(dir.path()).unwrap();
    assert!(all(&store, conversation).await == stored);
    drop(store);
}
