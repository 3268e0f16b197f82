//! Documents of another shape than this server's, which other programs wrote: nothing here shows them, so the start logs
//! that they are there. It also logs validators, which can keep out what this server writes.

use std::collections::HashSet;
use std::time::Duration;

use bson::{Document, doc};
use futures_util::TryStreamExt;
use mongodb::Database;

use super::error::bounded;
use super::names::{MESSAGES, USERS};

/// More documents are not counted.
const MAX_COUNT: u64 = 1_000;
/// Documents that are sampled at each end of a collection, where no index helps.
const MAX_SAMPLE: i64 = 500;
/// How long one count may take. Each reads one end of an index.
const COUNT_TIMEOUT: Duration = Duration::from_secs(2);

/// Counts them, up to a bound, and logs what was found.
pub(super) async fn report(database: &Database) {
    let text = |field: &str| doc! { field: { "$type": "string" } };
    tokio::join!(
        validators(database),
        report_count(
            database,
            MESSAGES,
            doc! { "$or": [text("sender"), text("receiver")] },
            "messages have ids as text in `sender` or `receiver`; nobody sees them until these are ObjectIds",
        ),
        report_count(
            database,
            MESSAGES,
            doc! { "sender": null, "receiver": null },
            "messages have neither `sender` nor `receiver` (but `from` and `to`?); nobody sees them until these are so named",
        ),
        report_count(
            database,
            MESSAGES,
            doc! { "_id": { "$type": ["string", "number"] } },
            "messages have a text or a number as `_id`; nobody sees them until it is an ObjectId",
        ),
        undated(database),
        report_count(
            database,
            USERS,
            text("_id"),
            "users have a text as `_id`; nobody sees them until it is an ObjectId",
        ),
    );
}

/// Counts messages whose time is a text or a number, as an import makes it. No index finds them, so only those at both ends
/// are sampled. If this fails, nothing is harmed.
async fn undated(database: &Database) {
    let messages = database.collection::<Document>(MESSAGES);
    let end = async |order: i32| {
        let found = messages
            .aggregate([
                doc! { "$sort": { "_id": order } },
                doc! { "$limit": MAX_SAMPLE },
                doc! { "$match": { "createdAt": { "$type": ["string", "number"] } } },
                doc! { "$project": { "_id": 1 } },
            ])
            .max_time(COUNT_TIMEOUT);
        found.await?.try_collect::<Vec<_>>().await
    };
    let both = async { tokio::try_join!(end(1), end(-1)) };
    match bounded("sampling the times of messages", COUNT_TIMEOUT, both).await {
        Ok((oldest, newest)) => {
            let found: HashSet<String> = oldest.iter().chain(&newest).map(ToString::to_string).collect();
            if !found.is_empty() {
                tracing::warn!(
                    database = database.name(),
                    collection = MESSAGES,
                    "{} of the oldest and newest messages have a `createdAt` that is no date; they are shown without it, before \
                     all others",
                    found.len()
                );
            }
        }
        Err(error) => tracing::debug!(%error, "shapes: sampling the times of messages failed"),
    }
}

/// Logs the collections for which other programs decide what may be written. If this fails, nothing is harmed.
async fn validators(database: &Database) {
    let ours = doc! { "name": { "$in": [MESSAGES, USERS] }, "options.validator": { "$exists": true } };
    let listing = async {
        database
            .list_collections()
            .filter(ours)
            .await?
            .try_collect::<Vec<_>>()
            .await
    };
    match bounded("finding validators", COUNT_TIMEOUT, listing).await {
        Ok(found) => {
            for collection in found {
                let (name, fields) = match collection.name.as_str() {
                    MESSAGES => (MESSAGES, "clientMessageId"),
                    _ => (
                        USERS,
                        "usernameKey, externalId, displayName, avatarUrl, lastSeen, onlineNodes, settings and access",
                    ),
                };
                tracing::warn!(
                    "the collection {name} has a validator, which is not this server's; it must allow {fields}, or what \
                     has them is not stored"
                );
            }
        }
        Err(error) => tracing::debug!(%error, "shapes: finding validators failed"),
    }
}

/// If counting fails, nothing is harmed.
async fn report_count(database: &Database, collection: &str, filter: Document, what: &str) {
    let documents = database.collection::<Document>(collection);
    let count = documents
        .count_documents(filter)
        .limit(MAX_COUNT)
        .max_time(COUNT_TIMEOUT);
    match bounded("counting documents of another shape", COUNT_TIMEOUT, count).await {
        Ok(0) => {}
        Ok(count) => {
            let or_more = if count == MAX_COUNT { " or more" } else { "" };
            tracing::warn!(database = database.name(), collection, "{count}{or_more} {what}");
        }
        Err(error) => tracing::debug!(%error, collection, "shapes: counting documents of another shape failed"),
    }
}
