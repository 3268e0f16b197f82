//! The engines that the contract is run against.

use std::sync::Arc;

use async_trait::async_trait;
use bson::oid::ObjectId;
use server::store::Store;
use server::store::embedded::EmbeddedStore;
use server::store::mongo::MongoStore;
use tempfile::TempDir;

/// A database of its own, which can be opened, closed or dropped, and opened again; never twice at once.
#[async_trait]
pub(crate) trait Engine: Send + Sync {
    /// Opens it as a server does at its start.
    async fn open(&self) -> Arc<dyn Store>;
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
}

#[async_trait]
impl Engine for Embedded {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(EmbeddedStore::open(self.dir.path()).unwrap())
    }
}

/// A database in the MongoDB deployment that the tests of a process share.
pub(crate) struct Mongo {
    database: String,
}

impl Mongo {
    pub(crate) fn new() -> Self {
        Self {
            database: format!("store_contract_{}", ObjectId::new()),
        }
    }
}

#[async_trait]
impl Engine for Mongo {
    async fn open(&self) -> Arc<dyn Store> {
        let store = MongoStore::open(&testkit::mongod::uri(), Some(&self.database)).await;
        Arc::new(store.unwrap())
    }
}
