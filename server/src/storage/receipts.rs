//! What a store is asked about receipts: moving watermarks.

use async_trait::async_trait;

use super::error::StoreError;
use crate::domain::{Mark, Marked};

/// Stores how far each user has received and read what another wrote.
#[async_trait]
pub trait ReceiptStore: Send + Sync + 'static {
    /// Moves watermarks forward, each in one durable step, and returns one outcome for each mark in the order given.
    /// A mark before what is stored changes nothing.
    async fn mark(&self, marks: &[Mark]) -> Vec<Result<Marked, MarkError>>;
}

/// Why nothing was marked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MarkError {
    /// The conversation has no such message.
    #[error("the conversation has no such message")]
    UnknownMessage,
    /// The store failed. Whether it was marked is unknown; marking again is safe.
    #[error(transparent)]
    Store(#[from] StoreError),
}
