//! The durable write of a batch: one unordered insert, the same again until it is known what became of every message.
//!
//! Ids and times were minted before, so an attempt whose answer was lost can be repeated: a message that it stored
//! comes back as a duplicate key. A duplicate key tells only that this primary has the document, not that it will
//! last; so what it stands for is read at read concern `majority` before it is answered. Should it be gone by then,
//! because a new primary took over without it, the message is simply inserted again.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use bson::oid::ObjectId;
use bson::raw::RawDocumentBuf;
use bson::{Bson, doc};
use mongodb::error::{ErrorKind, IndexedWriteError};
use mongodb::options::{CollectionOptions, ReadConcern};
use mongodb::{Collection, Database};
use parking_lot::Mutex;
use shared::{Message, MessageId, UserId};
use tokio::time::Instant;

use super::document::{self, CLIENT_MESSAGE_ID, user_key};
use super::error::{Backoff, DUPLICATE_KEY, bounded, passes, retrying, store_error, write_error};
use super::{WRITE, connect};
use crate::chat::NewMessage;
use crate::store::{AppendError, Appended, StoreError};

/// How long a batch is tried. Longer than an election takes.
const COMMIT: Duration = Duration::from_secs(20);
/// How many receivers are remembered; 12 bytes each.
const KNOWN: usize = 65_536;
/// How often a duplicate key may have no document behind it, before some other program's unique index is blamed.
const VANISHED: u8 = 3;

type Outcome = Result<Appended, AppendError>;

/// Writes messages.
pub(super) struct Appender {
    messages: Collection<RawDocumentBuf>,
    durable: Collection<RawDocumentBuf>,
    users: Collection<RawDocumentBuf>,
    /// Receivers that exist, so that most batches need not ask; users are never deleted here. Emptied when full.
    known: Mutex<HashSet<UserId>>,
}

/// A message whose outcome is not known yet.
struct Pending {
    index: usize,
    vanished: u8,
}

impl Appender {
    pub(super) fn new(database: &Database) -> Self {
        let majority = CollectionOptions::builder()
            .read_concern(ReadConcern::majority())
            .build();
        Self {
            messages: database.collection(connect::MESSAGES),
            durable: database.collection_with_options(connect::MESSAGES, majority),
            users: database.collection(connect::USERS),
            known: Mutex::default(),
        }
    }

    /// See [`crate::store::Store::append`].
    pub(super) async fn append(&self, batch: &[NewMessage]) -> Vec<Outcome> {
        let deadline = Instant::now() + COMMIT;
        let unknown = match self.unknown_receivers(batch, deadline).await {
            Ok(unknown) => unknown,
            Err(error) => return batch.iter().map(|_| Err(error.clone().into())).collect(),
        };
        let mut outcomes: Vec<Option<Outcome>> = batch
            .iter()
            .map(|new| {
                unknown
                    .contains(&new.receiver)
                    .then_some(Err(AppendError::UnknownReceiver))
            })
            .collect();
        let mut pending: Vec<Pending> = (0..batch.len())
            .filter(|index| outcomes[*index].is_none())
            .map(|index| Pending { index, vanished: 0 })
            .collect();
        let documents: Vec<RawDocumentBuf> = batch.iter().map(document::encode).collect();

        let mut backoff = Backoff::default();
        while !pending.is_empty() {
            let attempt = self
                .attempt(batch, &documents, &mut pending, &mut outcomes, deadline)
                .await;
            match attempt {
                Err(error @ StoreError::Failed(_)) => fail(&mut pending, &mut outcomes, &error),
                Err(error) if Instant::now() >= deadline => fail(&mut pending, &mut outcomes, &error),
                Err(_) => backoff.pause().await,
                Ok(()) => {}
            }
        }
        outcomes
            .into_iter()
            .map(|outcome| outcome.expect("no message is pending"))
            .collect()
    }

    /// Inserts what is pending and settles what can be settled. After `Ok` nothing is pending; an error is the
    /// reason why something still is.
    async fn attempt(
        &self,
        batch: &[NewMessage],
        documents: &[RawDocumentBuf],
        pending: &mut Vec<Pending>,
        outcomes: &mut [Option<Outcome>],
        deadline: Instant,
    ) -> Result<(), StoreError> {
        let mut failures = self.insert(documents, pending, deadline).await?;
        let mut doubtful = Vec::new();
        let mut cause = None;
        let mut position = 0;
        pending.retain_mut(|message| {
            let new = &batch[message.index];
            let failure = failures.remove(&position);
            position += 1;
            let Some(failure) = failure else {
                let message_stored = new.to_message();
                outcomes[message.index] = Some(Ok(Appended {
                    message: message_stored,
                    duplicate: false,
                }));
                return false;
            };
            let text = write_error(failure.code, &failure.message);
            if failure.code == DUPLICATE_KEY && message.vanished < VANISHED {
                doubtful.push(new);
                cause = Some(StoreError::Unavailable(text));
                return true;
            }
            if passes(failure.code) {
                cause = Some(StoreError::Unavailable(text));
                return true;
            }
            outcomes[message.index] = Some(Err(StoreError::Failed(text).into()));
            false
        });

        if !doubtful.is_empty() {
            let asked: HashSet<MessageId> = doubtful.iter().map(|new| new.id).collect();
            let originals = self.originals(&doubtful, deadline).await?;
            pending.retain_mut(|message| {
                let new = &batch[message.index];
                let settled = asked.contains(&new.id).then(|| originals.settle(new)).flatten();
                message.vanished += u8::from(settled.is_none() && asked.contains(&new.id));
                let is_pending = settled.is_none();
                if !is_pending {
                    outcomes[message.index] = settled;
                }
                is_pending
            });
        }
        match (pending.is_empty(), cause) {
            (false, Some(cause)) => Err(cause),
            _ => Ok(()),
        }
    }

    /// Inserts the pending documents. `Ok` holds the failures by their place among them, and everything else is
    /// durable; after an error nothing is known of any.
    async fn insert(
        &self,
        documents: &[RawDocumentBuf],
        pending: &[Pending],
        deadline: Instant,
    ) -> Result<HashMap<usize, IndexedWriteError>, StoreError> {
        let insert = self
            .messages
            .insert_many(pending.iter().map(|message| &documents[message.index]))
            .ordered(false);
        let inserting = async { Ok(insert.await) };
        let Err(error) = bounded("storing messages", remaining(deadline), inserting).await? else {
            return Ok(HashMap::new());
        };
        match error.kind.as_ref() {
            ErrorKind::InsertMany(failed) => match (&failed.write_concern_error, &failed.write_errors) {
                (None, Some(errors)) => Ok(errors.iter().map(|error| (error.index, error.clone())).collect()),
                (Some(concern), _) => Err(StoreError::Unavailable(format!(
                    "messages are not durable yet: error {} ({})",
                    concern.code, concern.code_name
                ))),
                (None, None) => Err(store_error(&error)),
            },
            _ => Err(store_error(&error)),
        }
    }

    /// Reads what stands behind duplicate keys, as a majority has it.
    async fn originals(&self, doubtful: &[&NewMessage], deadline: Instant) -> Result<Originals, StoreError> {
        let ids: Vec<ObjectId> = doubtful
            .iter()
            .map(|new| ObjectId::from_bytes(new.id.bytes()))
            .collect();
        let mut branches = vec![doc! { "_id": { "$in": ids } }];
        branches.extend(doubtful.iter().filter_map(|new| {
            let id = new.client_message_id.as_ref()?.as_str();
            // The type is named, because the partial index holds texts only and is used only if the query says so.
            Some(doc! { CLIENT_MESSAGE_ID: { "$eq": id, "$type": "string" }, "sender": user_key(new.sender) })
        }));
        let find = self.durable.find(doc! { "$or": branches });
        let mut originals = Originals::default();
        let reading = async {
            let mut cursor = find.await?;
            while cursor.advance().await? {
                originals.insert(cursor.current());
            }
            Ok(())
        };
        bounded("reading stored messages", remaining(deadline), reading).await?;
        Ok(originals)
    }

    /// The receivers in a batch that do not exist.
    async fn unknown_receivers(&self, batch: &[NewMessage], deadline: Instant) -> Result<HashSet<UserId>, StoreError> {
        let mut asked: HashSet<UserId> = {
            let known = self.known.lock();
            let receivers = batch.iter().map(|new| new.receiver);
            receivers.filter(|receiver| !known.contains(receiver)).collect()
        };
        if asked.is_empty() {
            return Ok(asked);
        }
        let ids: Vec<Bson> = asked.iter().copied().map(user_key).collect();
        let filter = doc! { "_id": { "$in": ids } };
        let found = retrying(deadline, || {
            let find = self.users.find(filter.clone()).projection(doc! { "_id": 1 });
            bounded("looking up receivers", remaining(deadline), async {
                let mut found = Vec::new();
                let mut cursor = find.await?;
                while cursor.advance().await? {
                    found.extend(document::object_id(cursor.current()).map(document::user_id));
                }
                Ok(found)
            })
        })
        .await?;

        let mut known = self.known.lock();
        for user in found {
            if known.len() >= KNOWN {
                known.clear();
            }
            known.insert(user);
            asked.remove(&user);
        }
        Ok(asked)
    }
}

/// How long an attempt may take: [`WRITE`], but not past the deadline by more than a moment.
fn remaining(deadline: Instant) -> Duration {
    let left = deadline.saturating_duration_since(Instant::now());
    WRITE.min(left.max(Duration::from_millis(100)))
}

fn fail(pending: &mut Vec<Pending>, outcomes: &mut [Option<Outcome>], error: &StoreError) {
    for message in pending.drain(..) {
        outcomes[message.index] = Some(Err(error.clone().into()));
    }
}

/// Stored messages, by their own and by their sender's ids.
#[derive(Default)]
struct Originals {
    by_id: HashMap<MessageId, Message>,
    by_client_id: HashMap<(UserId, String), Message>,
}

impl Originals {
    fn insert(&mut self, stored: &bson::raw::RawDocument) {
        let Some(message) = document::message(stored) else {
            return;
        };
        if let (Ok(client_id), Some(sender)) = (stored.get_str(CLIENT_MESSAGE_ID), message.sender) {
            self.by_client_id
                .insert((sender, client_id.to_owned()), message.clone());
        }
        self.by_id.insert(message.id, message);
    }

    /// What became of a message that met a duplicate key; `None` if what it met is gone.
    fn settle(&self, new: &NewMessage) -> Option<Outcome> {
        let same = |stored: &Message| {
            stored.receiver == Some(new.receiver) && stored.message.as_deref() == Some(new.text.as_str())
        };
        if let Some(stored) = self.by_id.get(&new.id) {
            // An earlier attempt stored it.
            return Some(if same(stored) && stored.sender == Some(new.sender) {
                Ok(Appended {
                    message: stored.clone(),
                    duplicate: false,
                })
            } else {
                Err(StoreError::Failed(format!("the id {} belongs to another message", new.id)).into())
            });
        }
        let client_id = new.client_message_id.as_ref()?.as_str().to_owned();
        let stored = self.by_client_id.get(&(new.sender, client_id))?;
        Some(if same(stored) {
            Ok(Appended {
                message: stored.clone(),
                duplicate: true,
            })
        } else {
            Err(AppendError::Conflict)
        })
    }
}
