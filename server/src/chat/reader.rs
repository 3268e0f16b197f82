//! Reading from the store, in turn.

use std::sync::Arc;

use shared::UserId;

use super::error::Error;
use super::reads::Reads;
use crate::storage::{Store, StoreError};

/// A store, and the order in which users read from it.
#[derive(Clone)]
pub struct Reader {
    /// What is read.
    pub store: Arc<dyn Store>,
    /// Whose turn it is.
    pub reads: Arc<Reads>,
}

impl Reader {
    /// Reads when it is this user's turn. Dropped, it gives up its turn, or its place among those who wait for one.
    ///
    /// # Errors
    /// Too many reads wait, or the read failed.
    pub async fn read<T, E: Into<Error>>(
        &self,
        user: UserId,
        read: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Error> {
        let permit = self.reads.wait(user).await?;
        let done = read.await.map_err(Into::into);
        drop(permit);
        if let Err(Error::Store(StoreError::Unavailable(_))) = &done {
            self.reads.set_store_away();
        }
        done
    }
}
