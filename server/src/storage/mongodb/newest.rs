//! The greatest time of a stored message, from where times go on after a start.

use bson::oid::ObjectId;
use bson::raw::RawDocumentBuf;
use bson::{Document, doc};
use mongodb::Collection;
use shared::Timestamp;

use super::document::{self, id_seconds};
use super::query;
use super::timeouts::READ_TIMEOUT;
use crate::storage::StoreError;

/// Messages among which a query finds the newest one.
const MAX_CANDIDATES: i64 = 100;

/// A `createdAt` counts only up to this long after the time of the greatest id, in milliseconds.
const MAX_AHEAD: i64 = 60_000;

/// See [`crate::storage::MessageStore::newest`].
///
/// The greatest ids lead to it, and those of the last moments before `now`: after a clock that was ahead was set right,
/// messages have ids of their own time, and a `createdAt` just after the greatest id. Documents of other programs can have a
/// `createdAt` that can't be right, so none counts that lies beyond the greatest ids.
pub(super) async fn newest(
    messages: &Collection<RawDocumentBuf>,
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let mut next = [0; 12];
    next[..4].copy_from_slice(
        &u32::try_from(now.millis() / 1_000 + 1)
            .unwrap_or(u32::MAX)
            .to_be_bytes(),
    );
    let (greatest, latest) = tokio::try_join!(
        of_greatest_ids(messages, doc! { "_id": { "$type": "objectId" } }),
        of_greatest_ids(messages, doc! { "_id": { "$lt": ObjectId::from_bytes(next) } }),
    )?;
    let Some(greatest) = greatest.iter().map(|(in_id, created_at)| in_id.min(created_at)).max() else {
        return Ok(None);
    };
    let limit = greatest.millis().saturating_add(MAX_AHEAD);
    let latest = latest.iter().map(|(_, created_at)| created_at);
    Ok(latest
        .filter(|at| at.millis() <= limit)
        .chain([greatest])
        .max()
        .copied())
}

/// The end of the second in an id, and `createdAt`, of those of the matching messages that have the greatest ids.
async fn of_greatest_ids(
    messages: &Collection<RawDocumentBuf>,
    filter: Document,
) -> Result<Vec<(Timestamp, Timestamp)>, StoreError> {
    let find = messages
        .find(filter)
        .projection(doc! { "createdAt": 1 })
        .sort(doc! { "_id": -1 })
        .limit(MAX_CANDIDATES)
        .max_time(READ_TIMEOUT);
    query::all("reading the newest messages", READ_TIMEOUT, find, |document| {
        let message = document::message(document)?;
        let in_id = i64::from(id_seconds(message.id)) * 1_000 + 999;
        Some((Timestamp::from_millis(in_id), message.created_at?))
    })
    .await
}
