//! Writing entries of inboxes.

use std::time::Duration;

use bson::{Bson, Document, doc};
use mongodb::Database;
use shared::{Message, UserId};

use super::entry::{Entry, Incoming, LAST_INCOMING, key};
use super::touches::{Touches, touch};
use crate::domain::Position;
use crate::storage::StoreError;
use crate::storage::mongodb::document::encode_position;
use crate::storage::mongodb::indexes::HINT;
use crate::storage::mongodb::meta::{INBOX_FIELDS, Meta};
use crate::storage::mongodb::names;
use crate::storage::mongodb::query::{self, Order};
use crate::storage::mongodb::timeouts::WRITE_TIMEOUT;

/// How long completing the inboxes of an earlier version may take, once; on 1.6 million it takes less than a minute.
const COMPLETE_TIMEOUT: Duration = Duration::from_secs(600);

/// Most entries of one command.
pub(super) const MAX_STATEMENTS: usize = 500;

/// Projects messages at once, durably.
pub(in crate::storage::mongodb) async fn project(database: &Database, messages: &[Message]) -> Result<(), StoreError> {
    let mut touches = Touches::new();
    for message in messages {
        if let (Some(sender), Some(receiver)) = (message.sender, message.receiver) {
            touch(&mut touches, sender, receiver, Position::of(message));
        }
    }
    write(database, &touches).await
}

/// Writes entries, durably.
pub(super) async fn write(database: &Database, touches: &Touches) -> Result<(), StoreError> {
    let all: Vec<(UserId, UserId, Entry)> = touches
        .iter()
        .flat_map(|(owner, entries)| entries.iter().map(|(peer, touch)| (*owner, *peer, *touch)))
        .collect();
    // Statements are made when they are written: one takes many times the memory of its entry.
    for entries in all.chunks(MAX_STATEMENTS) {
        let statements = entries
            .iter()
            .map(|(owner, peer, touch)| statement(*owner, *peer, *touch));
        let command = query::update(names::INBOXES, statements.collect(), Order::Any);
        query::run_update("writing inboxes", WRITE_TIMEOUT, database, command).await?;
    }
    Ok(())
}

/// Gives the inboxes of earlier versions the field that they lack. Their newest message is not older than the newest that
/// was received, so no unread message is missed. Without the field an old message that is projected late would be taken for
/// the newest.
///
/// This reads all inboxes, so it is done once and remembered. Later inboxes are written with the field, so no server of such
/// an earlier version may run beside this one, or come after it; if one did, `chatctl rebuild` repairs the inboxes.
pub(in crate::storage::mongodb) async fn complete(database: &Database, meta: &Meta) -> Result<(), StoreError> {
    if meta.has(INBOX_FIELDS).await? {
        return Ok(());
    }
    let lacking = doc! { LAST_INCOMING: { "$exists": false } };
    let update = vec![doc! { "$set": { LAST_INCOMING: "$last" } }];
    let statement = doc! { "q": lacking, "u": update, "multi": true };
    let command = query::update(names::INBOXES, vec![statement], Order::Any);
    query::run_update("completing inboxes", COMPLETE_TIMEOUT, database, command).await?;
    meta.ensure(INBOX_FIELDS, doc! { LAST_INCOMING: true }).await.map(drop)
}

fn statement(owner: UserId, peer: UserId, entry: Entry) -> Document {
    let mut newest = doc! { "last": encode_position(entry.last) };
    let mut update = doc! { "$inc": { "touched": 1_i64 } };
    if let Some(Incoming::Last(last)) = entry.incoming {
        newest.insert(LAST_INCOMING, encode_position(last));
        update.insert("$set", doc! { HINT: true });
    } else {
        // Null is less than any position.
        update.insert("$setOnInsert", doc! { LAST_INCOMING: Bson::Null });
    }
    update.insert("$max", newest);
    doc! { "q": { "_id": key(owner, peer) }, "u": update, "upsert": true }
}
