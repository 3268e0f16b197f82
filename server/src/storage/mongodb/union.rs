//! Many small pipelines over the messages, run with few commands: each command holds a union of some.

use bson::raw::{RawDocument, RawDocumentBuf};
use bson::{Document, doc};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use mongodb::Collection;

use super::timeouts::READ_TIMEOUT;
use super::{names, query};
use crate::storage::StoreError;

/// Most conversations of one command, where each is a pipeline for itself.
pub(super) const MAX_BRANCHES: usize = 25;
/// Commands that run at a time, so that messages can be stored meanwhile; twice as many where much is unread in many
/// conversations.
pub(super) const MAX_CONCURRENT_COMMANDS: usize = 2;

/// Documents of one answer: all.
pub(super) const ANSWER_BATCH_SIZE: u32 = 10_000;

/// Runs pipelines, some in each command and all commands at once.
pub(super) async fn read<T>(
    messages: &Collection<RawDocumentBuf>,
    branches: Vec<Vec<Document>>,
    together: usize,
    read: impl Fn(&RawDocument) -> Option<T>,
) -> Result<Vec<T>, StoreError> {
    let command = |branches: &[Vec<Document>]| {
        let mut branches = branches.iter().cloned();
        let mut pipeline = branches.next().unwrap_or_default();
        pipeline.extend(branches.map(|branch| {
            doc! { "$unionWith": { "coll": names::MESSAGES, "pipeline": branch } }
        }));
        pipeline
    };
    let pipelines: Vec<Vec<Document>> = branches.chunks(together).map(command).collect();
    let run = |pipeline: Vec<Document>| {
        let aggregate = messages
            .aggregate(pipeline)
            .batch_size(ANSWER_BATCH_SIZE)
            .with_type::<RawDocumentBuf>()
            .max_time(READ_TIMEOUT);
        query::all("reading conversations", READ_TIMEOUT, aggregate, &read)
    };
    let commands: Vec<_> = pipelines.into_iter().map(run).collect();
    let found: Vec<Vec<T>> = stream::iter(commands)
        .buffered(MAX_CONCURRENT_COMMANDS)
        .try_collect()
        .await?;
    Ok(found.into_iter().flatten().collect())
}
