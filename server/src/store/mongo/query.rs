//! Running a query to its end.

use std::future::IntoFuture;
use std::time::Duration;

use bson::raw::{RawDocument, RawDocumentBuf};
use mongodb::Cursor;

use super::error::bounded;
use crate::store::StoreError;

/// Reads every document that a query finds, within `limit`; those that `read` makes nothing of are left out.
pub(super) async fn all<T>(
    what: &str,
    limit: Duration,
    find: impl IntoFuture<Output = mongodb::error::Result<Cursor<RawDocumentBuf>>>,
    read: impl Fn(&RawDocument) -> Option<T>,
) -> Result<Vec<T>, StoreError> {
    let reading = async {
        let mut found = Vec::new();
        let mut cursor = find.await?;
        while cursor.advance().await? {
            found.extend(read(cursor.current()));
        }
        Ok(found)
    };
    bounded(what, limit, reading).await
}
