//! A store in a directory of its own with users and messages, and a disk that hangs as long as a test wants. Tests of
//! what uses a store, as those of [`crate::chat`], begin with it, too.

use std::sync::{Arc, mpsc};

use rusqlite::Connection;
use shared::{MessageId, Timestamp, UserId};
use tokio::sync::oneshot;

use crate::domain::{NewMessage, Text, Username};
use crate::storage::UserStore;
use crate::storage::sqlite::{EmbeddedStore, Options};
use crate::supervisor::Supervisor;

/// When the tests begin.
pub(crate) const AT: Timestamp = Timestamp::from_millis(1_795_428_222_886);

/// A new store, and its directory.
pub(crate) fn store() -> (tempfile::TempDir, EmbeddedStore) {
    let dir = tempfile::tempdir().unwrap();
    // The messages of the tests are no older than that.
    let options = Options {
        now: AT,
        ..Options::default()
    };
    let store = EmbeddedStore::open_with(dir.path(), &options, &Supervisor::default()).unwrap();
    (dir, store)
}

/// Creates a user.
pub(crate) async fn user(store: &EmbeddedStore, name: &str) -> UserId {
    let name = Username::new(name.to_owned()).unwrap();
    store.create_users(&[name], AT).await.unwrap()[0].0.id
}

/// Messages of a user to the same one, with these numbers in their ids and texts of so many bytes.
pub(crate) fn messages(user: UserId, numbers: std::ops::Range<u64>, bytes: usize) -> Vec<NewMessage> {
    let message = |number: u64| {
        let mut id = [0; 12];
        id[4..].copy_from_slice(&number.to_be_bytes());
        NewMessage {
            id: MessageId::from_bytes(id),
            sender: user,
            receiver: user,
            text: Text::new("x".repeat(bytes), usize::MAX).unwrap(),
            client_message_id: None,
            created_at: AT,
        }
    };
    numbers.map(message).collect()
}

/// How many messages are stored.
pub(crate) async fn count(store: &EmbeddedStore) -> i64 {
    let count = |connection: &Connection| connection.query_row("SELECT count(*) FROM messages", [], |row| row.get(0));
    store.readers.run(count).await.unwrap()
}

/// The writer stands still until this is dropped.
pub(crate) struct Hang(#[expect(dead_code, reason = "dropping it is what counts")] mpsc::Sender<()>);

/// Makes the disk hang.
pub(crate) async fn hang(store: &Arc<EmbeddedStore>) -> Hang {
    let (release, released) = mpsc::channel::<()>();
    let (begun, begins) = oneshot::channel();
    let begun = parking_lot::Mutex::new(Some(begun));
    let store = Arc::clone(store);
    tokio::spawn(async move {
        let job = move |_: &Connection| {
            if let Some(begun) = begun.lock().take() {
                begun.send(()).unwrap();
            }
            Ok(released.recv().is_err())
        };
        store.writer.run(job).await
    });
    begins.await.unwrap();
    Hang(release)
}
