//! Reading a slice: the ids that are new, the renewals, the markers and the settings of a span of time, a page at a time.

use std::collections::BTreeSet;

use bson::oid::ObjectId;
use bson::raw::{RawDocument, RawDocumentBuf};
use bson::{Bson, DateTime, Document, doc};
use mongodb::action::Find;
use mongodb::{Collection, Cursor};
use shared::Message;

use super::seen::ChangeKey;
use super::slices::Slice;
use super::{MAX_BATCH, MAX_BATCH_BYTES, MAX_PAGE, PAGE_LIMIT, Task, ids, to_seconds};
use crate::domain::RemoteChange;
use crate::storage::StoreError;
use crate::storage::mongodb::append::RENEWED;
use crate::storage::mongodb::document::{self, id_seconds};
use crate::storage::mongodb::error::bounded;
use crate::storage::mongodb::markers::StoredMarker;
use crate::storage::mongodb::query;
use crate::storage::mongodb::timeouts::READ_TIMEOUT;

/// When settings were changed.
const SETTINGS_TIME: &str = "settings.updatedAt";

impl Task {
    /// Reads all of a slice and hands it out.
    pub(super) async fn read_slice(&mut self, slice: &Slice, now: i64) -> Result<(), StoreError> {
        self.read_unknown_outcomes(to_seconds(slice.settled)).await?;
        self.read_messages(slice, now).await?;
        self.read_markers(&slice.spans).await?;
        self.read_settings(&slice.spans).await
    }

    /// Reads the messages of this process whose commit had an unknown outcome, once it is too late for them to become visible.
    async fn read_unknown_outcomes(&mut self, settled: u32) -> Result<(), StoreError> {
        for unknown in self.projector.unknown_outcomes(settled).chunks(MAX_BATCH) {
            let ids = unknown.iter().copied().map(document::message_key).collect();
            let mut cursor = self.messages(ids).await?;
            let mut ended = false;
            while !ended {
                let mut messages;
                (messages, ended) = bounded(
                    "reading messages of unknown outcome",
                    READ_TIMEOUT,
                    next_batch(&mut cursor),
                )
                .await?;
                // A message that was sent again meanwhile was delivered by that.
                messages.retain(|message| self.projector.claim_found(message.id));
                self.projector.add(messages.iter());
                self.send(messages.into_iter().map(RemoteChange::Message).collect())
                    .await;
            }
            self.projector.resolve_unknown_outcomes(unknown);
        }
        Ok(())
    }

    /// Reads messages by their ids, and those that are announced.
    async fn read_messages(&mut self, slice: &Slice, now: i64) -> Result<(), StoreError> {
        let spans = &slice.spans;
        let end = spans.last().map_or(0, |(_, to)| to_seconds(*to));
        let own = &self.shared.own;
        let mut ranges: Vec<Document> = spans
            .iter()
            .flat_map(|(from, to)| own.ranges(to_seconds(*from), to_seconds(*to), to_seconds(now)))
            .collect();
        loop {
            let found = self.ids_in(&ranges).await?;
            let full = found.last().copied().filter(|_| found.len() == MAX_PAGE);
            match full {
                Some(last) => ids::advance(&mut ranges, last),
                None => ranges.clear(),
            }
            // Read after the ids and handed out among them: a node that stored a message late announced it before it stored what
            // was sent later. What lies after this page or slice is read with the next one again.
            let announced = self.read_renewals(&slice.announced).await?;
            let announced = announced.into_iter().filter(|id| {
                let second = id_seconds(document::message_id(*id));
                second < end && full.is_none_or(|last| *id <= last)
            });
            let found = found.into_iter().filter(|id| !self.shared.own.is_own(id));
            let ids: BTreeSet<ObjectId> = found.chain(announced).collect();
            let new = ids.into_iter().map(ChangeKey::Message);
            let new = new.filter(|key| !self.seen.contains(key)).collect();
            self.hand_out_messages(new).await?;
            if ranges.is_empty() {
                return Ok(());
            }
        }
    }

    /// The first [`MAX_PAGE`] ids of these ranges, in order.
    async fn ids_in(&self, ranges: &[Document]) -> Result<Vec<ObjectId>, StoreError> {
        if ranges.is_empty() {
            return Ok(Vec::new());
        }
        let find = self
            .messages
            .find(doc! { "$or": ranges })
            .projection(doc! { "_id": 1 })
            .sort(doc! { "_id": 1 })
            .limit(PAGE_LIMIT)
            .batch_size(MAX_PAGE as u32)
            .comment("follower")
            .max_time(READ_TIMEOUT);
        query::all("finding messages of others", READ_TIMEOUT, find, document::object_id).await
    }

    /// Hands out what was renewed, and returns what was only announced.
    async fn read_renewals(&mut self, spans: &[(i64, i64)]) -> Result<Vec<ObjectId>, StoreError> {
        let (mut after, mut announced) = (None, Vec::new());
        loop {
            let others = doc! { "$or": times("at", spans), "node": { "$ne": self.node } };
            let find = page(&self.renewals, others, "at", after);
            let found = query::all("finding renewed messages", READ_TIMEOUT, find, |renewal| {
                let renewed = renewal.get_bool(RENEWED).unwrap_or(true);
                Some((sort_key(renewal, "at")?, (document::object_id(renewal)?, renewed)))
            })
            .await?;
            after = next_page(&found);
            let mut renewed = Vec::new();
            for ((at, _), (id, is_renewed)) in found {
                match is_renewed {
                    true => renewed.push(ChangeKey::Renewal(id, at.timestamp_millis())),
                    false if self.is_news(id) => announced.push(id),
                    false => {}
                }
            }
            renewed.retain(|key| !self.seen.contains(key));
            self.hand_out_messages(renewed).await?;
            if after.is_none() {
                return Ok(announced);
            }
        }
    }

    /// Whether an announced message was not handed out yet: neither when this process stored it, nor when its time settled.
    fn is_news(&self, id: ObjectId) -> bool {
        let has_settled = id_seconds(document::message_id(id)) < to_seconds(self.settled);
        !has_settled && !self.shared.own.is_own(&id) && !self.seen.contains(&ChangeKey::Message(id))
    }

    async fn read_markers(&mut self, spans: &[(i64, i64)]) -> Result<(), StoreError> {
        if !self.has_receiver() {
            return Ok(());
        }
        let mut after = None;
        loop {
            let others = doc! { "$or": times("updatedAt", spans), "node": { "$ne": self.node } };
            let find = page(&self.markers, others, "updatedAt", after);
            let found = query::all("finding markers of others", READ_TIMEOUT, find, |marker| {
                Some((sort_key(marker, "updatedAt")?, StoredMarker::read(marker)))
            })
            .await?;
            after = next_page(&found);
            let mut changes = Vec::new();
            for stored in found.into_iter().filter_map(|(_, stored)| stored) {
                let key = ChangeKey::Marker(stored.marker.user, stored.marker.peer, stored.updated_at);
                if self.seen.insert(key) {
                    changes.push(RemoteChange::Marker(stored.marker));
                }
            }
            self.send_all(changes).await;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Reads whose settings other processes have changed, or this one with an unknown outcome. A later change here replaces one
    /// that was not read yet; its receiver then gets both.
    async fn read_settings(&mut self, spans: &[(i64, i64)]) -> Result<(), StoreError> {
        if !self.has_receiver() {
            return Ok(());
        }
        let mut after = None;
        loop {
            let node = *self.settings_node.lock();
            let others = doc! { "$or": times(SETTINGS_TIME, spans), "settings.node": { "$ne": node } };
            let find = page(&self.users, others, SETTINGS_TIME, after);
            let find = find.projection(doc! { SETTINGS_TIME: 1, "settings.changes": 1 });
            let found = query::all("finding settings of others", READ_TIMEOUT, find, |user| {
                let who = document::user_id(document::object_id(user)?);
                let version = document::version(user.get_document("settings").ok()?);
                Some((sort_key(user, SETTINGS_TIME)?, (who, version)))
            })
            .await?;
            after = next_page(&found);
            let mut new = Vec::new();
            for ((at, _), (user, version)) in found {
                let key = ChangeKey::Settings(user, document::timestamp(at), version);
                if self.seen.insert(key) {
                    new.push(RemoteChange::Settings(user));
                }
            }
            self.send_all(new).await;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Hands changes out in batches.
    async fn send_all(&self, mut changes: Vec<RemoteChange>) {
        while !changes.is_empty() {
            let rest = changes.split_off(changes.len().min(MAX_BATCH));
            self.send(std::mem::replace(&mut changes, rest)).await;
        }
    }

    /// The messages of these ids that are stored.
    async fn messages(&self, ids: Vec<ObjectId>) -> Result<Cursor<RawDocumentBuf>, StoreError> {
        let find = self
            .messages
            .find(doc! { "_id": { "$in": ids } })
            .batch_size(MAX_BATCH as u32)
            .comment("follower")
            .max_time(READ_TIMEOUT);
        bounded("reading messages of others", READ_TIMEOUT, find).await
    }

    /// Projects messages, unless the node that stored them does, and hands them out.
    async fn hand_out_messages(&mut self, keys: Vec<ChangeKey>) -> Result<(), StoreError> {
        for keys in keys.chunks(MAX_BATCH) {
            let ids: Vec<ObjectId> = keys.iter().filter_map(ChangeKey::message).collect();
            let mut cursor = self.messages(ids).await?;
            let mut ended = false;
            while !ended {
                let messages;
                (messages, ended) =
                    bounded("reading messages of others", READ_TIMEOUT, next_batch(&mut cursor)).await?;
                // What other nodes claim to project is what they stored in time.
                let in_time = matches!(keys.first(), Some(ChangeKey::Message(_)));
                let projects =
                    |message: &&Message| in_time && self.writers.projects(&document::message_key(message.id));
                let (theirs, ours): (Vec<&Message>, Vec<&Message>) = messages.iter().partition(projects);
                self.projector.hold(theirs.into_iter());
                self.projector.add(ours.into_iter());
                // One that was renewed may lie in a second that has not settled.
                let found = messages.iter().map(|message| document::message_key(message.id));
                found.for_each(|id| _ = self.seen.insert(ChangeKey::Message(id)));
                self.send(messages.into_iter().map(RemoteChange::Message).collect())
                    .await;
            }
            for key in keys {
                self.seen.insert(*key);
            }
        }
        Ok(())
    }
}

/// The next messages of a cursor, about [`MAX_BATCH_BYTES`], and whether they are the last. It must not be asked again then.
async fn next_batch(cursor: &mut Cursor<RawDocumentBuf>) -> mongodb::error::Result<(Vec<Message>, bool)> {
    let (mut messages, mut bytes) = (Vec::new(), 0);
    while bytes < MAX_BATCH_BYTES {
        if !cursor.advance().await? {
            return Ok((messages, true));
        }
        bytes += cursor.current().as_bytes().len();
        messages.extend(document::message(cursor.current()));
    }
    Ok((messages, false))
}

/// What documents are ordered by: a time, then the id.
type SortKey = (DateTime, Bson);

/// Where the page after this one begins, if there may be one.
fn next_page<T>(found: &[(SortKey, T)]) -> Option<SortKey> {
    let (last, _) = found.last().filter(|_| found.len() == MAX_PAGE)?;
    Some(last.clone())
}

/// The key of a document by a field, which may lie in another one, as in `settings.updatedAt`.
fn sort_key(document: &RawDocument, time: &str) -> Option<SortKey> {
    let id = document.get("_id").ok().flatten()?;
    let at = match time.split_once('.') {
        Some((outer, inner)) => document.get_document(outer).ok()?.get_datetime(inner),
        None => document.get_datetime(time),
    };
    Some((at.ok()?, id.try_into().ok()?))
}

/// A page of what comes after a time and id, in the order of these.
fn page<'a>(
    collection: &'a Collection<RawDocumentBuf>,
    filter: Document,
    time: &str,
    after: Option<SortKey>,
) -> Find<'a, RawDocumentBuf> {
    let mut filters = vec![filter];
    if let Some((at, id)) = after {
        let tied = doc! { time: at, "_id": { "$gt": id } };
        filters.push(doc! { "$or": [tied, { time: { "$gt": at } }] });
    }
    let find = collection.find(doc! { "$and": filters });
    find.sort(doc! { time: 1, "_id": 1 })
        .limit(PAGE_LIMIT)
        .batch_size(MAX_PAGE as u32)
        .comment("follower")
        .max_time(READ_TIMEOUT)
}

/// Filters of the documents whose time lies in one of these spans.
fn times(field: &str, spans: &[(i64, i64)]) -> Vec<Document> {
    let within = |(from, to): &(i64, i64)| {
        let (from, to) = (DateTime::from_millis(*from), DateTime::from_millis(*to));
        doc! { field: { "$gte": from, "$lt": to } }
    };
    spans.iter().map(within).collect()
}
