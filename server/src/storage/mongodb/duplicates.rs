//! What keeps a unique index from being built, so that an operator can repair it: ids of documents, never what they hold.

use std::time::Duration;

use bson::{Bson, Document, doc};
use futures_util::TryStreamExt;
use mongodb::Database;

use super::error::bounded;

/// How long finding them may take; it reads the whole collection.
const FIND_TIMEOUT: Duration = Duration::from_secs(60);
/// Keys that are named as examples.
const MAX_EXAMPLES: i64 = 3;

/// Describes the duplicates and what to do about them.
///
/// They are those of a unique index on these fields of a collection. The first field tells which documents are in the index.
pub(super) async fn describe(database: &Database, collection: &str, fields: &[&str]) -> String {
    let field = fields.first().copied().unwrap_or_default();
    let remedy = format!("keep {field} in one document of each key and remove the field from the others");
    match find(database, collection, fields).await {
        Some(found) => format!("{found}; {remedy}"),
        None => format!("some keys are held by more than one document of {collection}; {remedy}"),
    }
}

async fn find(database: &Database, collection: &str, fields: &[&str]) -> Option<String> {
    let first = *fields.first()?;
    let key: Document = fields
        .iter()
        .enumerate()
        .map(|(place, field)| (format!("k{place}"), Bson::String(format!("${field}"))))
        .collect();
    let one = doc! { "_id": key, "count": { "$sum": 1_i64 }, "low": { "$min": "$_id" }, "high": { "$max": "$_id" } };
    let all = doc! { "_id": null, "keys": { "$sum": 1_i64 }, "documents": { "$sum": "$count" } };
    let stages = [
        doc! { "$match": { first: { "$type": "string" } } },
        doc! { "$group": one },
        doc! { "$match": { "count": { "$gt": 1_i64 } } },
        doc! { "$facet": { "all": [{ "$group": all }], "some": [{ "$sort": { "low": 1 } }, { "$limit": MAX_EXAMPLES }] } },
    ];
    let documents = database.collection::<Document>(collection);
    let aggregate = documents.aggregate(stages).allow_disk_use(true).max_time(FIND_TIMEOUT);
    let reading = async { aggregate.await?.try_next().await };
    let found = bounded("finding duplicates", FIND_TIMEOUT, reading).await.ok()??;
    let all = found.get_array("all").ok()?.first()?.as_document()?;
    let some = found.get_array("some").ok()?.iter().filter_map(Bson::as_document);
    let pair = |key: &Document| format!("{} and {}", name(key.get("low")), name(key.get("high")));
    let examples: Vec<String> = some.map(pair).collect();
    Some(format!(
        "{} keys are held by {} documents of {}, for example by {}",
        all.get_i64("keys").ok()?,
        all.get_i64("documents").ok()?,
        collection,
        examples.join("; by "),
    ))
}

/// Ids of other kinds may be texts.
fn name(id: Option<&Bson>) -> String {
    match id.and_then(Bson::as_object_id) {
        Some(id) => id.to_hex(),
        None => "one whose id is no ObjectId".into(),
    }
}
