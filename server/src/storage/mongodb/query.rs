//! Running a query or a set of updates to its end.

use std::future::IntoFuture;
use std::time::Duration;

use bson::raw::{RawDocument, RawDocumentBuf};
use bson::{Document, doc};
use mongodb::{Cursor, Database};

use super::connect;
use super::error::{DUPLICATE_KEY, bounded, is_retryable};
use crate::storage::StoreError;

/// Reads every document that a query finds, within `limit`; those for which `read` returns nothing are left out.
pub(super) async fn all<T>(
    what: &str,
    limit: Duration,
    find: impl IntoFuture<Output = mongodb::error::Result<Cursor<RawDocumentBuf>>>,
    read: impl Fn(&RawDocument) -> Option<T>,
) -> Result<Vec<T>, StoreError> {
    until(what, limit, find, read, |_| false).await
}

/// The same up to the document that is enough. What the server has sent after it is dropped.
pub(super) async fn until<T>(
    what: &str,
    limit: Duration,
    find: impl IntoFuture<Output = mongodb::error::Result<Cursor<RawDocumentBuf>>>,
    read: impl Fn(&RawDocument) -> Option<T>,
    mut is_enough: impl FnMut(&T) -> bool,
) -> Result<Vec<T>, StoreError> {
    let reading = async {
        let mut found = Vec::new();
        let mut cursor = find.await?;
        while cursor.advance().await? {
            let Some(one) = read(cursor.current()) else { continue };
            let ends = is_enough(&one);
            found.push(one);
            if ends {
                break;
            }
        }
        Ok(found)
    };
    bounded(what, limit, reading).await
}

/// Whether the statements of an `update` command depend on each other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Each comes after the one before it, and none after one that failed.
    AsGiven,
    /// They touch different documents.
    Any,
}

/// The durable `update` command of these statements, `{q, u, …}` each.
pub(super) fn update(collection: &str, statements: Vec<Document>, order: Order) -> Document {
    doc! {
        "update": collection,
        "updates": statements,
        "ordered": order == Order::AsGiven,
        "writeConcern": bson::serialize_to_bson(&connect::durable()).expect("a write concern is plain data"),
    }
}

/// Runs an [`update`] command once.
pub(super) async fn run_update(
    what: &str,
    limit: Duration,
    database: &Database,
    command: Document,
) -> Result<(), StoreError> {
    let answer = bounded(what, limit, database.run_command(command)).await?;
    check(what, &answer)
}

/// Finds the failures in the answer to an `update` command, which is "ok" nevertheless.
fn check(what: &str, answer: &Document) -> Result<(), StoreError> {
    let concern = answer.get("writeConcernError");
    let failures = answer.get_array("writeErrors").into_iter().flatten().chain(concern);
    let codes: Vec<i32> = failures
        .map(|failure| failure.as_document().and_then(|failure| failure.get_i32("code").ok()))
        .map(Option::unwrap_or_default)
        .collect();
    let Some(first) = codes.first() else { return Ok(()) };
    let text = format!("{what}: error {first}");
    // Two upserts of one document can meet; the second finds it when it is tried again.
    let can_pass = |code: &i32| is_retryable(*code) || *code == DUPLICATE_KEY;
    Err(if concern.is_some() || codes.iter().all(can_pass) {
        StoreError::Unavailable(text)
    } else {
        StoreError::Failed(text)
    })
}
