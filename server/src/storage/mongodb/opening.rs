//! The ways to open a store, and what is checked before.

use std::sync::Arc;

use super::{ChoiceError, Clock, MongoStore, advice, choice, connection_string};
use crate::clock;
use crate::storage::StoreError;
use crate::supervisor::Supervisor;

impl MongoStore {
    /// Finds what is wrong with a connection string, without connecting.
    ///
    /// # Errors
    /// What is wrong, in words that do not repeat what may be secret in it.
    pub async fn check(uri: &str) -> Result<(), String> {
        connection_string::check(uri).await
    }

    /// The database that a connection string names; else the one of `realtime_chat` and `test`, which other drivers mean
    /// then, that holds users; else `realtime_chat`.
    ///
    /// # Errors
    /// Both hold users, or they can't be read.
    pub async fn choose_database(uri: &str) -> Result<String, ChoiceError> {
        match choice::choose(uri).await {
            Err(ChoiceError::Store(error)) => Err(advice::on_login(uri, None, error).await.into()),
            chosen => chosen,
        }
    }

    /// The hosts of a connection string, or the name by which they are looked up.
    pub fn hosts(uri: &str) -> String {
        connection_string::hosts(uri)
    }

    /// Connects and creates the indexes that are missing.
    ///
    /// The database is `database`, else the one that `uri` names, else `realtime_chat`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] within about eight seconds if no primary can be reached; the text names the hosts
    /// and the reasons. [`StoreError::Failed`] if the string can't be used, the login is refused, or an index can't
    /// be built. No text repeats the connection string.
    pub async fn open(uri: &str, database: Option<&str>) -> Result<Self, StoreError> {
        Self::open_with(uri, database, Arc::new(clock::now)).await
    }

    /// The same by another clock, which decides how old messages and watermarks are and what of a feed is settled.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_with(uri: &str, database: Option<&str>, clock: Clock) -> Result<Self, StoreError> {
        Self::open_supervised(uri, database, clock, &Supervisor::default()).await
    }

    /// The same; `parts` watches the tasks.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_supervised(
        uri: &str,
        database: Option<&str>,
        clock: Clock,
        parts: &Supervisor,
    ) -> Result<Self, StoreError> {
        match Self::connect(uri, database, clock, parts).await {
            Err(error) => Err(advice::on_login(uri, database, error).await),
            opened => opened,
        }
    }
}
