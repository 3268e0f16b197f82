//! Opening the store that the configuration names.

use std::sync::Arc;

use super::embedded::EmbeddedStore;
use super::{Store, StoreError};
use crate::config::Config;

/// Opens MongoDB if a URI is configured, else the embedded store in the data directory. Says on standard output which.
pub async fn open(config: &Config) -> Result<Arc<dyn Store>, StoreError> {
    // An empty value in `.env` means that there is none.
    match config.mongo_uri.as_ref().filter(|uri| !uri.expose().is_empty()) {
        Some(_) => Err(StoreError::Failed("MongoDB is not wired yet".to_owned())),
        None => {
            let store = EmbeddedStore::open(&config.data_dir)?;
            println!("Embedded store opened in {}", config.data_dir.display());
            Ok(Arc::new(store))
        }
    }
}
