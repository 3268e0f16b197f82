//! The queue of messages on a disk that hangs as long as a test wants: what becomes of a batch, and who is let in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use shared::{ErrorCode, MessageId, UserId, WireError};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::chat::{AppendOutcome, Backlog, Committer, Error, Limits, NotStored, SubmitError};
use crate::delivery::{Buffered, DeliveryWatermark};
use crate::domain::{Change, ClientMessageId, Cursor};
use crate::storage::sqlite::EmbeddedStore;
use crate::storage::sqlite::tests::fixture::{Hang, count, hang, messages, store, user};
use crate::storage::{FeedStore, Store};
use crate::supervisor::Supervisor;

const LIMITS: Limits = Limits {
    messages: 1_000,
    bytes: 16 * 1024 * 1024,
};

/// What the queue said of a message, and the cursor of whoever would have been told of it then.
struct Told {
    committed: AppendOutcome<&'static str>,
    cursor: Cursor,
}

/// A store with its queue.
struct Chat {
    _dir: tempfile::TempDir,
    store: Arc<EmbeddedStore>,
    watermark: Arc<DeliveryWatermark>,
    committer: Committer<&'static str>,
    told: UnboundedReceiver<Told>,
    minted: AtomicU64,
}

impl Chat {
    fn start(backlog: impl Fn(UserId) -> Buffered + Send + Sync + 'static, buffered: Arc<AtomicUsize>) -> Self {
        let (dir, store) = store();
        let store = Arc::new(store);
        let watermark = DeliveryWatermark::new(Arc::clone(&store) as Arc<dyn Store>);
        let (tell, told) = unbounded_channel();
        let cursors = Arc::clone(&watermark);
        let settle = move |committed: AppendOutcome<&'static str>| {
            if let (true, Ok(appended)) = (committed.deliver, &committed.outcome) {
                let text = appended.message.message.as_ref().unwrap();
                buffered.fetch_add(text.len(), Ordering::Relaxed);
            }
            let cursor = cursors.cursor();
            tell.send(Told { committed, cursor }).unwrap();
        };
        let backlog: Backlog = Arc::new(backlog);
        let parts = Supervisor::default();
        let stored_in = Arc::clone(&store) as Arc<dyn Store>;
        let committer = Committer::start(stored_in, &watermark, LIMITS, backlog, &parts, settle);
        Self {
            _dir: dir,
            store,
            watermark,
            committer,
            told,
            minted: AtomicU64::new(0),
        }
    }

    fn unbuffered() -> Self {
        Self::start(|_| Buffered::default(), Arc::default())
    }

    async fn hang(&self) -> Hang {
        hang(&self.store).await
    }

    fn send(&self, from: UserId, to: UserId, id: &str, bytes: usize) -> Result<(), SubmitError> {
        let mut message = messages(from, 0..1, bytes).remove(0);
        let mut bytes = [0; 12];
        bytes[4..].copy_from_slice(&self.minted.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        message.id = MessageId::from_bytes(bytes);
        message.receiver = to;
        message.client_message_id = Some(ClientMessageId::new(id.to_owned()).unwrap());
        self.committer.submit(message, "reply").map_err(|(refused, _)| refused)
    }

    async fn told(&mut self) -> Told {
        self.told.recv().await.unwrap()
    }

    async fn texts(&self, user: UserId, since: &Cursor) -> Vec<MessageId> {
        let changes = self.store.changes(user, since, 100).await.unwrap().changes;
        let messages = changes.into_iter().filter_map(|change| match change {
            Change::Message(message) => Some(message.id),
            _ => None,
        });
        messages.collect()
    }
}

fn is_unavailable(told: &Told) -> bool {
    let unavailable =
        |failure: &NotStored| WireError::from(Error::NotStored(failure.clone())).code == ErrorCode::StoreUnavailable;
    told.committed.outcome.as_ref().is_err_and(unavailable)
}

/// The id of what was stored, whether it was stored before, whether people are told, and whether the sender is.
fn stored(told: &Told) -> (MessageId, bool, bool, bool) {
    let AppendOutcome {
        outcome,
        deliver,
        reply,
        ..
    } = &told.committed;
    let appended = outcome.as_ref().unwrap();
    (appended.message.id, appended.duplicate, *deliver, reply.is_some())
}

#[tokio::test]
async fn what_is_stored_late_is_told_late_and_no_cursor_goes_past_it() {
    let mut chat = Chat::unbuffered();
    let [ada, bob, eve] = [
        user(&chat.store, "ada").await,
        user(&chat.store, "bob").await,
        user(&chat.store, "eve").await,
    ];
    let before = chat.watermark.cursor();
    let hang = chat.hang().await;
    tokio::time::pause();
    chat.send(ada, bob, "late", 10).unwrap();
    // It is with the store before the next one comes, which waits.
    tokio::task::yield_now().await;
    chat.send(eve, bob, "waits", 10).unwrap();
    for _ in 0..2 {
        let told = chat.told().await;
        assert!(is_unavailable(&told) && !told.committed.deliver && told.committed.reply.is_some());
    }
    // Further ones are refused sooner, and all are answered.
    chat.send(ada, bob, "late", 10).unwrap();
    assert!(is_unavailable(&chat.told().await));
    tokio::time::resume();

    drop(hang);
    let late = chat.told().await;
    let (id, duplicate, deliver, answered) = stored(&late);
    assert_eq!((duplicate, deliver, answered), (false, true, false));
    assert_eq!(
        chat.texts(bob, &late.cursor).await,
        [id],
        "a cursor of that moment is before it"
    );
    // The sender repeats what was called unavailable: nobody is told of it twice.
    chat.send(ada, bob, "late", 10).unwrap();
    assert_eq!(stored(&chat.told().await), (id, true, false, true));
    // What waited was never stored.
    chat.send(eve, bob, "waits", 10).unwrap();
    let again = chat.told().await;
    let (second, duplicate, deliver, answered) = stored(&again);
    assert_eq!((duplicate, deliver, answered), (false, true, true));
    assert_eq!(chat.texts(bob, &before).await, [id, second]);
    assert_eq!(count(&chat.store).await, 2);
    chat.committer.stop().await;
    assert_eq!(chat.send(ada, bob, "stopped", 10), Err(SubmitError::Stopping));
}

#[tokio::test]
async fn a_flood_refuses_and_delays_nobody_else() {
    let mut chat = Chat::unbuffered();
    let [flooder, bob, eve] = [
        user(&chat.store, "flooder").await,
        user(&chat.store, "bob").await,
        user(&chat.store, "eve").await,
    ];
    let hang = chat.hang().await;
    let taken = (0..LIMITS.messages * 2).filter(|index| chat.send(flooder, bob, &format!("{index}"), 100).is_ok());
    assert_eq!(taken.count(), LIMITS.messages / 2);
    for index in 0..34 {
        chat.send(eve, bob, &format!("{index}"), 100).unwrap();
    }
    drop(hang);
    let mut heard = (0, 0);
    while heard.1 < 34 {
        let told = chat.told().await;
        match told.committed.outcome.unwrap().message.sender {
            Some(sender) if sender == flooder => heard.0 += 1,
            _ => heard.1 += 1,
        }
    }
    assert!(heard.0 <= 100, "{} of the flood came before", heard.0);
}

#[tokio::test]
async fn a_flood_leaves_room_in_the_buffer_of_its_receiver() {
    const BUFFER: usize = 1024 * 1024;
    let buffered = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&buffered);
    // A receiver who reads nothing.
    let backlog = move |_| Buffered {
        bytes: counted.load(Ordering::Relaxed),
        connections: 1,
    };
    let mut chat = Chat::start(backlog, Arc::clone(&buffered));
    let [flooder, bob, eve] = [
        user(&chat.store, "flooder").await,
        user(&chat.store, "bob").await,
        user(&chat.store, "eve").await,
    ];
    let mut refused = 0;
    for index in 0..1_000 {
        chat.send(flooder, bob, &format!("{index}"), 4_000).unwrap();
        if let Err(why) = chat.told().await.committed.outcome {
            assert_eq!(why, NotStored::Refused(SubmitError::ReceiverFull));
            let error = WireError::from(Error::NotStored(why));
            assert!(error.code == ErrorCode::Overloaded && error.retry_after_ms.is_some());
            refused += 1;
        }
    }
    assert!(refused > 800, "{refused}");
    for index in 0..34 {
        chat.send(eve, bob, &format!("{index}"), 4_000).unwrap();
        let (_, _, deliver, _) = stored(&chat.told().await);
        assert!(deliver);
    }
    assert!(buffered.load(Ordering::Relaxed) < BUFFER);
    // All was read.
    buffered.store(0, Ordering::Relaxed);
    chat.send(flooder, bob, "again", 4_000).unwrap();
    stored(&chat.told().await);
}
