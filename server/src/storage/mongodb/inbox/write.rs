//! Entries of inboxes to the database.

use std::time::Duration;

use bson::{Bson, Document, doc};
use mongodb::Database;
use shared::{Message, UserId};

use super::entry::{Entry, Incoming, LAST_INCOMING, key};
use super::touches::{Touches, touch};
use crate::domain::Position;
use crate::storage::StoreError;
use crate::storage::mongodb::document::encode_place;
use crate::storage::mongodb::indexes::HINT;
use crate::storage::mongodb::meta::{INBOX_FIELDS, Meta};
use crate::storage::mongodb::names;
use crate::storage::mongodb::query::{self, Order};
use crate::storage::mongodb::timeouts::WRITE_TIMEOUT;

/// How long completing the inboxes of an earlier version may take, once; on 1.6 million it takes less than a minute.
const COMPLETING: Duration = Duration::from_secs(600);

/// Entries of one command.
pub(super) const STATEMENTS: usize = 500;

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
    for entries in all.chunks(STATEMENTS) {
        let statements = entries
            .iter()
            .map(|(owner, peer, touch)| statement(*owner, *peer, *touch));
        let command = query::update(names::INBOXES, statements.collect(), Order::Any);
        query::run_update("writing inboxes", WRITE_TIMEOUT, database, command).await?;
    }
    Ok(())
}

/// Gives the inboxes of earlier versions the field that they lack. Their newest message is not older than the newest that
/// was received, so nothing unread is passed over. Otherwise an old message that is projected late would be taken for it.
///
/// All inboxes are looked through for that, so it is done once and remembered. Later ones are written with the field, so
/// no server of such an earlier version may go on beside this one, or come after it; `chatctl rebuild` mends it if one did.
pub(in crate::storage::mongodb) async fn complete(database: &Database, meta: &Meta) -> Result<(), StoreError> {
    if meta.has(INBOX_FIELDS).await? {
        return Ok(());
    }
    let lacking = doc! { LAST_INCOMING: { "$exists": false } };
    let update = vec![doc! { "$set": { LAST_INCOMING: "$last" } }];
    let statement = doc! { "q": lacking, "u": update, "multi": true };
    let command = query::update(names::INBOXES, vec![statement], Order::Any);
    query::run_update("completing inboxes", COMPLETING, database, command).await?;
    meta.ensure(INBOX_FIELDS, doc! { LAST_INCOMING: true }).await.map(drop)
}

fn statement(owner: UserId, peer: UserId, entry: Entry) -> Document {
    let mut newest = doc! { "last": encode_place(entry.last) };
    let mut update = doc! { "$inc": { "touched": 1_i64 } };
    if let Some(Incoming::Last(last)) = entry.incoming {
        newest.insert(LAST_INCOMING, encode_place(last));
        update.insert("$set", doc! { HINT: true });
    } else {
        // Null is less than any place.
        update.insert("$setOnInsert", doc! { LAST_INCOMING: Bson::Null });
    }
    update.insert("$max", newest);
    doc! { "q": { "_id": key(owner, peer) }, "u": update, "upsert": true }
}
