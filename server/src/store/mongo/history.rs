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
use shared::{Message, MessageId};

use super::document::{self, date, user_key};
use super::error::bounded;
use super::{READ, connect, query};
use crate::store::{Bounds, Conversation, End, Position, StoreError};

/// Messages in one chunk of a history.
const CHUNK: usize = 256;

/// Messages that mongod sends at once when a whole conversation is read. Left to itself it fills 16 MiB, which the
/// driver then holds; this is at most 32 MiB of the longest messages, and usually half of one.
const CURSOR_BATCH: u32 = 2_048;

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
