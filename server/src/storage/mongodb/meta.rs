//! The few documents about the database as a whole.

use bson::oid::ObjectId;
use bson::raw::RawDocumentBuf;
use bson::{DateTime, Document, doc};
use mongodb::options::ReturnDocument;
use mongodb::{Collection, Database};
use shared::Timestamp;
use tokio::time::Instant;

use super::connect::OPEN_TIMEOUT;
use super::document::{date, timestamp};
use super::error::{bounded, retrying};
use super::names;
use super::newest::newest;
use super::timeouts::{READ_TIMEOUT, WRITE_TIMEOUT};
use crate::domain::Instance;
use crate::storage::StoreError;

/// The documents' ids.
const INSTANCE: &str = "instance";
const FOLLOWER: &str = "follower";
/// A field of the first.
const FIRST_START: &str = "firstStart";
pub(super) const INBOX: &str = "inbox";
/// Which fields all inboxes have, also those that an earlier version wrote.
pub(super) const INBOX_FIELDS: &str = "inboxFields";

/// The collection.
#[derive(Clone)]
pub(super) struct Meta {
    pub(super) documents: Collection<Document>,
    messages: Collection<RawDocumentBuf>,
}

/// What a store begins with.
pub(super) struct Begun {
    pub(super) instance: Instance,
    /// When a server was first started on this database; `None` if that was before this was recorded.
    pub(super) first_start: Option<Timestamp>,
    /// Messages before this moment, by the time in their ids, are in the inboxes.
    pub(super) settled: Timestamp,
}

impl Meta {
    pub(super) fn new(database: &Database) -> Self {
        Self {
            documents: database.collection(names::META),
            messages: database.collection(names::MESSAGES),
        }
    }

    /// Creates the documents that are missing. `now` is when the first server was started on a new database, and from where
    /// it polls it.
    #[expect(clippy::disallowed_methods, reason = "the identity of a new database")]
    pub(super) async fn begin(&self, now: Timestamp) -> Result<Begun, StoreError> {
        let instance = ObjectId::from_bytes(rand::random());
        let made = self
            .ensure(INSTANCE, doc! { "bytes": instance, FIRST_START: date(now) })
            .await?;
        let poller = self.ensure(FOLLOWER, doc! { "settled": date(now) }).await?;
        let mut first_start = made.get_datetime(FIRST_START).ok().map(|at| timestamp(*at));
        if first_start.is_some_and(|first| now < first) && !self.is_behind(now).await? {
            self.correct_first_start(now).await?;
            first_start = Some(now);
        }
        let failed = |_| StoreError::Failed("a document in the collection meta is damaged".into());
        let bytes = made.get_object_id("bytes").map_err(failed)?.bytes();
        Ok(Begun {
            instance: first_bytes(bytes),
            first_start,
            settled: timestamp(*poller.get_datetime("settled").map_err(failed)?),
        })
    }

    /// Whether a clock that says `now` is slow, because there are messages of a later time. By such a clock what is read
    /// already would become unread.
    async fn is_behind(&self, now: Timestamp) -> Result<bool, StoreError> {
        let newest = newest(&self.messages, now).await?;
        Ok(newest.is_some_and(|newest| now < newest))
    }

    /// A clock that was ahead at the first start and was set right: it must not hide what comes now.
    async fn correct_first_start(&self, now: Timestamp) -> Result<(), StoreError> {
        let update = doc! { "$min": { FIRST_START: date(now) } };
        let correct = self.documents.update_one(doc! { "_id": INSTANCE }, update);
        bounded("correcting the first start", WRITE_TIMEOUT, correct)
            .await
            .map(drop)
    }

    /// The id of the database as it is now; `None` if it has none.
    pub(super) async fn instance(&self) -> mongodb::error::Result<Option<Instance>> {
        let found = self.documents.find_one(doc! { "_id": INSTANCE }).await?;
        Ok(found.and_then(|found| Some(first_bytes(found.get_object_id("bytes").ok()?.bytes()))))
    }

    /// Whether there is a document of this id.
    pub(super) async fn has(&self, id: &str) -> Result<bool, StoreError> {
        let found = bounded(
            "reading meta",
            READ_TIMEOUT,
            self.documents.find_one(doc! { "_id": id }),
        )
        .await?;
        Ok(found.is_some())
    }

    /// The document of this id: the one that exists, or a new one of these fields.
    pub(super) async fn ensure(&self, id: &str, fields: Document) -> Result<Document, StoreError> {
        let ensured = retrying(Instant::now() + OPEN_TIMEOUT, || async {
            let ensure = self
                .documents
                .find_one_and_update(doc! { "_id": id }, doc! { "$setOnInsert": fields.clone() })
                .upsert(true)
                .return_document(ReturnDocument::After);
            match bounded("preparing the database", WRITE_TIMEOUT, ensure).await {
                // Another process inserted it at the same moment.
                Err(StoreError::Failed(_)) => {
                    bounded(
                        "preparing the database",
                        READ_TIMEOUT,
                        self.documents.find_one(doc! { "_id": id }),
                    )
                    .await
                }
                done => done,
            }
        });
        ensured
            .await?
            .ok_or_else(|| StoreError::Failed("a document in the collection meta was not created".into()))
    }

    /// Stores how far the messages were polled.
    pub(super) async fn save_settled(&self, settled: Timestamp) -> Result<(), StoreError> {
        let update = doc! { "$max": { "settled": DateTime::from_millis(settled.millis()) } };
        let save = self.documents.update_one(doc! { "_id": FOLLOWER }, update);
        bounded("storing how far messages were polled", WRITE_TIMEOUT, save)
            .await
            .map(drop)
    }
}

fn first_bytes(id: [u8; 12]) -> Instance {
    let mut instance = Instance::default();
    for (to, from) in instance.iter_mut().zip(id) {
        *to = from;
    }
    instance
}
