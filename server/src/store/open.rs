//! Opening the store that the configuration names.

use std::sync::Arc;

use super::embedded::EmbeddedStore;
use super::mongo::MongoStore;
use super::{Store, StoreError};
use crate::config::Config;
use crate::run::RunError;
use crate::telemetry::say;

fn named(store: &'static str) -> impl FnOnce(StoreError) -> RunError {
    move |cause| RunError::Open { store, cause }
}

/// Opens MongoDB if a URI is configured, else the embedded store in the data directory. Says on standard output which.
pub async fn open(config: &Config) -> Result<Arc<dyn Store>, RunError> {
    // An empty value in `.env` means that there is none.
    match config.mongo_uri.as_ref().filter(|uri| !uri.expose().is_empty()) {
        #[cfg(feature = "null-store")]
        Some(uri) if uri.expose() == "null:" => Ok(Arc::new(super::null::NullStore::default())),
        Some(uri) => {
            let store = MongoStore::open(uri.expose(), None)
                .await
                .map_err(named("MongoDB (MONGO_URI)"))?;
            say("MongoDB connected");
            Ok(Arc::new(store))
        }
        None => {
            let dir = config.data_dir.clone();
            // It blocks, for as long as a migration takes: whoever stops the server meanwhile need not wait for that.
            let opened = tokio::task::spawn_blocking(move || EmbeddedStore::open(&dir)).await;
            let store = opened
                .unwrap_or_else(|panic| Err(StoreError::Failed(panic.to_string())))
                .map_err(named("the embedded store (DATA_DIR)"))?;
            say(format_args!("Embedded store opened in {}", config.data_dir.display()));
            Ok(Arc::new(store))
        }
    }
}
