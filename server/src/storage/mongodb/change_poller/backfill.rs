//! Projecting all messages of a span of time, whichever program wrote them.

use bson::oid::ObjectId;
use bson::raw::RawDocumentBuf;
use bson::{DateTime, doc};
use mongodb::{Collection, Database};
use shared::MessageId;

use super::{ids, to_seconds};
use crate::storage::StoreError;
use crate::storage::mongodb::document::{self, id_seconds, message_key};
use crate::storage::mongodb::inbox::write::project;
use crate::storage::mongodb::timeouts::READ_TIMEOUT;
use crate::storage::mongodb::{names, query};

/// Messages of one step.
const MAX_STEP: i64 = 10_000;

/// Reads and projects messages.
pub(super) struct BackfillReader {
    database: Database,
    messages: Collection<RawDocumentBuf>,
    renewals: Collection<RawDocumentBuf>,
}

/// How far the projection of a span of time is.
pub(super) struct Backfill {
    /// In milliseconds, whole seconds.
    from: i64,
    to: i64,
    /// The last message that was projected.
    message: Option<MessageId>,
    /// The last renewal whose message was projected, as its time and id.
    renewal: Option<(DateTime, ObjectId)>,
    renewals_done: bool,
}

impl BackfillReader {
    pub(super) fn new(database: &Database) -> Self {
        Self {
            database: database.clone(),
            messages: database.collection(names::MESSAGES),
            renewals: database.collection(names::RENEWALS),
        }
    }
}

impl Backfill {
    /// Everything from one moment to another, in milliseconds, by the times in ids; and all that was renewed since.
    pub(super) fn new(from: i64, to: i64) -> Self {
        Self {
            from,
            to,
            message: None,
            renewal: None,
            renewals_done: false,
        }
    }

    /// Everything before this moment is projected.
    pub(super) fn begin(&self) -> i64 {
        match self.message {
            Some(last) if self.renewals_done => i64::from(id_seconds(last)) * 1_000,
            _ => self.from,
        }
    }

    /// Takes the next step. Returns whether it was the last one.
    pub(super) async fn advance(&mut self, reader: &BackfillReader) -> Result<bool, StoreError> {
        if !self.renewals_done {
            self.renewals_done = self.project_renewed(reader).await?;
            return Ok(false);
        }
        let mut range = ids::range(to_seconds(self.from), to_seconds(self.to));
        if let (Some(last), Ok(range)) = (self.message, range.get_document_mut("_id")) {
            range.remove("$gte");
            range.insert("$gt", message_key(last));
        }
        let find = reader
            .messages
            .find(range)
            .projection(doc! { "sender": 1, "receiver": 1, "createdAt": 1 })
            .sort(doc! { "_id": 1 })
            .limit(MAX_STEP)
            .comment("follower")
            .max_time(READ_TIMEOUT);
        let messages = query::all("reading earlier messages", READ_TIMEOUT, find, document::message).await?;
        let Some(last) = messages.last() else { return Ok(true) };
        project(&reader.database, &messages).await?;
        self.message = Some(last.id);
        Ok(false)
    }

    /// Projects some of the messages that were renewed. Returns whether those were the last.
    async fn project_renewed(&mut self, reader: &BackfillReader) -> Result<bool, StoreError> {
        let (at, id) = self
            .renewal
            .unwrap_or((DateTime::from_millis(self.from), ObjectId::from_bytes([0; 12])));
        let after = doc! { "at": { "$gte": at }, "$nor": [{ "at": at, "_id": { "$lte": id } }] };
        let find = reader
            .renewals
            .find(after)
            .sort(doc! { "at": 1, "_id": 1 })
            .limit(MAX_STEP)
            .comment("follower")
            .max_time(READ_TIMEOUT);
        let renewals = query::all("reading earlier renewals", READ_TIMEOUT, find, |renewal| {
            Some((renewal.get_datetime("at").ok()?, document::object_id(renewal)?))
        })
        .await?;
        let Some(last) = renewals.last() else { return Ok(true) };
        let ids: Vec<ObjectId> = renewals.iter().map(|(_, id)| *id).collect();
        let find = reader
            .messages
            .find(doc! { "_id": { "$in": ids } })
            .projection(doc! { "sender": 1, "receiver": 1, "createdAt": 1 })
            .comment("follower")
            .max_time(READ_TIMEOUT);
        let messages = query::all("reading renewed messages", READ_TIMEOUT, find, document::message).await?;
        project(&reader.database, &messages).await?;
        self.renewal = Some(*last);
        Ok(false)
    }
}
