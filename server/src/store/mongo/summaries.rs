//! Conversations as one of their people sees them, read from the messages and markers themselves.
//!
//! Many conversations are looked at with one command: a union of small pipelines, each of which reads one range of the
//! index on `{sender, receiver, createdAt, _id}`. Counting needs nothing but the index.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bson::oid::ObjectId;
use bson::raw::RawDocumentBuf;
use bson::{Bson, Document, doc};
use mongodb::{Collection, Database};
use shared::{Message, MessageId, UserId, limits};

use super::document::{self, date, message_key, user_key};
use super::error::bounded;
use super::markers::Markers;
use super::{READ, connect, query};
use crate::store::{InboxEntry, Position, StoreError, Summary};

/// Conversations of one command.
const UNION: usize = 25;

/// Reads conversations.
pub(super) struct Summaries {
    messages: Collection<RawDocumentBuf>,
    markers: Arc<Markers>,
}

impl Summaries {
    pub(super) fn new(database: &Database, markers: Arc<Markers>) -> Self {
        Self {
            messages: database.collection(connect::MESSAGES),
            markers,
        }
    }

    /// See [`crate::store::Store::summaries`].
    pub(super) async fn of(&self, pairs: &[(UserId, UserId)]) -> Result<Vec<Summary>, StoreError> {
        self.with(pairs, self.newest(pairs)).await
    }

    /// See [`crate::store::Store::listed`].
    pub(super) async fn listed(&self, user: UserId, entries: &[InboxEntry]) -> Result<Vec<Summary>, StoreError> {
        let pairs: Vec<(UserId, UserId)> = entries.iter().map(|entry| (user, entry.peer)).collect();
        self.with(&pairs, self.newest_listed(user, entries)).await
    }

    /// Conversations with their newest messages.
    async fn with(
        &self,
        pairs: &[(UserId, UserId)],
        newest: impl Future<Output = Result<Vec<Option<Message>>, StoreError>>,
    ) -> Result<Vec<Summary>, StoreError> {
        let both = pairs
            .iter()
            .flat_map(|(viewer, peer)| [(*viewer, *peer), (*peer, *viewer)]);
        let counted = async {
            let markers = self.markers.find(both.collect::<HashSet<_>>()).await?;
            let read = |pair: &(UserId, UserId)| Some(markers.get(pair)?.read?.place);
            let places: Vec<Option<Position>> = pairs.iter().map(read).collect();
            let unread = self.unread(pairs, &places).await?;
            Ok::<_, StoreError>((markers, unread))
        };
        let ((markers, unread), newest) = tokio::try_join!(counted, newest)?;
        let summary = |((pair, unread), last): ((&(UserId, UserId), u32), Option<Message>)| Summary {
            last,
            unread,
            own: markers.get(pair).copied(),
            peers: markers.get(&(pair.1, pair.0)).copied(),
        };
        Ok(pairs.iter().zip(unread).zip(newest).map(summary).collect())
    }

    /// The messages by which conversations were listed; the newest that there is where that one is gone.
    async fn newest_listed(&self, user: UserId, entries: &[InboxEntry]) -> Result<Vec<Option<Message>>, StoreError> {
        let ids: Vec<ObjectId> = entries.iter().map(|entry| message_key(entry.last.id)).collect();
        let find = self.messages.find(doc! { "_id": { "$in": ids } }).max_time(READ);
        let found = query::all("reading newest messages", READ, find, document::message).await?;
        let mut found: HashMap<MessageId, Message> = found.into_iter().map(|message| (message.id, message)).collect();
        let mut newest: Vec<Option<Message>> = entries.iter().map(|entry| found.remove(&entry.last.id)).collect();
        let gone: Vec<usize> = (0..entries.len()).filter(|index| newest[*index].is_none()).collect();
        let pairs: Vec<(UserId, UserId)> = gone.iter().map(|index| (user, entries[*index].peer)).collect();
        for (index, message) in gone.into_iter().zip(self.newest(&pairs).await?) {
            newest[index] = message;
        }
        Ok(newest)
    }

    /// How many messages of each of these peers a user has not read, as in [`Summary::unread`].
    pub(super) async fn unread_from(&self, user: UserId, peers: &[UserId]) -> Result<Vec<u32>, StoreError> {
        let pairs: Vec<(UserId, UserId)> = peers.iter().map(|peer| (user, *peer)).collect();
        let markers = self.markers.find(pairs.iter().copied()).await?;
        let places: Vec<Option<Position>> = pairs.iter().map(|pair| Some(markers.get(pair)?.read?.place)).collect();
        self.unread(&pairs, &places).await
    }

    /// The newest message of each conversation.
    pub(super) async fn newest(&self, pairs: &[(UserId, UserId)]) -> Result<Vec<Option<Message>>, StoreError> {
        let newest = |sender: UserId, receiver: UserId| {
            vec![
                doc! { "$match": { "sender": user_key(sender), "receiver": user_key(receiver) } },
                doc! { "$sort": { "createdAt": -1, "_id": -1 } },
                doc! { "$limit": 1 },
            ]
        };
        // Often both people of a conversation are asked for.
        let directions: HashSet<(UserId, UserId)> = pairs
            .iter()
            .flat_map(|(viewer, peer)| [(*viewer, *peer), (*peer, *viewer)])
            .collect();
        let branches = directions
            .into_iter()
            .map(|(sender, receiver)| newest(sender, receiver))
            .collect();
        let found = self.union(branches, 2 * UNION, document::message).await?;
        let mut last: HashMap<(UserId, UserId), Message> = HashMap::new();
        for message in found {
            let (Some(sender), Some(receiver)) = (message.sender, message.receiver) else {
                continue;
            };
            last.insert((sender, receiver), message);
        }
        let newest = |(viewer, peer): &(UserId, UserId)| {
            let both = [(*viewer, *peer), (*peer, *viewer)];
            let messages = both.iter().filter_map(|direction| last.get(direction));
            messages.max_by_key(|message| Position::of(message)).cloned()
        };
        Ok(pairs.iter().map(newest).collect())
    }

    /// Counts the messages of each peer behind what the viewer has read.
    async fn unread(&self, pairs: &[(UserId, UserId)], places: &[Option<Position>]) -> Result<Vec<u32>, StoreError> {
        let branch = |(index, ((viewer, peer), place)): (usize, (&(UserId, UserId), &Option<Position>))| {
            let mut range = doc! { "sender": user_key(*peer), "receiver": user_key(*viewer) };
            if let Some(place) = place {
                behind(&mut range, *place);
            }
            let index = i64::try_from(index).unwrap_or(i64::MAX);
            // One conversation with oneself has nothing unread.
            (viewer != peer).then(|| {
                vec![
                    doc! { "$match": range },
                    doc! { "$limit": i64::from(limits::UNREAD) },
                    doc! { "$group": { "_id": { "$literal": index }, "count": { "$sum": 1_i64 } } },
                ]
            })
        };
        let branches = pairs.iter().zip(places).enumerate().filter_map(branch).collect();
        let counts = self.union(branches, UNION, |counted| {
            let index = usize::try_from(counted.get_i64("_id").ok()?).ok()?;
            Some((index, u32::try_from(counted.get_i64("count").ok()?).ok()?))
        });
        let counts: HashMap<usize, u32> = counts.await?.into_iter().collect();
        Ok((0..pairs.len())
            .map(|index| counts.get(&index).copied().unwrap_or_default())
            .collect())
    }

    /// Runs pipelines, some in each command and all commands at once.
    async fn union<T>(
        &self,
        branches: Vec<Vec<Document>>,
        together: usize,
        read: impl Fn(&bson::raw::RawDocument) -> Option<T>,
    ) -> Result<Vec<T>, StoreError> {
        let commands = branches.chunks(together).map(|branches| {
            let mut branches = branches.iter().cloned();
            let mut pipeline = branches.next().unwrap_or_default();
            pipeline.extend(branches.map(|branch| {
                doc! { "$unionWith": { "coll": connect::MESSAGES, "pipeline": branch } }
            }));
            let aggregate = self
                .messages
                .aggregate(pipeline)
                .with_type::<RawDocumentBuf>()
                .max_time(READ);
            query::all("reading conversations", READ, aggregate, &read)
        });
        let found = futures_util::future::try_join_all(commands).await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// See [`crate::store::Store::acquainted`].
    pub(super) async fn acquainted(&self, user: UserId, others: &[UserId]) -> Result<HashSet<UserId>, StoreError> {
        let others: Vec<Bson> = others.iter().copied().map(user_key).collect();
        let direction = async |own: &str, theirs: &str| {
            let filter = doc! { own: user_key(user), theirs: { "$in": &others } };
            let found = self.messages.distinct(theirs, filter).max_time(READ);
            bounded("finding who has exchanged messages", READ, found).await
        };
        let (written, received) = tokio::try_join!(direction("sender", "receiver"), direction("receiver", "sender"))?;
        let ids = written.into_iter().chain(received);
        Ok(ids.filter_map(|id| id.as_object_id().map(document::user_id)).collect())
    }
}

/// Narrows a range of messages to those listed behind a place.
fn behind(range: &mut Document, place: Position) {
    let id: ObjectId = message_key(place.id);
    match place.created_at {
        // Those without a time come first.
        Position::UNDATED => {
            range.insert("$nor", [doc! { "createdAt": Bson::Null, "_id": { "$lte": id } }]);
        }
        at => {
            range.insert("createdAt", doc! { "$gte": date(at) });
            range.insert("$nor", [doc! { "createdAt": date(at), "_id": { "$lte": id } }]);
        }
    }
}
