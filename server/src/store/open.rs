//! Opening the store that the configuration names.

use std::sync::Arc;

use super::embedded::EmbeddedStore;
use super::mongo::MongoStore;
use super::{Store, StoreError};
use crate::config::Config;

/// Opens MongoDB if a URI is configured, else the embedded store in the data directory. Says on standard output which.
pub async fn open(config: &Config) -> Result<Arc<dyn Store>, StoreError> {
    // An empty value in `.env` means that there is none.
    match config.mongo_uri.as_ref().filter(|uri| !uri.expose().is_empty()) {
        Some(uri) => {
            let store = MongoStore::open(uri.expose(), None).await?;
            println!("MongoDB connected");
            Ok(Arc::new(store))
        }
        None => {
            let store = EmbeddedStore::open(&config.data_dir)?;
            println!("Embedded store opened in {}", config.data_dir.display());
            Ok(Arc::new(store))
        }
    }
}
