//! A page of a user's feed: messages of both directions, watermarks, and the user's own settings.
//!
//! Each of them is read in the order of the feed from an index led by the user, up to one more than the page holds, so
//! a page costs the same however long the feed is. What cursors mean is in [`pages`](super::pages).

use std::cmp::Ordering;

use bson::oid::ObjectId;
use bson::raw::{RawDocument, RawDocumentBuf};
use bson::{DateTime, Document, doc};
use mongodb::{Collection, Database};
use shared::{Timestamp, UserId};

use super::document::{self, user_key};
use super::markers::StoredMarker;
use super::pages::{FeedPosition, Run};
use super::timeouts::READ_TIMEOUT;
use super::window::Clock;
use super::{names, query};
use crate::domain::{Change, Changes, Cursor, Instance};
use crate::storage::size::{self, Enough};
use crate::storage::{ChangesError, StoreError};

/// The kinds of changes, in the order that those of one moment have.
const MESSAGE: u8 = 0;
const MARKER: u8 = 1;
const SETTINGS: u8 = 2;

/// Messages that mongod sends at once, and that the driver holds: 2 MiB of the longest ones.
const BATCH_SIZE: u32 = 128;

/// Reads feeds.
pub(super) struct Feed {
    messages: Collection<RawDocumentBuf>,
    markers: Collection<RawDocumentBuf>,
    users: Collection<RawDocumentBuf>,
    instance: Instance,
    clock: Clock,
}

/// What belongs to a page of the moment at which it begins.
enum Tie {
    All,
    None,
    /// What has a greater id.
    Above(ObjectId),
    /// What has this id or a greater one.
    From(ObjectId),
}

impl Feed {
    pub(super) fn new(database: &Database, instance: Instance, clock: Clock) -> Self {
        Self {
            messages: database.collection(names::MESSAGES),
            markers: database.collection(names::MARKERS),
            users: database.collection(names::USERS),
            instance,
            clock,
        }
    }

    /// A cursor of this database.
    pub(super) fn cursor(&self, point: i64) -> Cursor {
        Cursor::at(self.instance, point)
    }

    /// See [`crate::storage::FeedStore::changes`].
    pub(super) async fn changes(&self, user: UserId, since: &Cursor, limit: usize) -> Result<Changes, ChangesError> {
        let now = (self.clock)();
        if since.instance != self.instance {
            return Err(ChangesError::Reset("the cursor belongs to another database"));
        }
        // Every cursor lies further back than clocks may differ. A cursor of a clock that was ahead would miss what comes
        // until then.
        if since.point > now.millis() {
            return Err(ChangesError::Reset("the cursor lies in the future"));
        }
        let limit = limit.max(1);
        let run = Run::resume(since, now);
        if run.after.as_ref().is_some_and(|(_, key)| !is_key(key)) {
            return Err(ChangesError::Reset("the cursor is damaged"));
        }
        let more = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
        let at = run.first_moment();
        let tie = |kind, within: &dyn Fn(&[u8]) -> Tie| tie(&run, kind, within);
        let by_id = tie(MESSAGE, &|key| Tie::Above(id(key)));
        let by_peer = tie(MARKER, &|key| match user.bytes()[..].cmp(&key[..12]) {
            Ordering::Less => Tie::None,
            Ordering::Equal => Tie::Above(id(&key[12..])),
            Ordering::Greater => Tie::All,
        });
        let by_user = tie(MARKER, &|key| match user.bytes()[..] > key[12..] {
            true => Tie::From(id(key)),
            false => Tie::Above(id(key)),
        });
        let by_nothing = tie(SETTINGS, &|_| Tie::None);
        let mut directions = filters("sender", user, at, "_id", &by_id);
        directions.extend(filters("receiver", user, at, "_id", &by_id));
        let (messages, own, peers, settings) = tokio::try_join!(
            self.messages(directions, limit),
            self.markers(filters("_id.user", user, at, "_id.peer", &by_peer), "_id.peer", more),
            self.markers(filters("_id.peer", user, at, "_id.user", &by_user), "_id.user", more),
            self.settings(user, at, &by_nothing),
        )?;
        let mut found = messages;
        found.extend(own);
        found.extend(peers);
        found.extend(settings);
        found.sort_by(|(left, _), (right, _)| left.cmp(right));
        // A watermark in a conversation with oneself is found twice.
        found.dedup_by(|(left, _), (right, _)| left == right);
        let held = size::that_fit(found.iter().map(|(_, change)| size::change_bytes(change)), limit);
        let full = held < found.len();
        found.truncate(held);
        let more = full || run.is_stale();
        let last = found.last().filter(|_| full).map(|(place, _)| place.clone());
        let (point, page) = run.next(last);
        Ok(Changes {
            changes: found.into_iter().map(|(_, change)| change).collect(),
            next: Cursor {
                instance: self.instance,
                point,
                page,
            },
            more,
        })
    }

    /// One more than a page of up to `limit` holds, if there are so many.
    async fn messages(&self, branches: Vec<Document>, limit: usize) -> Result<Vec<(FeedPosition, Change)>, StoreError> {
        let find = self
            .messages
            .find(doc! { "$or": branches })
            .sort(doc! { "updatedAt": 1, "_id": 1 })
            .limit(i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1))
            .batch_size(BATCH_SIZE)
            .max_time(READ_TIMEOUT);
        let read = |document: &RawDocument| {
            let message = document::message(document)?;
            let place = place(message.updated_at?, MESSAGE, &[message.id.bytes()]);
            Some((place, Change::Message(message)))
        };
        let mut enough = Enough::of(limit);
        let is_enough = |(_, change): &(FeedPosition, Change)| enough.with(size::change_bytes(change));
        query::until("reading changed messages", READ_TIMEOUT, find, read, is_enough).await
    }

    /// Markers by an index that begins with one of the two people; `other` orders those of one moment.
    async fn markers(
        &self,
        branches: Vec<Document>,
        other: &str,
        limit: i64,
    ) -> Result<Vec<(FeedPosition, Change)>, StoreError> {
        let find = self
            .markers
            .find(doc! { "$or": branches })
            .sort(doc! { "updatedAt": 1, other: 1 })
            .limit(limit)
            .max_time(READ_TIMEOUT);
        query::all("reading changed markers", READ_TIMEOUT, find, |document| {
            let StoredMarker { marker, updated_at, .. } = StoredMarker::read(document)?;
            let place = place(updated_at, MARKER, &[marker.user.bytes(), marker.peer.bytes()]);
            Some((place, Change::Marker(marker)))
        })
        .await
    }

    async fn settings(&self, user: UserId, at: i64, tie: &Tie) -> Result<Option<(FeedPosition, Change)>, StoreError> {
        let comparison = match tie {
            Tie::None => "$gt",
            _ => "$gte",
        };
        let changed = doc! { "_id": user_key(user), "settings.updatedAt": { comparison: DateTime::from_millis(at) } };
        let find = self.users.find(changed).max_time(READ_TIMEOUT);
        let found = query::all("reading changed settings", READ_TIMEOUT, find, |document| {
            let at = document.get_document("settings").ok()?.get_datetime("updatedAt").ok()?;
            let change = Change::Settings(document::settings(document));
            Some((place(document::timestamp(at), SETTINGS, &[]), change))
        });
        Ok(found.await?.pop())
    }
}

/// What of one kind belongs to the page of the moment at which it begins; `within` decides it for a key of this kind.
fn tie(run: &Run, kind: u8, within: &dyn Fn(&[u8]) -> Tie) -> Tie {
    let Some((&first, rest)) = run.after.as_ref().and_then(|(_, key)| key.split_first()) else {
        return Tie::All;
    };
    match first.cmp(&kind) {
        Ordering::Less => Tie::All,
        Ordering::Equal => within(rest),
        Ordering::Greater => Tie::None,
    }
}

/// What comes after the beginning of a page, as branches each of which one index delivers in the feed's order.
fn filters(led: &str, user: UserId, at: i64, other: &str, tie: &Tie) -> Vec<Document> {
    let moment = DateTime::from_millis(at);
    let later = |comparison: &str| doc! { led: user_key(user), "updatedAt": { comparison: moment } };
    let tied =
        |comparison: &str, id: &ObjectId| doc! { led: user_key(user), "updatedAt": moment, other: { comparison: id } };
    match tie {
        Tie::All => vec![later("$gte")],
        Tie::None => vec![later("$gt")],
        Tie::Above(id) => vec![tied("$gt", id), later("$gt")],
        Tie::From(id) => vec![tied("$gte", id), later("$gt")],
    }
}

fn place(at: Timestamp, kind: u8, ids: &[[u8; 12]]) -> FeedPosition {
    let mut key = vec![kind];
    key.extend(ids.iter().flatten());
    (at.millis(), key)
}

/// Whether bytes, which may come from anybody, are a key of [`place`].
fn is_key(key: &[u8]) -> bool {
    matches!(
        (key.first(), key.len()),
        (Some(&MESSAGE), 13) | (Some(&MARKER), 25) | (Some(&SETTINGS), 1)
    )
}

/// The first id in a key that [`is_key`].
fn id(key: &[u8]) -> ObjectId {
    let mut bytes = [0; 12];
    bytes.copy_from_slice(&key[..12]);
    ObjectId::from_bytes(bytes)
}
