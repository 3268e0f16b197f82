//! Reading conversations: single messages, pages and whole histories.
//!
//! The filter keeps the two directions as two branches of an `$or`, because then the index on
//! `{sender, receiver, createdAt, _id}` delivers each in order and the server only merges them: a page costs about as
//! many index keys as it has messages, however deep it lies.

use std::collections::VecDeque;

use bson::oid::ObjectId;
use bson::raw::{RawDocument, RawDocumentBuf};
use bson::{Bson, DateTime, Document, doc};
use futures_util::stream::{BoxStream, StreamExt, try_unfold};
use mongodb::Collection;
use shared::{Message, MessageId, Timestamp};

use super::document::{self, date, message_key, user_key};
use super::error::bounded;
use super::integrity::Integrity;
use super::newest::newest;
use super::timeouts::READ_TIMEOUT;
use super::{names, query};
use crate::domain::{Bounds, Conversation, End, Position};
use crate::storage::StoreError;
use crate::storage::size::{self, PIECE_BYTES};

/// Most messages in one chunk of a history: enough that finding where it begins costs little.
const MAX_CHUNK: usize = 512;

/// Messages that mongod sends at once. Left to itself it fills 16 MiB, which the driver then holds; this is at most
/// 2 MiB of the longest messages.
const BATCH_SIZE: u32 = 128;

/// About how many bytes of documents of a history are read at once, and at most how many messages. With fewer, the cost of
/// beginning each query shows.
const MAX_RANGE_BYTES: usize = 1024 * 1024;
const MAX_RANGE: usize = 2_048;
/// The first range, of whose messages nothing is known: together less than an answer of mongod can hold.
const FIRST_RANGE: usize = 512;

/// The collection of messages, for reading.
#[derive(Clone)]
pub(super) struct History {
    messages: Collection<RawDocumentBuf>,
    integrity: Integrity,
}

/// A whole history while it is streamed.
struct HistoryReader {
    messages: Collection<RawDocumentBuf>,
    integrity: Integrity,
    conversation: Conversation,
    /// What was read and is not given yet.
    read: VecDeque<Message>,
    /// The time and id of the message after which the next range begins; the time of whatever type the document has.
    after: Option<(Bson, ObjectId)>,
    /// How many messages the next range has.
    range: usize,
    /// Whether the query leaves out documents whose ids are not ObjectIds: a range can't begin after one of them.
    only_object_ids: bool,
    ended: bool,
}

impl History {
    pub(super) fn new(database: &mongodb::Database, integrity: Integrity) -> Self {
        Self {
            messages: database.collection(names::MESSAGES),
            integrity,
        }
    }

    /// See [`crate::storage::MessageStore::newest`].
    pub(super) async fn newest(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        newest(&self.messages, now).await
    }

    pub(super) async fn message(
        &self,
        conversation: Conversation,
        id: MessageId,
    ) -> Result<Option<Message>, StoreError> {
        let mut filter = filter(conversation, Bounds::default());
        filter.insert("_id", ObjectId::from_bytes(id.bytes()));
        let find = self.messages.find_one(filter).max_time(READ_TIMEOUT);
        let found = bounded("reading a message", READ_TIMEOUT, find).await?;
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
            .batch_size(BATCH_SIZE)
            .max_time(READ_TIMEOUT);
        let mut bytes = 0;
        let is_piece = |message: &Message| {
            bytes += size::message_bytes(message);
            bytes >= PIECE_BYTES
        };
        let mut page = query::until("reading a page", READ_TIMEOUT, find, document::message, is_piece).await?;
        if end == End::Newest {
            page.reverse();
        }
        Ok(page)
    }

    /// See [`crate::storage::MessageStore::history`].
    pub(super) fn stream(&self, conversation: Conversation) -> BoxStream<'static, Result<Vec<Message>, StoreError>> {
        let reader = HistoryReader {
            messages: self.messages.clone(),
            integrity: self.integrity.clone(),
            conversation,
            read: VecDeque::new(),
            after: None,
            range: FIRST_RANGE,
            only_object_ids: false,
            ended: false,
        };
        let next = async |mut reader: HistoryReader| {
            let chunk = reader.next().await?;
            Ok((!chunk.is_empty()).then_some((chunk, reader)))
        };
        try_unfold(reader, next).boxed()
    }
}

impl HistoryReader {
    /// The next chunk; an empty one at the end.
    async fn next(&mut self) -> Result<Vec<Message>, StoreError> {
        while self.read.is_empty() && !self.ended {
            // Otherwise a database that was emptied meanwhile would look like the end.
            let integrity = self.integrity.clone();
            integrity.read(READ_TIMEOUT, self.read_range()).await?;
        }
        let mut bytes = 0;
        let fits = |message: &&Message| {
            let before = bytes;
            bytes += size::message_bytes(message);
            before < PIECE_BYTES
        };
        let count = self.read.iter().take(MAX_CHUNK).take_while(fits).count();
        Ok(self.read.drain(..count).collect())
    }

    async fn read_range(&mut self) -> Result<(), StoreError> {
        let mut filter = after(self.conversation, self.after.as_ref());
        if self.only_object_ids {
            filter = doc! { "$and": [filter, { "_id": { "$type": "objectId" } }] };
        }
        let find = self
            .messages
            .find(filter)
            .sort(sort(End::Oldest))
            .limit(i64::try_from(self.range).unwrap_or(i64::MAX))
            .batch_size(u32::try_from(self.range).unwrap_or(u32::MAX))
            .max_time(READ_TIMEOUT);
        let reading = async {
            let mut read = VecDeque::with_capacity(self.range);
            let (mut bytes, mut count, mut last) = (0, 0, None);
            let mut cursor = find.await?;
            // Dropping the cursor before its end ends it in the database, too.
            while bytes < MAX_RANGE_BYTES {
                if !cursor.advance().await? {
                    return Ok((read, bytes, count, last));
                }
                let document = cursor.current();
                count += 1;
                bytes += document.as_bytes().len();
                if let Some(message) = document::message(document) {
                    last = Some((time(document), message_key(message.id)));
                    read.push_back(message);
                }
            }
            Ok((read, bytes, self.range.max(count), last))
        };
        let (read, bytes, count, last) = bounded("reading a history", READ_TIMEOUT, reading).await?;
        self.ended = count < self.range;
        self.only_object_ids |= read.is_empty();
        self.after = last.or_else(|| self.after.take());
        self.range = (MAX_RANGE_BYTES / (bytes / read.len().max(1)).max(1)).clamp(1, MAX_RANGE);
        self.read = read;
        Ok(())
    }
}

/// The time of a message as it is stored: usually a date, in old databases anything.
fn time(message: &RawDocument) -> Bson {
    let time = message.get("createdAt").ok().flatten();
    time.and_then(|time| Bson::try_from(time).ok()).unwrap_or(Bson::Null)
}

/// What comes in a conversation after a message, in the order of the index.
fn after(conversation: Conversation, after: Option<&(Bson, ObjectId)>) -> Document {
    let mut filter = filter(conversation, Bounds::default());
    let Some((time, id)) = after else { return filter };
    let branches: Vec<Document> = match filter.get_array("$or") {
        Ok(branches) => branches.iter().filter_map(Bson::as_document).cloned().collect(),
        Err(_) => vec![filter.clone()],
    };
    let with = |fields: Document| {
        branches.iter().cloned().map(move |mut branch| {
            branch.extend(fields.clone());
            branch
        })
    };
    if let Bson::DateTime(at) = time {
        // Ranges of the index and nothing else: a filter beside them costs a tenth of the whole.
        let later = with(doc! { "createdAt": { "$gt": at } });
        let tied = with(doc! { "createdAt": at, "_id": { "$gt": id } });
        return doc! { "$or": later.chain(tied).collect::<Vec<_>>() };
    }
    if *time != Bson::Null {
        // Only an expression compares values of different types as an index does. Those without a time come first.
        let later = with(doc! { "$expr": { "$gte": ["$createdAt", { "$literal": time }] } });
        filter = doc! { "$or": later.collect::<Vec<_>>() };
    }
    filter.insert("$nor", [doc! { "createdAt": time, "_id": { "$lte": id } }]);
    filter
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
    let exclusion = |position: Position, comparison: &str| {
        let at = match position.created_at {
            Position::UNDATED => Bson::Null, // Matches a missing field too.
            at => date(at).into(),
        };
        let id = ObjectId::from_bytes(position.id.bytes());
        doc! { "createdAt": at, "_id": { comparison: id } }
    };
    if let Some(after) = bounds.after {
        excluded.push(exclusion(after, "$lte"));
        if after.created_at != Position::UNDATED {
            range.insert("$gte", date(after.created_at));
        }
    }
    if let Some(before) = bounds.before {
        excluded.push(exclusion(before, "$gte"));
        match before.created_at {
            Position::UNDATED => {
                // Not `null` in the branches: an index does not distinguish a time that is null from a missing one, so each
                // document would be read to compare it before the branches are merged, and the merge would take what is
                // missing for less. The expression is compared after that: it uses no index.
                excluded.push(doc! { "$expr": { "$gt": ["$createdAt", Bson::Null] } });
                range.insert("$not", doc! { "$gte": DateTime::MIN })
            }
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
