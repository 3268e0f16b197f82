//! Users and messages for the scenarios, and what a store should answer to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::TryStreamExt;
use server::domain::{Bounds, Conversation, End, Mark, MarkKind, Marked, Position};
use server::domain::{ClientMessageId, NewMessage, Text, Username};
use server::storage::size::is_piece;
use server::storage::{AppendError, Appended, MessageStore, ReceiptStore, Store, UserStore};
use shared::{Message, MessageId, Timestamp, UserId};

use crate::engine::Engine;

/// When the scenarios begin.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_795_428_222_886);

/// The moment `millis` milliseconds later.
pub(crate) const fn later(millis: i64) -> Timestamp {
    Timestamp::from_millis(START.millis() + millis)
}

/// A user id that no store has created.
pub(crate) fn nobody() -> UserId {
    UserId::from_bytes([0xee; 12])
}

/// A message id whose order is that of `number`.
pub(crate) fn message_id(number: u64) -> MessageId {
    let mut bytes = [0x6b; 12];
    bytes[4..].copy_from_slice(&number.to_be_bytes());
    MessageId::from_bytes(bytes)
}

pub(crate) fn name(name: &str) -> Username {
    Username::new(name.to_owned()).unwrap()
}

pub(crate) fn names<const N: usize>(texts: [&str; N]) -> [Username; N] {
    texts.map(name)
}

/// Creates `N` users.
pub(crate) async fn people<const N: usize>(store: &dyn UserStore) -> [UserId; N] {
    let names: [_; N] = std::array::from_fn(|index| name(&format!("person {index}")));
    let users = store.create_users(&names, START).await.unwrap();
    std::array::from_fn(|index| users[index].0.id)
}

/// A message as the server mints it: ids and times grow; every three messages share a millisecond.
pub(crate) fn mint(sender: UserId, receiver: UserId, text: &str) -> NewMessage {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    NewMessage {
        id: message_id(number),
        sender,
        receiver,
        text: Text::new(text.to_owned(), usize::MAX).unwrap(),
        client_message_id: None,
        created_at: later(number as i64 / 3),
    }
}

/// The same with times that grow in the order of the calls: an engine may order a feed by them.
pub(crate) fn mint_now(sender: UserId, receiver: UserId, text: &str) -> NewMessage {
    NewMessage {
        created_at: now(),
        ..mint(sender, receiver, text)
    }
}

/// A moment that is never earlier than the one before, and ahead of the engines' clock by less than clocks may differ.
pub(crate) fn now() -> Timestamp {
    static TICKS: AtomicU64 = AtomicU64::new(0);
    later(TICKS.fetch_add(1, Ordering::Relaxed) as i64 / 4)
}

/// The same with a client's id.
pub(crate) fn mint_with(client_id: &str, sender: UserId, receiver: UserId, text: &str) -> NewMessage {
    NewMessage {
        client_message_id: Some(ClientMessageId::new(client_id.to_owned()).unwrap()),
        ..mint(sender, receiver, text)
    }
}

/// The outcome of storing this message for the first time.
pub(crate) fn stored(new: &NewMessage) -> Result<Appended, AppendError> {
    Ok(Appended {
        message: new.to_message(),
        duplicate: false,
    })
}

/// The outcome of a repetition of `first`.
pub(crate) fn repeated(first: &NewMessage) -> Result<Appended, AppendError> {
    Ok(Appended {
        message: first.to_message(),
        duplicate: true,
    })
}

/// Appends messages that must all be new, and returns them as they should be listed.
pub(crate) async fn append_new(store: &dyn MessageStore, batch: &[NewMessage]) -> Vec<Message> {
    let outcomes = store.append(batch).await;
    assert_eq!(outcomes, batch.iter().map(stored).collect::<Vec<_>>());
    batch.iter().map(NewMessage::to_message).collect()
}

/// Up to where a message marks.
pub(crate) fn up_to(user: UserId, peer: UserId, kind: MarkKind, message: MessageId) -> Mark {
    Mark {
        user,
        peer,
        kind,
        up_to: message,
        at: now(),
    }
}

/// Marks, which must succeed.
pub(crate) async fn mark(
    store: &dyn ReceiptStore,
    user: UserId,
    peer: UserId,
    kind: MarkKind,
    message: MessageId,
) -> Marked {
    let outcomes = store.mark(&[up_to(user, peer, kind, message)]).await;
    let [outcome] = <[_; 1]>::try_from(outcomes).unwrap();
    outcome.unwrap()
}

/// Opens the database and waits until inboxes are complete.
pub(crate) async fn open_ready(engine: &dyn Engine) -> Arc<dyn Store> {
    let store = engine.open().await;
    while !store.projection().ready {
        store.ping().await.unwrap();
    }
    store
}

/// The whole conversation, as one page in as many pieces as it takes.
pub(crate) async fn all(store: &dyn MessageStore, conversation: Conversation) -> Vec<Message> {
    let (mut all, mut bounds) = (Vec::new(), Bounds::default());
    loop {
        let piece = store.page(conversation, bounds, End::Oldest, 1_000_000).await.unwrap();
        let ended = !is_piece(&piece);
        bounds.after = piece.last().map(Position::of);
        all.extend(piece);
        if ended {
            return all;
        }
    }
}

/// The whole conversation, as a stream.
pub(crate) async fn streamed(store: &dyn MessageStore, conversation: Conversation) -> Vec<Message> {
    store.history(conversation).try_concat().await.unwrap()
}
