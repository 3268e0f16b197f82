//! Databases that have less than they once had: refused, and left as they are.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::known::Known;
use super::*;

const MESSAGES: i64 = 300;

/// The files of a database with messages in its log, as a `kill -9` leaves them.
async fn killed() -> (tempfile::TempDir, UserId, Cursor) {
    let (dir, store) = store();
    let ada = user(&store, "ada").await;
    for first in (0..MESSAGES.unsigned_abs()).step_by(50) {
        let outcomes = store.append(&messages(ada, first..first + 50, 500)).await;
        assert!(outcomes.iter().all(Result::is_ok));
    }
    let cursor = store.cursor(store.committed_position());
    let copy = tempfile::tempdir().unwrap();
    // What is known is kept once a second.
    let kept = || Known::read(dir.path()).is_some_and(|known| known.messages == MESSAGES);
    while !kept() {
        tokio::task::yield_now().await;
    }
    for file in ["chat.db", "chat.db-wal", "chat.db-shm", "known.json"] {
        fs::copy(dir.path().join(file), copy.path().join(file)).unwrap();
    }
    (copy, ada, cursor)
}

/// The same after an orderly stop: there is no log.
async fn stopped() -> (tempfile::TempDir, UserId, Cursor) {
    let (dir, ada, cursor) = killed().await;
    EmbeddedStore::open(dir.path()).unwrap().close(AT).await.unwrap();
    assert!(!dir.path().join("chat.db-wal").exists());
    (dir, ada, cursor)
}

fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(dir).unwrap().map(Result::unwrap);
    let content = |file: fs::DirEntry| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap());
    files.map(content).filter(|(name, _)| name != "lock").collect()
}

fn cut(path: &Path, length: impl Fn(u64) -> u64) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(length(file.metadata().unwrap().len())).unwrap();
}

fn flip(path: &Path, offset: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[offset..offset + 16].iter_mut().for_each(|byte| *byte ^= 0xff);
    fs::write(path, bytes).unwrap();
}

/// Refused with the numbers and what to do, more than once, and nothing is changed by that.
fn refused(dir: &Path, words: &[&str]) {
    let before = contents(dir);
    for _ in 0..2 {
        let StoreError::Failed(text) = EmbeddedStore::open(dir).unwrap_err() else {
            panic!("not Failed")
        };
        for word in words {
            assert!(text.contains(word), "{word:?} is not in: {text}");
        }
        let after = contents(dir);
        let names = before.keys().chain(after.keys());
        let changed = names.filter(|name| before.get(*name) != after.get(*name));
        assert_eq!(changed.collect::<Vec<_>>(), Vec::<&String>::new(), "{text}");
    }
}

async fn accepted(dir: &Path, ada: UserId, lost: &Cursor) {
    let options = Options {
        accept_loss: true,
        ..Options::default()
    };
    let store = EmbeddedStore::open_with(dir, &options, &Supervisor::default()).unwrap();
    assert!(count(&store).await < MESSAGES);
    // A client that has seen what is gone begins again, and does not miss what comes in its place.
    let reset = store.changes(ada, lost, 10).await;
    assert!(matches!(reset, Err(ChangesError::Reset(_))), "{reset:?}");
    drop(store);
    // Once is enough.
    EmbeddedStore::open(dir).unwrap();
}

#[tokio::test]
async fn a_kill_loses_nothing() {
    let (dir, ..) = killed().await;
    let store = EmbeddedStore::open(dir.path()).unwrap();
    assert_eq!(count(&store).await, MESSAGES);
    drop(store);
    let (dir, ..) = stopped().await;
    assert_eq!(count(&EmbeddedStore::open(dir.path()).unwrap()).await, MESSAGES);
}

#[tokio::test]
async fn a_log_that_was_cut_emptied_removed_or_flipped_is_refused() {
    let damages: [fn(&Path); 5] = [
        |log| cut(log, |length| length / 2),
        |log| cut(log, |_| 0),
        |log| fs::remove_file(log).unwrap(),
        |log| flip(log, fs::metadata(log).unwrap().len() as usize / 2),
        |log| flip(log, 0),
    ];
    for damage in damages {
        let (dir, ada, cursor) = killed().await;
        damage(&dir.path().join("chat.db-wal"));
        refused(dir.path(), &["300 changes", "--accept-loss"]);
        accepted(dir.path(), ada, &cursor).await;
    }
}

#[tokio::test]
async fn a_database_that_was_emptied_or_removed_is_refused() {
    for damage in [
        |path: &Path| cut(path, |_| 0),
        |path: &Path| fs::remove_file(path).unwrap(),
    ] {
        let (dir, ada, cursor) = killed().await;
        damage(&dir.path().join("chat.db"));
        refused(
            dir.path(),
            &["it is empty or missing", "at least 300 changes", "--accept-loss"],
        );
        // Also where nothing was stored beside it, for the log is there; SQLite would delete it.
        fs::remove_file(dir.path().join("known.json")).unwrap();
        refused(
            dir.path(),
            &["it is empty or missing", "there is a log of", "--accept-loss"],
        );
        accepted(dir.path(), ada, &cursor).await;
    }
}

#[tokio::test]
async fn another_database_is_refused() {
    let (dir, ..) = stopped().await;
    let (other, _) = (tempfile::tempdir().unwrap(), ());
    drop(EmbeddedStore::open(other.path()).unwrap());
    fs::copy(other.path().join("chat.db"), dir.path().join("chat.db")).unwrap();
    refused(
        dir.path(),
        &["another database, which has 0 changes", "at least 300 changes"],
    );

    // One of another program stays as it is.
    let foreign = dir.path().join("chat.db");
    fs::remove_file(&foreign).unwrap();
    let connection = Connection::open(&foreign).unwrap();
    connection.execute_batch("CREATE TABLE recipes (text)").unwrap();
    drop(connection);
    refused(dir.path(), &["of another program"]);
    let mode: String = Connection::open(&foreign)
        .unwrap()
        .query_row("PRAGMA journal_mode", [], |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "delete");
}

#[tokio::test]
async fn a_damaged_database_is_refused() {
    let (dir, ..) = stopped().await;
    let database = dir.path().join("chat.db");
    let whole = fs::read(&database).unwrap();
    cut(&database, |length| length / 2);
    refused(dir.path(), &["is damaged", "backup"]);
    fs::write(&database, &whole).unwrap();
    flip(&database, 0);
    refused(dir.path(), &["is damaged", "not a database"]);

    // Inside, only a reading of the whole shows it.
    fs::write(&database, &whole).unwrap();
    for page in 10..whole.len() / 4_096 {
        flip(&database, page * 4_096);
    }
    let options = Options {
        check: true,
        ..Options::default()
    };
    let before = contents(dir.path());
    let Err(StoreError::Failed(text)) = EmbeddedStore::open_with(dir.path(), &options, &Supervisor::default()) else {
        panic!("it was not refused as damaged");
    };
    for word in ["chat.db is damaged", "Put a backup in its place", "What was found"] {
        assert!(text.contains(word), "{word:?} is not in: {text}");
    }
    assert!(!text.contains('\n'), "{text}");
    assert_eq!(text.matches("backup").count(), 1, "{text}");
    assert!(contents(dir.path()) == before, "something was changed");
    fs::write(&database, &whole).unwrap();
    EmbeddedStore::open_with(dir.path(), &options, &Supervisor::default()).unwrap();
}

/// What came after something was kept is known from what the dead process left in memory.
#[tokio::test]
async fn a_log_that_lost_its_last_moment_is_refused() {
    let as_of = |dir: &Path, messages: i64, boot: Option<String>| {
        let known = Known::read(dir).unwrap();
        let earlier = Known {
            messages,
            changes: messages,
            boot: boot.or(known.boot.clone()),
            ..known
        };
        earlier.write(dir).unwrap();
    };
    let (dir, ada, cursor) = killed().await;
    as_of(dir.path(), 100, None);
    assert_eq!(count(&EmbeddedStore::open(dir.path()).unwrap()).await, MESSAGES);

    // One page of the last commit.
    let cut_a_page = |dir: &Path| cut(&dir.join("chat.db-wal"), |length| length - 4_096 - 24);
    let (dir, ..) = killed().await;
    as_of(dir.path(), 100, None);
    cut_a_page(dir.path());
    refused(
        dir.path(),
        &["Expected: a log", "the database has 250 changes", "--accept-loss"],
    );
    accepted(dir.path(), ada, &cursor).await;

    // After a restart of the machine nothing is known of it.
    let (dir, ..) = killed().await;
    as_of(dir.path(), 100, Some("another".to_owned()));
    cut_a_page(dir.path());
    assert_eq!(count(&EmbeddedStore::open(dir.path()).unwrap()).await, 250);
}

/// What was stored beside it must not prevent a healthy database from being opened.
#[tokio::test]
async fn a_file_beside_it_that_is_damaged_or_missing_is_no_loss() {
    let (dir, ..) = stopped().await;
    let known = dir.path().join("known.json");
    fs::write(&known, "{").unwrap();
    drop(EmbeddedStore::open(dir.path()).unwrap());
    fs::remove_file(&known).unwrap();
    drop(EmbeddedStore::open(dir.path()).unwrap());
    assert_eq!(Known::read(dir.path()).unwrap().messages, MESSAGES);
}
