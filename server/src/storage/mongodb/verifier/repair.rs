//! Building indexes again that were lost while the server runs.

use std::sync::Arc;
use std::time::Duration;

use mongodb::Database;
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::storage::StoreError;
use crate::storage::mongodb::indexes::Index;

/// How long after an attempt the next one begins: each reads the whole collection.
const RETRY_DELAY: Duration = Duration::from_secs(10);

/// The building of indexes that were missing.
#[derive(Default)]
pub(super) struct Repair {
    running: Option<AbortOnDropHandle<()>>,
    begun: Option<Instant>,
    /// Those that were last reported as missing.
    pub(super) reported: Vec<String>,
    /// Why a unique index can't be built; held to read or replace it.
    pub(super) failure: Arc<Mutex<Option<String>>>,
}

impl Repair {
    /// Builds missing indexes in a task of its own, unique ones first, unless that is under way.
    pub(super) fn build(&mut self, database: &Database, mut missing: Vec<Index>) {
        let is_running = self.running.as_ref().is_some_and(|running| !running.is_finished());
        if is_running || self.begun.is_some_and(|begun| begun.elapsed() < RETRY_DELAY) {
            return;
        }
        missing.sort_by_key(|index| !index.is_unique());
        let names: Vec<String> = missing.iter().map(Index::path).collect();
        // Tried again and again; reported when others are missing than before.
        let is_news = self.reported != names;
        if is_news {
            tracing::warn!(
                indexes = names.join(", "),
                "verifier: indexes are missing; they are built again"
            );
            self.reported = names;
        }
        let (database, failure) = (database.clone(), Arc::clone(&self.failure));
        let building = async move {
            let mut failed = None;
            for index in missing {
                if let Err(error) = index.build(&database).await {
                    if is_news {
                        tracing::warn!(%error, index = index.path(), "verifier: building an index failed; it will be tried again");
                    }
                    if index.is_unique() {
                        failed.get_or_insert_with(|| match error {
                            StoreError::Unavailable(why) | StoreError::Failed(why) => why,
                            other => other.to_string(),
                        });
                    }
                }
            }
            *failure.lock() = failed;
        };
        self.begun = Some(Instant::now());
        self.running = Some(AbortOnDropHandle::new(tokio::spawn(building)));
    }
}
