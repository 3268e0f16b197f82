//! The engines that the contract is run against.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bson::oid::ObjectId;
use server::storage::Store;
use server::storage::mongodb::MongoStore;
use server::storage::sqlite::{EmbeddedStore, Options};
use server::supervisor::Supervisor;
use shared::Timestamp;
use tempfile::TempDir;

use crate::data::START;

/// A database of its own, which can be opened, closed or dropped, and opened again; never twice at once.
#[async_trait]
pub(crate) trait Engine: Send + Sync {
    /// Opens it as a server does that is started at this moment.
    async fn open_at(&self, now: Timestamp) -> Arc<dyn Store>;

    /// Opens it as a server does at its start.
    async fn open(&self) -> Arc<dyn Store> {
        self.open_at(START).await
    }
}

/// SQLite in a temporary directory.
pub(crate) struct Embedded {
    dir: TempDir,
}

impl Embedded {
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) async fn discard(self) {
        self.dir.close().unwrap();
    }
}

#[async_trait]
impl Engine for Embedded {
    async fn open_at(&self, now: Timestamp) -> Arc<dyn Store> {
        Arc::new(open_embedded(self.dir.path(), now))
    }
}

/// Opens the database in a directory as a server does that is started at this moment.
pub(crate) fn open_embedded(dir: &Path, now: Timestamp) -> EmbeddedStore {
    let mut options = Options::default();
    options.now = now;
    EmbeddedStore::open_with(dir, &options, &Supervisor::default()).unwrap()
}

/// MongoDB, in a database that no other test uses.
pub(crate) struct Mongo {
    database: String,
}

impl Mongo {
    pub(crate) fn new() -> Self {
        Self {
            database: format!("store_contract_{}", ObjectId::new()),
        }
    }

    pub(crate) async fn discard(self) {
        let client = mongodb::Client::with_uri_str(uri().await).await.unwrap();
        client.database(&self.database).drop().await.unwrap();
        client.shutdown().await;
    }
}

#[async_trait]
impl Engine for Mongo {
    async fn open_at(&self, now: Timestamp) -> Arc<dyn Store> {
        // The messages of the scenarios are of a day long past; by another clock they would have waited all the time since.
        let clock = Arc::new(move || now);
        Arc::new(
            MongoStore::open_with(&uri().await, Some(&self.database), clock)
                .await
                .unwrap(),
        )
    }
}

/// The first call fetches and starts a server, which takes a while.
async fn uri() -> String {
    tokio::task::spawn_blocking(testkit::mongod::uri).await.unwrap()
}
