//! Reading conversations: single messages, pages and whole histories.
//!
//! The filter keeps the two directions as two branches of an `$or`, because then the index on
//! `{sender, receiver, createdAt, _id}` delivers each in order and the server only merges them: a page costs about as
//! many index keys as it has messages, however deep it lies.

use bson::oid::ObjectId;
use bson::raw::RawDocumentBuf;
use bson::{Bson, Document, doc};
use futures_util::stream::{BoxStream, StreamExt, TryStreamExt, once, try_unfold};
use mongodb::{Collection, Cursor};
use shared::{Message, MessageId, Timestamp};

use super::document::{self, date, user_key};
use super::error::bounded;
use super::inbox::seconds;
use super::{READ, connect, query};
use crate::store::{Bounds, Conversation, End, Position, StoreError};

/// Messages in one chunk of a history.
const CHUNK: usize = 256;

/// Messages that mongod sends at once when a whole conversation is read. Left to itself it fills 16 MiB, which the
/// driver then holds; this is at most 32 MiB of the longest messages, and usually half of one.
const CURSOR_BATCH: u32 = 2_048;

/// Messages among which the newest one is looked for.
const NEWEST: i64 = 100;

/// How far behind the time of the greatest id a `createdAt` may lie, in milliseconds.
const NEWEST_SPAN: i64 = 60_000;

/// The collection of messages, for reading.
pub(super) struct History {
    messages: Collection<RawDocumentBuf>,
}

impl History {
    pub(super) fn new(database: &mongodb::Database) -> Self {
        Self {
            messages: database.collection(connect::MESSAGES),
        }
    }

    /// See [`crate::store::Store::newest`].
    ///
    /// The greatest ids lead to it, and those of the last moments before `now`: after a clock that was ahead was set right,
    /// messages have ids of their own time, and a `createdAt` just behind the greatest id. Documents of other programs can have
    /// one that can't be right, so no `createdAt` counts that lies beyond the greatest ids.
    pub(super) async fn newest(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let mut next = [0; 12];
        next[..4].copy_from_slice(
            &u32::try_from(now.millis() / 1_000 + 1)
                .unwrap_or(u32::MAX)
                .to_be_bytes(),
        );
        let (greatest, latest) = tokio::try_join!(
            self.of_greatest_ids(doc! { "_id": { "$type": "objectId" } }),
            self.of_greatest_ids(doc! { "_id": { "$lt": ObjectId::from_bytes(next) } }),
        )?;
        let Some(greatest) = greatest.iter().map(|(in_id, created_at)| in_id.min(created_at)).max() else {
            return Ok(None);
        };
        let limit = greatest.millis().saturating_add(NEWEST_SPAN);
        let latest = latest.iter().map(|(_, created_at)| created_at);
        Ok(latest
            .filter(|at| at.millis() <= limit)
            .chain([greatest])
            .max()
            .copied())
    }

    /// The end of the second in an id, and `createdAt`, of those of the matching messages that have the greatest ids.
    async fn of_greatest_ids(&self, filter: Document) -> Result<Vec<(Timestamp, Timestamp)>, StoreError> {
        let find = self
            .messages
            .find(filter)
            .projection(doc! { "createdAt": 1 })
            .sort(doc! { "_id": -1 })
            .limit(NEWEST)
            .max_time(READ);
        query::all("reading the newest messages", READ, find, |document| {
            let message = document::message(document)?;
            let in_id = i64::from(seconds(message.id)) * 1_000 + 999;
            Some((Timestamp::from_millis(in_id), message.created_at?))
        })
        .await
    }

    pub(super) async fn message(
        &self,
        conversation: Conversation,
        id: MessageId,
    ) -> Result<Option<Message>, StoreError> {
        let mut filter = filter(conversation, Bounds::default());
        filter.insert("_id", ObjectId::from_bytes(id.bytes()));
        let find = self.messages.find_one(filter).max_time(READ);
        let found = bounded("reading a message", READ, find).await?;
        Ok(found.and_then(|found| document::message(&found)))
    }

    pub(super) async fn page(
        &self,
        conversation: Conversation,
        bounds: Bounds,
        end: End,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new()); // To MongoDB it means: no limit.
        }
        let find = self
            .messages
            .find(filter(conversation, bounds))
            .sort(sort(end))
            .limit(i64::try_from(limit).unwrap_or(i64::MAX))
            .max_time(READ);
        let mut page = query::all("reading a page", READ, find, document::message).await?;
        if end == End::Newest {
            page.reverse();
        }
        Ok(page)
    }

    /// See [`crate::store::Store::history`]. Dropping the cursor ends it on the server too.
    pub(super) fn stream(&self, conversation: Conversation) -> BoxStream<'static, Result<Vec<Message>, StoreError>> {
        let messages = self.messages.clone();
        let start = async move {
            let find = messages
                .find(filter(conversation, Bounds::default()))
                .sort(sort(End::Oldest))
                .batch_size(CURSOR_BATCH);
            let cursor = bounded("opening a history", READ, find).await?;
            Ok::<_, StoreError>(try_unfold(Some(cursor), next_chunk))
        };
        once(start).try_flatten().boxed()
    }
}

type Chunk = Option<(Vec<Message>, Option<Cursor<RawDocumentBuf>>)>;

async fn next_chunk(cursor: Option<Cursor<RawDocumentBuf>>) -> Result<Chunk, StoreError> {
    let Some(mut cursor) = cursor else { return Ok(None) };
    let mut chunk = Vec::with_capacity(CHUNK);
    let reading = async {
        while chunk.len() < CHUNK {
            if !cursor.advance().await? {
                return Ok(true);
            }
            chunk.extend(document::message(cursor.current()));
        }
        Ok(false)
    };
    let ended = bounded("reading a history", READ, reading).await?;
    let rest = (!ended).then_some(cursor);
    Ok((!chunk.is_empty()).then_some((chunk, rest)))
}

fn sort(end: End) -> Document {
    let direction = match end {
        End::Oldest => 1,
        End::Newest => -1,
    };
    doc! { "createdAt": direction, "_id": direction }
}

/// What lies in a conversation between the bounds.
fn filter(conversation: Conversation, bounds: Bounds) -> Document {
    let mut range = Document::new();
    let mut excluded = Vec::new();
    let mut exclude = |position: Position, comparison: &str| {
        let at = match position.created_at {
            Position::UNDATED => Bson::Null, // Matches a missing field too.
            at => date(at).into(),
        };
        let id = ObjectId::from_bytes(position.id.bytes());
        excluded.push(doc! { "createdAt": at, "_id": { comparison: id } });
    };
    if let Some(after) = bounds.after {
        exclude(after, "$lte");
        if after.created_at != Position::UNDATED {
            range.insert("$gte", date(after.created_at));
        }
    }
    if let Some(before) = bounds.before {
        exclude(before, "$gte");
        match before.created_at {
            Position::UNDATED => range.insert("$eq", Bson::Null),
            at if range.is_empty() => range.insert("$not", doc! { "$gt": date(at) }), // Undated ones come first.
            at => range.insert("$lte", date(at)),
        };
    }

    let branch = |sender, receiver| {
        let mut branch = doc! { "sender": user_key(sender), "receiver": user_key(receiver) };
        if !range.is_empty() {
            branch.insert("createdAt", range.clone());
        }
        branch
    };
    let (low, high) = (conversation.low(), conversation.high());
    let mut filter = match low == high {
        // One branch: two would list every message twice.
        true => branch(low, low),
        false => doc! { "$or": [branch(low, high), branch(high, low)] },
    };
    if !excluded.is_empty() {
        filter.insert("$nor", excluded);
    }
    filter
}
