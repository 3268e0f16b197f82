//! The databases that a chat runs on: opened, dropped without being closed, and opened again.

use std::sync::Arc;
use std::time::Duration;

use bson::oid::ObjectId;
use server::storage::Store;
use server::storage::mongodb::MongoStore;
use server::storage::sqlite::{EmbeddedStore, Options};
use server::supervisor::Supervisor;
use tempfile::TempDir;

/// Which engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Embedded,
    Mongo,
}

/// A database of its own.
pub(crate) enum Engine {
    Embedded(TempDir),
    Mongo { uri: String, database: String },
}

impl Engine {
    pub(crate) async fn new(kind: Kind) -> Self {
        match kind {
            Kind::Embedded => {
                // In memory where there is such a place: what a disk does to a process that dies is no matter here.
                let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
                Self::Embedded(folder.expect("a temporary folder can be made"))
            }
            Kind::Mongo => Self::Mongo {
                uri: tokio::task::spawn_blocking(testkit::mongod::uri)
                    .await
                    .expect("a mongod runs"),
                database: format!("chat_model_{}", ObjectId::new()),
            },
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Embedded(_) => Kind::Embedded,
            Self::Mongo { .. } => Kind::Mongo,
        }
    }

    /// Opens it; `parts` watches what it starts.
    pub(crate) async fn open(&self, parts: &Supervisor) -> Arc<dyn Store> {
        match self {
            Self::Embedded(folder) => loop {
                // Who had it before may still be closing files.
                match EmbeddedStore::open_with(folder.path(), &Options::default(), parts) {
                    Ok(store) => return Arc::new(store),
                    Err(error) if error.to_string().contains("in use") => {}
                    Err(error) => panic!("it can't be opened: {error}"),
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            },
            Self::Mongo { uri, database } => {
                let clock = Arc::new(server::clock::now);
                let store = MongoStore::open_supervised(uri, Some(database), clock, parts).await;
                Arc::new(store.expect("it can be opened"))
            }
        }
    }

    /// Removes it.
    pub(crate) async fn discard(self) {
        if let Self::Mongo { uri, database } = self {
            let client = mongodb::Client::with_uri_str(&uri).await.expect("a mongod runs");
            client.database(&database).drop().await.expect("it can be dropped");
            client.shutdown().await;
        }
    }
}
