//! Who has received and read what: one document for each person and peer, with watermarks that only move forward.
//!
//! A watermark is stored as the position of its message, `{at, id}`. Documents of that shape are ordered as positions are,
//! so the database itself takes the greater one, and marks can be written again, twice or out of order.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use bson::oid::ObjectId;
use bson::raw::{RawDocument, RawDocumentBuf};
use bson::{Bson, Document, doc};
use mongodb::{Collection, Database};
use shared::{MessageId, Timestamp, UserId};
use tokio::time::Instant;

use super::document::{self, date, encode_position, message_key, user_id, user_key};
use super::error::Backoff;
use super::integrity::Integrity;
use super::names;
use super::query::{self, Order};
use super::timeouts::{READ_TIMEOUT, WRITE_TIMEOUT};
use super::window::{self, Clock};
use crate::domain::{Conversation, Mark, MarkKind, Marked, Marker, Position, Watermark};
use crate::storage::{MarkError, StoreError};

/// Most marks that are written together.
const MAX_BATCH: usize = 500;
/// How long marking is tried. Longer than an election takes.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(20);

/// Who has received or read, and whose messages.
type Key = (UserId, UserId);
type MarkResult = Result<Marked, MarkError>;

/// The collection of markers. Its clones are the same one.
#[derive(Clone)]
pub(super) struct Markers {
    database: Database,
    messages: Collection<RawDocumentBuf>,
    markers: Collection<RawDocumentBuf>,
    /// The id by which the markers written by this store are known from those of others.
    node: ObjectId,
    clock: Clock,
}

/// A marker as it is stored.
pub(super) struct StoredMarker {
    pub(super) marker: Marker,
    pub(super) updated_at: Timestamp,
}

impl StoredMarker {
    /// Reads a document, or answers `None` if it is none of ours.
    pub(super) fn read(document: &RawDocument) -> Option<Self> {
        let id = document.get_document("_id").ok()?;
        let watermark = |place: &str, at: &str| {
            let place = document::position(document.get_document(place).ok()?)?;
            let at = document::timestamp(document.get_datetime(at).ok()?);
            Some(Watermark { place, at })
        };
        Some(Self {
            marker: Marker {
                user: user_id(id.get_object_id("user").ok()?),
                peer: user_id(id.get_object_id("peer").ok()?),
                delivered: watermark("delivered", "deliveredMarkedAt"),
                read: watermark("read", "readMarkedAt"),
            },
            updated_at: document::timestamp(document.get_datetime("updatedAt").ok()?),
        })
    }
}

/// Marks on their way; the lists are parallel.
struct Batch<'a> {
    marks: &'a [Mark],
    /// `None` while it is not known.
    outcomes: Vec<Option<MarkResult>>,
    /// Whether a mark moved what was received, and what was read, in any attempt.
    moved: Vec<(bool, bool)>,
}

impl Markers {
    pub(super) fn new(database: &Database, node: ObjectId, clock: Clock) -> Self {
        Self {
            database: database.clone(),
            messages: database.collection(names::MESSAGES),
            markers: database.collection(names::MARKERS),
            node,
            clock,
        }
    }

    /// The markers of these people that exist.
    pub(super) async fn find(&self, keys: impl IntoIterator<Item = Key>) -> Result<HashMap<Key, Marker>, StoreError> {
        let ids: Vec<Document> = keys.into_iter().map(encode_key).collect();
        let answer = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        let find = self
            .markers
            .find(doc! { "_id": { "$in": ids } })
            .batch_size(answer)
            .max_time(READ_TIMEOUT);
        let found = query::all("reading markers", READ_TIMEOUT, find, StoredMarker::read).await?;
        Ok(found
            .into_iter()
            .map(|stored| ((stored.marker.user, stored.marker.peer), stored.marker))
            .collect())
    }

    /// See [`crate::storage::ReceiptStore::mark`].
    pub(super) async fn mark(&self, marks: &[Mark], integrity: &Integrity) -> Vec<MarkResult> {
        let mut outcomes = Vec::with_capacity(marks.len());
        for marks in marks.chunks(MAX_BATCH) {
            outcomes.extend(self.mark_batch(marks, integrity).await);
        }
        outcomes
    }

    async fn mark_batch(&self, marks: &[Mark], integrity: &Integrity) -> Vec<MarkResult> {
        let deadline = Instant::now() + COMMIT_TIMEOUT;
        let mut batch = Batch {
            marks,
            outcomes: vec![None; marks.len()],
            moved: vec![(false, false); marks.len()],
        };
        let mut backoff = Backoff::default();
        let failure = loop {
            // A batch that is refused here is not tried again: what is wrong then lasts.
            if let Err(error) = integrity.admit(COMMIT_TIMEOUT).await {
                break error;
            }
            match self.attempt(&mut batch, integrity).await {
                Err(StoreError::Unavailable(_)) if Instant::now() < deadline => backoff.wait().await,
                Err(error) => break error,
                Ok(()) => break StoreError::Failed("a mark was forgotten".into()),
            }
        };
        let failed = || Err(failure.clone().into());
        batch
            .outcomes
            .into_iter()
            .map(|outcome| outcome.unwrap_or_else(failed))
            .collect()
    }

    /// After `Ok` every mark has its outcome.
    async fn attempt(&self, batch: &mut Batch<'_>, integrity: &Integrity) -> Result<(), StoreError> {
        let begin = (self.clock)();
        let places = self.places(batch.marks).await?;
        let keys: HashSet<Key> = batch.marks.iter().map(|mark| (mark.user, mark.peer)).collect();
        let mut markers = self.find(keys).await?;
        let mut dirty: HashMap<Key, Timestamp> = HashMap::new();
        let mut after = vec![None; batch.marks.len()];
        let mut unknown = Vec::new();
        for (index, mark) in batch.marks.iter().enumerate() {
            let Some((_, place)) = places.get(&mark.up_to).filter(|(pair, _)| *pair == pair_of(mark)) else {
                unknown.push(index);
                continue;
            };
            let key = (mark.user, mark.peer);
            let marker = markers.entry(key).or_insert(Marker {
                user: mark.user,
                peer: mark.peer,
                delivered: None,
                read: None,
            });
            let moved = advance(marker, mark, *place);
            if moved != (false, false) {
                let updated_at = window::stamp(mark.at, begin);
                let latest = dirty.entry(key).or_insert(updated_at);
                *latest = updated_at.max(*latest);
            }
            batch.moved[index].0 |= moved.0;
            batch.moved[index].1 |= moved.1;
            after[index] = Some(*marker);
        }
        self.write(&markers, dirty).await?;
        integrity.admit(READ_TIMEOUT).await?;
        for index in unknown {
            batch.outcomes[index] = Some(Err(MarkError::UnknownMessage));
        }
        for (index, marker) in after.into_iter().enumerate() {
            if let Some(marker) = marker {
                let (delivered_moved, read_moved) = batch.moved[index];
                batch.outcomes[index] = Some(Ok(Marked {
                    marker,
                    delivered_moved,
                    read_moved,
                }));
            }
        }
        Ok(())
    }

    /// Where the messages are listed, and between whom.
    async fn places(&self, marks: &[Mark]) -> Result<HashMap<MessageId, (Conversation, Position)>, StoreError> {
        let ids: Vec<ObjectId> = marks.iter().map(|mark| message_key(mark.up_to)).collect();
        let find = self
            .messages
            .find(doc! { "_id": { "$in": ids } })
            .projection(doc! { "sender": 1, "receiver": 1, "createdAt": 1 })
            .max_time(READ_TIMEOUT);
        let found = query::all("finding marked messages", READ_TIMEOUT, find, document::message).await?;
        let place = |message: shared::Message| {
            let pair = Conversation::between(message.sender?, message.receiver?);
            Some((message.id, (pair, Position::of(&message))))
        };
        Ok(found.into_iter().filter_map(place).collect())
    }

    /// Writes the markers that changed, with an `updatedAt` that is no older than it may be when this returns.
    async fn write(&self, markers: &HashMap<Key, Marker>, dirty: HashMap<Key, Timestamp>) -> Result<(), StoreError> {
        if dirty.is_empty() {
            return Ok(());
        }
        let statements = |at: &dyn Fn(Timestamp) -> Timestamp, renewing: bool| -> Vec<Document> {
            let statement =
                |(key, updated_at): (&Key, &Timestamp)| self.statement(&markers[key], at(*updated_at), renewing);
            dirty.iter().map(statement).collect()
        };
        let command = query::update(names::MARKERS, statements(&|at| at, false), Order::Any);
        query::run_update("writing markers", WRITE_TIMEOUT, &self.database, command).await?;
        let mut oldest = dirty.values().copied().min().unwrap_or_else(|| (self.clock)());
        // The first time also if other nodes would merely read it late: a store that is always slow is not made slower.
        let mut is_over: fn(Timestamp, Timestamp) -> bool = window::is_passed_over;
        loop {
            let now = (self.clock)();
            if !is_over(oldest, now) {
                return Ok(());
            }
            is_over = window::is_late;
            let command = query::update(names::MARKERS, statements(&|_| now, true), Order::Any);
            query::run_update("renewing markers", WRITE_TIMEOUT, &self.database, command).await?;
            oldest = now;
        }
    }

    /// Writes what moves; with `renewing` it writes the time whether anything moves or not.
    fn statement(&self, marker: &Marker, updated_at: Timestamp, renewing: bool) -> Document {
        let mut fields = Document::new();
        let mut moves = vec![Bson::Boolean(renewing)];
        for (place, at, watermark) in [
            ("delivered", "deliveredMarkedAt", marker.delivered),
            ("read", "readMarkedAt", marker.read),
        ] {
            let Some(watermark) = watermark else { continue };
            let new = doc! { "$literal": encode_position(watermark.place) };
            let (old_place, old_at) = (format!("${place}"), format!("${at}"));
            let moved = doc! { "$gt": [&new, &old_place] };
            fields.insert(place, doc! { "$max": [&old_place, new] });
            fields.insert(at, doc! { "$cond": [&moved, date(watermark.at), old_at] });
            moves.push(moved.into());
        }
        let moved = doc! { "$or": moves };
        fields.insert(
            "updatedAt",
            doc! { "$cond": [&moved, window::next_updated_at(updated_at), "$updatedAt"] },
        );
        fields.insert("node", doc! { "$cond": [moved, self.node, "$node"] });
        doc! { "q": { "_id": encode_key((marker.user, marker.peer)) }, "u": [{ "$set": fields }], "upsert": true }
    }
}

fn pair_of(mark: &Mark) -> Conversation {
    Conversation::between(mark.user, mark.peer)
}

fn encode_key((user, peer): Key) -> Document {
    doc! { "user": user_key(user), "peer": user_key(peer) }
}

/// Moves the watermarks of a marker as a mark says, and returns whether what was received and what was read moved.
fn advance(marker: &mut Marker, mark: &Mark, place: Position) -> (bool, bool) {
    let raise = |watermark: &mut Option<Watermark>| {
        let moves = watermark.is_none_or(|old| old.place < place);
        if moves {
            *watermark = Some(Watermark { place, at: mark.at });
        }
        moves
    };
    let read_moved = mark.kind == MarkKind::Read && raise(&mut marker.read);
    (raise(&mut marker.delivered), read_moved)
}
