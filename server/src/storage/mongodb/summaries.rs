//! Conversations as one of their people sees them, read from the messages and markers themselves.
//!
//! A few commands read many conversations, because clients are sent summaries all the time:
//!
//! - The newest messages are read by their ids, as the inboxes have them together with what waits to be written into these
//!   ([`Projector::waiting`]). So a summary shows every message whose write was acknowledged to this process, and what other
//!   programs wrote as soon as [`change_poller`](super::change_poller) has read it. Where inboxes are not complete, or name
//!   a message that is gone, a query finds the newest message of the conversation itself.
//! - Unread messages are counted only where there can be any: where the newest message that the viewer *received*, which
//!   inboxes hold as well, is the newest of all and comes after what was read. Then a query finds the viewer's own newest
//!   message, which counts as having read what comes before it. Where unread messages are few, [`unread`] finds them.
//!   Otherwise each such conversation is a small pipeline over one range of the index on `{sender, receiver, createdAt,
//!   _id}`, and a command holds a union of these. It needs nothing but the index, and it costs ten times as much as reading
//!   a message by its id.

use std::collections::{HashMap, HashSet};

use bson::oid::ObjectId;
use bson::raw::RawDocumentBuf;
use bson::{Bson, Document, doc};
use mongodb::{Collection, Database};
use shared::{Message, MessageId, Timestamp, UserId};

use super::document::{self, message_key, user_key};
use super::error::bounded;
use super::inbox::entry::{self, Entry, Incoming};
use super::inbox::projector::Projector;
use super::markers::Markers;
use super::timeouts::READ_TIMEOUT;
use super::union::{self, ANSWER_BATCH_SIZE, MAX_BRANCHES};
use super::{names, query, unread};
use crate::domain::{Marker, Position};
use crate::storage::{InboxEntry, StoreError, Summary};

/// Reads conversations. Its clones are the same one.
#[derive(Clone)]
pub(super) struct Summaries {
    messages: Collection<RawDocumentBuf>,
    inboxes: Collection<RawDocumentBuf>,
    markers: Markers,
    projector: Projector,
    /// What is older counts as read where nothing was marked.
    first_start: Option<Position>,
}

impl Summaries {
    pub(super) fn new(
        database: &Database,
        markers: Markers,
        projector: Projector,
        first_start: Option<Timestamp>,
    ) -> Self {
        Self {
            messages: database.collection(names::MESSAGES),
            inboxes: database.collection(names::INBOXES),
            markers,
            projector,
            first_start: first_start.map(Position::start_of),
        }
    }

    /// See [`crate::storage::InboxStore::summaries`].
    pub(super) async fn of(&self, pairs: &[(UserId, UserId)]) -> Result<Vec<Summary>, StoreError> {
        let (entries, markers) = tokio::try_join!(self.entries(pairs), self.markers(pairs))?;
        let last: Vec<Option<Position>> = entries.iter().map(|entry| Some(entry.as_ref()?.last)).collect();
        self.assemble(pairs, markers, entries, self.newest_at(pairs, &last))
            .await
    }

    /// See [`crate::storage::InboxStore::listed`].
    pub(super) async fn listed(&self, user: UserId, entries: &[InboxEntry]) -> Result<Vec<Summary>, StoreError> {
        let pairs: Vec<(UserId, UserId)> = entries.iter().map(|entry| (user, entry.peer)).collect();
        let last: Vec<Option<Position>> = entries.iter().map(|entry| Some(entry.last)).collect();
        let newest = self.newest_at(&pairs, &last);
        let (entries, markers, newest) = tokio::try_join!(self.entries(&pairs), self.markers(&pairs), newest)?;
        self.assemble(&pairs, markers, entries, async { Ok(newest) }).await
    }

    /// Conversations with their newest messages; `entries` is what inboxes say of them, as far as is known.
    async fn assemble(
        &self,
        pairs: &[(UserId, UserId)],
        markers: HashMap<(UserId, UserId), Marker>,
        entries: Vec<Option<Entry>>,
        newest: impl Future<Output = Result<Vec<Option<Message>>, StoreError>>,
    ) -> Result<Vec<Summary>, StoreError> {
        let read = |pair: &(UserId, UserId)| self.read_up_to(markers.get(pair));
        let counted: Vec<usize> = (0..pairs.len())
            .filter(|index| match entries[*index] {
                Some(entry) => match entry.incoming {
                    Some(Incoming::None) => false,
                    // What is newer is the viewer's own.
                    Some(Incoming::Last(last)) => {
                        last == entry.last && read(&pairs[*index]).is_none_or(|read| read < last)
                    }
                    None => true,
                },
                None => true,
            })
            .collect();
        let asked: Vec<(UserId, UserId)> = counted.iter().map(|index| pairs[*index]).collect();
        let places: Vec<Option<Position>> = asked.iter().map(read).collect();
        let (counts, newest) = tokio::try_join!(self.unanswered(&asked, places), newest)?;
        let mut unread = vec![0; pairs.len()];
        for (index, count) in counted.into_iter().zip(counts) {
            unread[index] = count;
        }
        let summary = |((pair, unread), last): ((&(UserId, UserId), u32), Option<Message>)| Summary {
            last,
            unread,
            own: markers.get(pair).copied(),
            peers: markers.get(&(pair.1, pair.0)).copied(),
        };
        Ok(pairs.iter().zip(unread).zip(newest).map(summary).collect())
    }

    /// The markers of both people of each conversation.
    async fn markers(&self, pairs: &[(UserId, UserId)]) -> Result<HashMap<(UserId, UserId), Marker>, StoreError> {
        let both = pairs
            .iter()
            .flat_map(|(viewer, peer)| [(*viewer, *peer), (*peer, *viewer)]);
        self.markers.find(both.collect::<HashSet<_>>()).await
    }

    /// What inboxes say of conversations, with what waits to be written into them. Nothing where that is not certain.
    async fn entries(&self, pairs: &[(UserId, UserId)]) -> Result<Vec<Option<Entry>>, StoreError> {
        // First what waits: an entry that waits no longer is in the database by now.
        let Some(waiting) = self.projector.waiting(pairs) else {
            return Ok(vec![None; pairs.len()]);
        };
        let keys: HashSet<&(UserId, UserId)> = pairs.iter().collect();
        let keys: Vec<Document> = keys
            .into_iter()
            .map(|(viewer, peer)| entry::key(*viewer, *peer))
            .collect();
        let find = self
            .inboxes
            .find(doc! { "_id": { "$in": keys } })
            .batch_size(ANSWER_BATCH_SIZE)
            .max_time(READ_TIMEOUT);
        let stored = query::all("reading inboxes", READ_TIMEOUT, find, Entry::read).await?;
        let stored: HashMap<(UserId, UserId), Entry> = stored.into_iter().collect();
        let entry = |(pair, waiting): (&(UserId, UserId), Option<Entry>)| match (stored.get(pair), waiting) {
            (Some(stored), Some(waiting)) => Some(stored.merge(waiting)),
            // Nothing was written yet, and what waits is everything.
            (stored, waiting) => waiting.or_else(|| stored.copied()),
        };
        Ok(pairs.iter().zip(waiting).map(entry).collect())
    }

    /// The messages that are listed at these positions; the newest one of a conversation where none is given, or its message
    /// is gone.
    async fn newest_at(
        &self,
        pairs: &[(UserId, UserId)],
        places: &[Option<Position>],
    ) -> Result<Vec<Option<Message>>, StoreError> {
        // Both people of a conversation may be in the pairs.
        let ids: HashSet<ObjectId> = places.iter().flatten().map(|place| message_key(place.id)).collect();
        let ids: Vec<ObjectId> = ids.into_iter().collect();
        let find = self
            .messages
            .find(doc! { "_id": { "$in": ids } })
            .batch_size(ANSWER_BATCH_SIZE)
            .max_time(READ_TIMEOUT);
        let found = query::all("reading newest messages", READ_TIMEOUT, find, document::message).await?;
        let found: HashMap<MessageId, Message> = found.into_iter().map(|message| (message.id, message)).collect();
        let newest = |place: &Option<Position>| found.get(&place.as_ref()?.id).cloned();
        let mut newest: Vec<Option<Message>> = places.iter().map(newest).collect();
        let gone: Vec<usize> = (0..pairs.len()).filter(|index| newest[*index].is_none()).collect();
        let searched: Vec<(UserId, UserId)> = gone.iter().map(|index| pairs[*index]).collect();
        for (index, message) in gone.into_iter().zip(self.newest(&searched).await?) {
            newest[index] = message;
        }
        Ok(newest)
    }

    /// How many messages of each of these peers a user has not read, as in [`Summary::unread`].
    pub(super) async fn unread_from(&self, user: UserId, peers: &[UserId]) -> Result<Vec<u32>, StoreError> {
        let pairs: Vec<(UserId, UserId)> = peers.iter().map(|peer| (user, *peer)).collect();
        let markers = self.markers.find(pairs.iter().copied()).await?;
        let places = pairs.iter().map(|pair| self.read_up_to(markers.get(pair))).collect();
        self.unanswered(&pairs, places).await
    }

    /// Up to where the owner of a marker has read, apart from own messages: as was marked, else what is older than the
    /// first start.
    fn read_up_to(&self, marker: Option<&Marker>) -> Option<Position> {
        let marked = marker.and_then(|marker| marker.read).map(|read| read.place);
        marked.or(self.first_start)
    }

    /// Counts the messages of each peer after what the viewer has read and the viewer's own newest message.
    async fn unanswered(
        &self,
        pairs: &[(UserId, UserId)],
        mut places: Vec<Option<Position>>,
    ) -> Result<Vec<u32>, StoreError> {
        let own = self.newest_own(pairs).await?;
        for ((viewer, peer), place) in pairs.iter().zip(&mut places) {
            *place = own.get(&(*peer, *viewer)).copied().max(*place);
        }
        unread::count(&self.messages, pairs, &places).await
    }

    /// Where the newest message of each viewer to the peer is listed, by receiver and sender.
    async fn newest_own(&self, pairs: &[(UserId, UserId)]) -> Result<HashMap<(UserId, UserId), Position>, StoreError> {
        let newest = |(viewer, peer): &(UserId, UserId)| {
            let mut branch = newest_of(*viewer, *peer);
            // The index alone answers this.
            branch.push(doc! { "$project": { "_id": 1, "sender": 1, "receiver": 1, "createdAt": 1 } });
            branch
        };
        let branches: Vec<_> = pairs.iter().map(newest).collect();
        let found = union::read(&self.messages, branches, 2 * MAX_BRANCHES, unread::listed).await?;
        Ok(found.into_iter().collect())
    }

    /// The newest message of each conversation.
    pub(super) async fn newest(&self, pairs: &[(UserId, UserId)]) -> Result<Vec<Option<Message>>, StoreError> {
        if pairs.is_empty() {
            return Ok(Vec::new());
        }
        // Often both people of a conversation are in the pairs.
        let directions: HashSet<(UserId, UserId)> = pairs
            .iter()
            .flat_map(|(viewer, peer)| [(*viewer, *peer), (*peer, *viewer)])
            .collect();
        let branches = directions
            .into_iter()
            .map(|(sender, receiver)| newest_of(sender, receiver))
            .collect();
        let found = union::read(&self.messages, branches, 2 * MAX_BRANCHES, document::message).await?;
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

    /// Sets whether inboxes hold all conversations.
    pub(super) fn inboxes_are_complete(&self, complete: bool) {
        self.projector.set_complete(complete);
    }

    /// See [`crate::storage::InboxStore::acquainted`].
    pub(super) async fn acquainted(&self, user: UserId, others: &[UserId]) -> Result<HashSet<UserId>, StoreError> {
        let others: Vec<Bson> = others.iter().copied().map(user_key).collect();
        let direction = async |own: &str, theirs: &str| {
            let filter = doc! { own: user_key(user), theirs: { "$in": &others } };
            let found = self.messages.distinct(theirs, filter).max_time(READ_TIMEOUT);
            bounded("finding who has exchanged messages", READ_TIMEOUT, found).await
        };
        let (written, received) = tokio::try_join!(direction("sender", "receiver"), direction("receiver", "sender"))?;
        let ids = written.into_iter().chain(received);
        Ok(ids.filter_map(|id| id.as_object_id().map(document::user_id)).collect())
    }
}

/// Finds the newest message from one to another.
fn newest_of(sender: UserId, receiver: UserId) -> Vec<Document> {
    vec![
        doc! { "$match": { "sender": user_key(sender), "receiver": user_key(receiver) } },
        doc! { "$sort": { "createdAt": -1, "_id": -1 } },
        doc! { "$limit": 1 },
    ]
}
