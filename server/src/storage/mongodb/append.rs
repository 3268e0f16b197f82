//! The durable write of a batch: one unordered insert, repeated until the outcome of every message is known.
//!
//! Ids and times were made before, so an attempt whose answer was lost can be repeated: a message that it stored comes back
//! as a duplicate key. A duplicate key says only that this primary has the document, not that it will last; so the document
//! is read at read concern `majority` before it is answered. If it is gone by then, because a new primary took over without
//! it, the message is simply inserted again.
//!
//! A message that took too long is renewed or announced before it is answered, see `renew`; otherwise a message costs no
//! second trip.
//!
//! Each attempt must be admitted by [`integrity`](super::integrity), and once more before its messages count as stored.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bson::doc;
use bson::oid::ObjectId;
use bson::raw::RawDocumentBuf;
use mongodb::Collection;
use mongodb::error::{ErrorKind, IndexedWriteError};
use shared::Timestamp;
use tokio::time::Instant;

use super::connect::Connected;
use super::document::{self, CLIENT_MESSAGE_ID, user_key};
use super::error::{
    Backoff, DUPLICATE_KEY, INVALID_DOCUMENT, bounded, foreign_index, is_retryable, store_error, write_error,
};
use super::indexes::MESSAGE_UNIQUE;
use super::integrity::Integrity;
use super::names;
use super::query;
use super::timeouts::WRITE_TIMEOUT;
use super::window::{self, Clock};
use crate::domain::NewMessage;
use crate::storage::{AppendError, Appended, StoreError};
use existing_messages::ExistingMessages;
use receivers::Receivers;
pub(super) use renew::RENEWED;
use renew::Renewer;

mod existing_messages;
mod receivers;
mod renew;

/// How long a batch is tried. Longer than an election takes.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(20);
/// How often a duplicate key may lead to no document, before a unique index of another program is blamed.
const MAX_VANISHED: u8 = 3;

type AppendResult = Result<Appended, AppendError>;

/// Writes messages.
pub(super) struct Appender {
    messages: Collection<RawDocumentBuf>,
    durable: Collection<RawDocumentBuf>,
    receivers: Receivers,
    renewer: Renewer,
    integrity: Integrity,
    clock: Clock,
}

/// A batch on its way; all lists are parallel.
struct Batch<'a> {
    messages: &'a [NewMessage],
    /// The `updatedAt` that each is stored with.
    updated_at: Vec<Timestamp>,
    /// `None` while it is not known.
    outcomes: Vec<Option<AppendResult>>,
    /// How often a message met a duplicate key that leads to no document.
    vanished: Vec<u8>,
}

impl Appender {
    /// Writes on behalf of a node, by its clock; `others` says whether there are other nodes.
    pub(super) fn new(
        connected: &Connected,
        integrity: Integrity,
        node: ObjectId,
        clock: Clock,
        others: Arc<AtomicBool>,
    ) -> Self {
        let database = &connected.database;
        Self {
            messages: connected.inserts.collection(names::MESSAGES),
            durable: database.collection(names::MESSAGES),
            receivers: Receivers::new(database, integrity.clone(), clock.clone()),
            integrity,
            renewer: Renewer::new(database, node, clock.clone(), others),
            clock,
        }
    }

    /// See [`crate::storage::MessageStore::append`].
    pub(super) async fn append(&self, messages: &[NewMessage]) -> Vec<AppendResult> {
        let deadline = Instant::now() + COMMIT_TIMEOUT;
        let begin = (self.clock)();
        let receivers = async {
            self.integrity.admit(until(deadline)).await?;
            self.receivers.unknown(messages, deadline).await
        };
        let unknown = match receivers.await {
            Ok(unknown) => unknown,
            Err(error) => return error.for_each(messages.len()),
        };
        let refuse = |new: &NewMessage| {
            unknown
                .contains(&new.receiver)
                .then_some(Err(AppendError::UnknownReceiver))
        };
        let mut batch = Batch {
            messages,
            updated_at: messages
                .iter()
                .map(|new| window::stamp(new.created_at, begin))
                .collect(),
            outcomes: messages.iter().map(refuse).collect(),
            vanished: vec![0; messages.len()],
        };
        let documents: Vec<RawDocumentBuf> = messages
            .iter()
            .zip(&batch.updated_at)
            .map(|(new, updated_at)| document::encode(new, *updated_at))
            .collect();
        let mut backoff = Backoff::default();
        let failure = loop {
            // A batch that is refused here is not tried again: what is wrong then lasts.
            if let Err(error) = self.integrity.admit(until(deadline)).await {
                break error;
            }
            match self.attempt(&mut batch, &documents, deadline).await {
                Err(StoreError::Unavailable(_)) if Instant::now() < deadline => backoff.wait().await,
                Err(error) => break error,
                Ok(()) => break StoreError::Failed("a message was forgotten".into()),
            }
        };
        let failed = || Err(failure.clone().into());
        let mut outcomes: Vec<AppendResult> = batch
            .outcomes
            .into_iter()
            .map(|outcome| outcome.unwrap_or_else(failed))
            .collect();
        self.renewer.renew(&mut outcomes, deadline).await;
        outcomes
    }

    /// Inserts what has no outcome yet, and finds the outcomes that can be found. After `Ok` that is all of them; an error
    /// is the reason why some are left.
    async fn attempt(
        &self,
        batch: &mut Batch<'_>,
        documents: &[RawDocumentBuf],
        deadline: Instant,
    ) -> Result<(), StoreError> {
        let pending: Vec<usize> = (0..documents.len())
            .filter(|index| batch.outcomes[*index].is_none())
            .collect();
        if pending.is_empty() {
            return Ok(());
        }
        let mut failures = self
            .insert(pending.iter().map(|index| &documents[*index]), deadline)
            .await?;
        self.integrity.admit(until(deadline)).await?;
        let mut left = Ok(());
        let mut duplicates = Vec::new();
        for (position, index) in pending.into_iter().enumerate() {
            let Some(failure) = failures.remove(&position) else {
                let mut message = batch.messages[index].to_message();
                message.updated_at = Some(batch.updated_at[index]);
                batch.outcomes[index] = Some(Ok(Appended {
                    message,
                    duplicate: false,
                }));
                continue;
            };
            let text = write_error(failure.code, &failure.message);
            if failure.code == DUPLICATE_KEY && batch.vanished[index] < MAX_VANISHED {
                let foreign = foreign_index(&failure.message, MESSAGE_UNIQUE);
                duplicates.push((index, foreign.map(str::to_owned)));
            } else if is_retryable(failure.code) {
                left = Err(StoreError::Unavailable(text));
            } else {
                let error = match failure.code {
                    INVALID_DOCUMENT => StoreError::Validator,
                    _ => StoreError::Failed(text),
                };
                batch.outcomes[index] = Some(Err(error.into()));
            }
        }
        if duplicates.is_empty() {
            return left;
        }
        let met: Vec<&NewMessage> = duplicates.iter().map(|(index, _)| &batch.messages[*index]).collect();
        let existing = self.existing(&met, deadline).await?;
        for (index, foreign) in duplicates {
            // A document that another program's index met is not read.
            let kept_out = || foreign.map(|name| Err(StoreError::ForeignIndex(name).into()));
            batch.outcomes[index] = existing.outcome_of(&batch.messages[index]).or_else(kept_out);
            if batch.outcomes[index].is_none() {
                batch.vanished[index] += 1;
                left = Err(StoreError::Unavailable("a message was there and is gone".into()));
            }
        }
        left
    }

    /// Inserts documents. `Ok` holds the failures by their index, and everything else is durable; after an error the outcome
    /// of all is unknown.
    async fn insert(
        &self,
        documents: impl Iterator<Item = &RawDocumentBuf>,
        deadline: Instant,
    ) -> Result<HashMap<usize, IndexedWriteError>, StoreError> {
        let insert = self.messages.insert_many(documents).ordered(false);
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

    /// Reads the documents of duplicate keys, as a majority has them.
    async fn existing(&self, duplicates: &[&NewMessage], deadline: Instant) -> Result<ExistingMessages, StoreError> {
        let ids: Vec<ObjectId> = duplicates
            .iter()
            .map(|new| ObjectId::from_bytes(new.id.bytes()))
            .collect();
        let mut branches = vec![doc! { "_id": { "$in": ids } }];
        branches.extend(duplicates.iter().filter_map(|new| {
            let id = new.client_message_id.as_ref()?.as_str();
            // The type is named, because the partial index holds texts only and is used only if the query says so.
            Some(doc! { CLIENT_MESSAGE_ID: { "$eq": id, "$type": "string" }, "sender": user_key(new.sender) })
        }));
        let find = self.durable.find(doc! { "$or": branches });
        let limit = remaining(deadline);
        let stored = query::all("reading stored messages", limit, find, document::with_client_id).await?;
        Ok(ExistingMessages::new(stored))
    }
}

/// How long is left.
fn until(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

/// How long an attempt may take: [`WRITE_TIMEOUT`], but not past the deadline by more than a moment.
fn remaining(deadline: Instant) -> Duration {
    let left = until(deadline);
    WRITE_TIMEOUT.min(left.max(Duration::from_millis(100)))
}
