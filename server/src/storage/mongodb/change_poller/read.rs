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
use super::{BATCH, BATCH_BYTES, LIMIT, PAGE, Task, ids, to_seconds};
use crate::domain::RemoteChange;
use crate::storage::StoreError;
use crate::storage::mongodb::append::RENEWED;
use crate::storage::mongodb::document::{self, id_seconds};
use crate::storage::mongodb::error::bounded;
use crate::storage::mongodb::markers::Stored;
use crate::storage::mongodb::query;
use crate::storage::mongodb::timeouts::READ_TIMEOUT;

/// When settings were changed.
const SETTINGS_TIME: &str = "settings.updatedAt";

impl Task {
    /// Reads all of a slice and hands it out.
    pub(super) async fn read_slice(&mut self, slice: &Slice, now: i64) -> Result<(), StoreError> {
        self.look_at_doubts(to_seconds(slice.settled)).await?;
        self.look_at_messages(slice, now).await?;
        self.look_at_markers(&slice.spans).await?;
        self.look_at_settings(&slice.spans).await
    }

    /// Looks for the messages of this process of which it did not hear whether they are stored, once it is too late for them to
    /// become it.
    async fn look_at_doubts(&mut self, settled: u32) -> Result<(), StoreError> {
        for doubts in self.projector.doubts(settled).chunks(BATCH) {
            let ids = doubts.iter().copied().map(document::message_key).collect();
            let mut cursor = self.messages(ids).await?;
            let mut ended = false;
            while !ended {
                let mut messages;
                (messages, ended) = bounded("reading messages in doubt", READ_TIMEOUT, some(&mut cursor)).await?;
                // Whoever was sent again meanwhile was told by that.
                messages.retain(|message| self.projector.found(message.id));
                self.projector.add(messages.iter());
                self.tell(messages.into_iter().map(RemoteChange::Message).collect())
                    .await;
            }
            self.projector.settle_doubts(doubts);
        }
        Ok(())
    }

    /// By their ids, and by what is announced.
    async fn look_at_messages(&mut self, slice: &Slice, now: i64) -> Result<(), StoreError> {
        let spans = &slice.spans;
        let end = spans.last().map_or(0, |(_, to)| to_seconds(*to));
        let own = &self.shared.own;
        let mut ranges: Vec<Document> = spans
            .iter()
            .flat_map(|(from, to)| own.ranges(to_seconds(*from), to_seconds(*to), to_seconds(now)))
            .collect();
        loop {
            let found = self.ids_in(&ranges).await?;
            let full = found.last().copied().filter(|_| found.len() == PAGE);
            match full {
                Some(last) => ids::go_on(&mut ranges, last),
                None => ranges.clear(),
            }
            // Read after the ids and handed out among them: whoever stored a message late announced it before it stored what was
            // sent after that. What lies beyond this page or slice is read with the next one again.
            let announced = self.look_at_renewals(&slice.announced).await?;
            let announced = announced.into_iter().filter(|id| {
                let second = id_seconds(document::message_id(*id));
                second < end && full.is_none_or(|last| *id <= last)
            });
            let found = found.into_iter().filter(|id| !self.shared.own.is_own(id));
            let ids: BTreeSet<ObjectId> = found.chain(announced).collect();
            let new = ids.into_iter().map(ChangeKey::Message);
            let new = new.filter(|sight| !self.seen.contains(sight)).collect();
            self.take_messages(new).await?;
            if ranges.is_empty() {
                return Ok(());
            }
        }
    }

    /// The first [`PAGE`] ids of these ranges, in order.
    async fn ids_in(&self, ranges: &[Document]) -> Result<Vec<ObjectId>, StoreError> {
        if ranges.is_empty() {
            return Ok(Vec::new());
        }
        let find = self
            .messages
            .find(doc! { "$or": ranges })
            .projection(doc! { "_id": 1 })
            .sort(doc! { "_id": 1 })
            .limit(LIMIT)
            .batch_size(PAGE as u32)
            .comment("follower")
            .max_time(READ_TIMEOUT);
        query::all(
            "looking for messages of others",
            READ_TIMEOUT,
            find,
            document::object_id,
        )
        .await
    }

    /// Hands out what was renewed, and returns what was only announced.
    async fn look_at_renewals(&mut self, spans: &[(i64, i64)]) -> Result<Vec<ObjectId>, StoreError> {
        let (mut after, mut announced) = (None, Vec::new());
        loop {
            let others = doc! { "$or": times("at", spans), "node": { "$ne": self.node } };
            let find = page(&self.renewals, others, "at", after);
            let found = query::all("looking for renewed messages", READ_TIMEOUT, find, |renewal| {
                let renewed = renewal.get_bool(RENEWED).unwrap_or(true);
                Some((place(renewal, "at")?, (document::object_id(renewal)?, renewed)))
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
            renewed.retain(|sight| !self.seen.contains(sight));
            self.take_messages(renewed).await?;
            if after.is_none() {
                return Ok(announced);
            }
        }
    }

    /// Whether an announced message was not handed out: not here when it was stored, and not when its time settled.
    fn is_news(&self, id: ObjectId) -> bool {
        let has_settled = id_seconds(document::message_id(id)) < to_seconds(self.settled);
        !has_settled && !self.shared.own.is_own(&id) && !self.seen.contains(&ChangeKey::Message(id))
    }

    async fn look_at_markers(&mut self, spans: &[(i64, i64)]) -> Result<(), StoreError> {
        if !self.is_heard() {
            return Ok(());
        }
        let mut after = None;
        loop {
            let others = doc! { "$or": times("updatedAt", spans), "node": { "$ne": self.node } };
            let find = page(&self.markers, others, "updatedAt", after);
            let found = query::all("looking for markers of others", READ_TIMEOUT, find, |marker| {
                Some((place(marker, "updatedAt")?, Stored::read(marker)))
            })
            .await?;
            after = next_page(&found);
            let mut changes = Vec::new();
            for stored in found.into_iter().filter_map(|(_, stored)| stored) {
                let sight = ChangeKey::Marker(stored.marker.user, stored.marker.peer, stored.updated_at);
                if self.seen.insert(sight) {
                    changes.push(RemoteChange::Marker(stored.marker));
                }
            }
            self.tell_all(changes).await;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Whose settings other processes have changed, or this one without hearing that it did. A later change here takes the
    /// place of one that was not seen yet; whoever is told of that hears of both.
    async fn look_at_settings(&mut self, spans: &[(i64, i64)]) -> Result<(), StoreError> {
        if !self.is_heard() {
            return Ok(());
        }
        let mut after = None;
        loop {
            let node = *self.settings_node.lock();
            let others = doc! { "$or": times(SETTINGS_TIME, spans), "settings.node": { "$ne": node } };
            let find = page(&self.users, others, SETTINGS_TIME, after);
            let find = find.projection(doc! { SETTINGS_TIME: 1, "settings.changes": 1 });
            let found = query::all("looking for settings of others", READ_TIMEOUT, find, |user| {
                let who = document::user_id(document::object_id(user)?);
                let version = document::version(user.get_document("settings").ok()?);
                Some((place(user, SETTINGS_TIME)?, (who, version)))
            })
            .await?;
            after = next_page(&found);
            let mut new = Vec::new();
            for ((at, _), (user, version)) in found {
                let sight = ChangeKey::Settings(user, document::timestamp(at), version);
                if self.seen.insert(sight) {
                    new.push(RemoteChange::Settings(user));
                }
            }
            self.tell_all(new).await;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Hands changes out in batches.
    async fn tell_all(&self, mut changes: Vec<RemoteChange>) {
        while !changes.is_empty() {
            let rest = changes.split_off(changes.len().min(BATCH));
            self.tell(std::mem::replace(&mut changes, rest)).await;
        }
    }

    /// The messages of these ids that are stored.
    async fn messages(&self, ids: Vec<ObjectId>) -> Result<Cursor<RawDocumentBuf>, StoreError> {
        let find = self
            .messages
            .find(doc! { "_id": { "$in": ids } })
            .batch_size(BATCH as u32)
            .comment("follower")
            .max_time(READ_TIMEOUT);
        bounded("reading messages of others", READ_TIMEOUT, find).await
    }

    /// Projects messages, unless the node that stored them does, and hands them out.
    async fn take_messages(&mut self, sights: Vec<ChangeKey>) -> Result<(), StoreError> {
        for sights in sights.chunks(BATCH) {
            let ids: Vec<ObjectId> = sights.iter().filter_map(ChangeKey::message).collect();
            let mut cursor = self.messages(ids).await?;
            let mut ended = false;
            while !ended {
                let messages;
                (messages, ended) = bounded("reading messages of others", READ_TIMEOUT, some(&mut cursor)).await?;
                // The claims of others are about what is stored in time.
                let in_time = matches!(sights.first(), Some(ChangeKey::Message(_)));
                let projects =
                    |message: &&Message| in_time && self.writers.projects(&document::message_key(message.id));
                let (theirs, ours): (Vec<&Message>, Vec<&Message>) = messages.iter().partition(projects);
                self.projector.hold(theirs.into_iter());
                self.projector.add(ours.into_iter());
                // One that was renewed may lie in a second that has not settled.
                let found = messages.iter().map(|message| document::message_key(message.id));
                found.for_each(|id| _ = self.seen.insert(ChangeKey::Message(id)));
                self.tell(messages.into_iter().map(RemoteChange::Message).collect())
                    .await;
            }
            for sight in sights {
                self.seen.insert(*sight);
            }
        }
        Ok(())
    }
}

/// The next messages of a cursor, about [`BATCH_BYTES`], and whether they are the last. It must not be asked again then.
async fn some(cursor: &mut Cursor<RawDocumentBuf>) -> mongodb::error::Result<(Vec<Message>, bool)> {
    let (mut messages, mut bytes) = (Vec::new(), 0);
    while bytes < BATCH_BYTES {
        if !cursor.advance().await? {
            return Ok((messages, true));
        }
        bytes += cursor.current().as_bytes().len();
        messages.extend(document::message(cursor.current()));
    }
    Ok((messages, false))
}

/// Where a document stands in the order of a time and the ids.
type Place = (DateTime, Bson);

/// Where the page after this one begins, if there may be one.
fn next_page<T>(found: &[(Place, T)]) -> Option<Place> {
    let (last, _) = found.last().filter(|_| found.len() == PAGE)?;
    Some(last.clone())
}

/// The place of a document by a field, which may lie in another one, as in `settings.updatedAt`.
fn place(document: &RawDocument, time: &str) -> Option<Place> {
    let id = document.get("_id").ok().flatten()?;
    let at = match time.split_once('.') {
        Some((outer, inner)) => document.get_document(outer).ok()?.get_datetime(inner),
        None => document.get_datetime(time),
    };
    Some((at.ok()?, id.try_into().ok()?))
}

/// A page of what lies behind a time and id, in the order of these.
fn page<'a>(
    collection: &'a Collection<RawDocumentBuf>,
    filter: Document,
    time: &str,
    after: Option<Place>,
) -> Find<'a, RawDocumentBuf> {
    let mut filters = vec![filter];
    if let Some((at, id)) = after {
        let tied = doc! { time: at, "_id": { "$gt": id } };
        filters.push(doc! { "$or": [tied, { time: { "$gt": at } }] });
    }
    let find = collection.find(doc! { "$and": filters });
    find.sort(doc! { time: 1, "_id": 1 })
        .limit(LIMIT)
        .batch_size(PAGE as u32)
        .comment("follower")
        .max_time(READ_TIMEOUT)
}

/// Documents whose time lies in one of these spans.
fn times(field: &str, spans: &[(i64, i64)]) -> Vec<Document> {
    let within = |(from, to): &(i64, i64)| {
        let (from, to) = (DateTime::from_millis(*from), DateTime::from_millis(*to));
        doc! { field: { "$gte": from, "$lt": to } }
    };
    spans.iter().map(within).collect()
}
