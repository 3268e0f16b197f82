//! Catching up: what a user missed since a cursor, as the user may see it.

use std::collections::HashMap;

use shared::sync::{Receipt, SyncRequest, Synced};
use shared::{MessageId, Settings, SyncEvent, UserId, limits};

use super::Chat;
use super::error::Error;
use super::paging::checked_limit;
use crate::domain::{Change, Cursor, Marker};
use crate::storage::{ChangesError, Store, StoreError};

/// A page of what a user missed.
pub struct Missed {
    /// What changed, oldest first.
    pub events: Vec<SyncEvent>,
    /// The cursor after it.
    pub next: Cursor,
    /// Whether there is more now.
    pub more: bool,
}

impl<R> Chat<R> {
    /// What changed for a user since the cursor of a request, or without a cursor what there is.
    ///
    /// # Errors
    /// The limit or the cursor can't be used, or reading failed.
    pub async fn sync(&self, user: UserId, request: SyncRequest) -> Result<Synced, Error> {
        let limit = checked_limit(request.limit)?.unwrap_or(limits::MAX_PAGE);
        let Some(since) = request.since.filter(|since| !since.is_empty()) else {
            return self.begin(user).await;
        };
        let missed = self.missed(user, &Cursor::parse(&since)?, limit).await?;
        Ok(Synced {
            events: missed.events,
            next: missed.next.to_string(),
            has_more: missed.more,
            inbox: None,
        })
    }

    /// The cursor is taken first: what changes while the inbox is read comes after it.
    async fn begin(&self, user: UserId) -> Result<Synced, Error> {
        let next = self.cursor().to_string();
        let inbox = self.conversations(user, None, limits::DEFAULT_PAGE).await?;
        Ok(Synced {
            events: Vec::new(),
            next,
            has_more: false,
            inbox: Some(inbox),
        })
    }

    /// Reads up to `limit` changes that concern a user since a cursor; each can be a few events.
    ///
    /// # Errors
    /// The cursor can't be used, or reading failed.
    pub async fn missed(&self, user: UserId, since: &Cursor, limit: usize) -> Result<Missed, Error> {
        self.read(user, missed(&*self.reader.store, user, since, limit)).await
    }

    /// The cursor of a client that has received everything up to now.
    pub fn cursor(&self) -> Cursor {
        self.dispatcher.watermark.cursor()
    }
}

async fn missed(store: &dyn Store, user: UserId, since: &Cursor, limit: usize) -> Result<Missed, ChangesError> {
    let page = store.changes(user, since, limit).await?;
    let settings = settings_of_readers(store, user, &page.changes).await?;
    let shown = |reader: UserId| {
        let allows = |one: &UserId| settings.get(one).is_none_or(|settings| settings.read_receipts);
        reader == user || (allows(&reader) && allows(&user))
    };
    let mut events = Vec::with_capacity(page.changes.len());
    for change in page.changes {
        match change {
            Change::Message(message) => events.push(SyncEvent::Message { message }),
            Change::Marker(marker) => events.extend(receipts(&marker, shown(marker.user))),
            Change::Settings(settings) => events.push(SyncEvent::Settings { settings }),
        }
    }
    Ok(Missed {
        events,
        next: page.next,
        more: page.more,
    })
}

/// The settings that decide whether a user may see what others have read: theirs and the user's own.
async fn settings_of_readers(
    store: &dyn Store,
    user: UserId,
    changes: &[Change],
) -> Result<HashMap<UserId, Settings>, StoreError> {
    let mut people: Vec<UserId> = changes
        .iter()
        .filter_map(|change| match change {
            Change::Marker(marker) if marker.user != user && marker.read.is_some() => Some(marker.user),
            _ => None,
        })
        .collect();
    if people.is_empty() {
        return Ok(HashMap::new());
    }
    people.push(user);
    people.sort_unstable();
    people.dedup();
    let settings = store.settings(&people).await?;
    Ok(people.into_iter().zip(settings).collect())
}

/// What a marker says. Having read implies having received, which is then not said as well.
fn receipts(marker: &Marker, read_shown: bool) -> impl Iterator<Item = SyncEvent> {
    let receipt = |up_to: MessageId, at| Receipt {
        user_id: marker.user,
        peer_id: Some(marker.peer),
        up_to,
        at,
    };
    let read = marker.read.filter(|_| read_shown);
    let delivered = marker
        .delivered
        .filter(|delivered| read.is_none_or(|read| read.place < delivered.place));
    [
        delivered.map(|mark| SyncEvent::MessagesDelivered(receipt(mark.place.id, mark.at))),
        read.map(|mark| SyncEvent::MessagesRead(receipt(mark.place.id, mark.at))),
    ]
    .into_iter()
    .flatten()
}
