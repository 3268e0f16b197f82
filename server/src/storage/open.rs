//! Opening the store that the configuration names.

use std::path::Path;
use std::sync::Arc;

use super::mongodb::{ChoiceError, MongoStore, Uri};
use super::sqlite::{EmbeddedStore, Options};
use super::{Store, StoreError};
use crate::clock;
use crate::config::{Config, Secret};
use crate::supervisor::Supervisor;
use crate::telemetry::say;

fn named(store: &'static str) -> impl FnOnce(StoreError) -> OpenError {
    move |cause| OpenError::Store { store, cause }
}

/// The MongoDB that is configured, if one is.
fn mongo_uri(config: &Config) -> Option<Uri> {
    config.mongo_uri.as_ref().map(Secret::expose).map(Uri::of)
}

/// Refuses settings that no start could use, before anything is begun.
///
/// # Errors
/// [`OpenError::Setting`], the first of [`faults`].
pub async fn check(config: &Config) -> Result<(), OpenError> {
    faults(config).await.into_iter().next().map_or(Ok(()), Err)
}

/// Settings that no start could use, each [`OpenError::Setting`].
pub async fn faults(config: &Config) -> Vec<OpenError> {
    let wrong = |name| move |why| OpenError::Setting { name, why };
    let uses_data_dir = mongo_uri(config).is_none() || config.tokens.keys.need_generated_secret();
    let directory = fault_of(&config.data_dir).filter(|_| uses_data_dir);
    let uri = match mongo_uri(config) {
        Some(uri) => MongoStore::check(&uri.text).await.err(),
        None => None,
    };
    let directory = directory.map(wrong("DATA_DIR"));
    directory.into_iter().chain(uri.map(wrong("MONGO_URI"))).collect()
}

/// Why there is no store.
#[derive(Debug)]
pub enum OpenError {
    /// A setting is wrong.
    Setting {
        /// The variable.
        name: &'static str,
        /// What is wrong, and what is allowed.
        why: String,
    },
    /// The configured store could not be opened.
    Store {
        /// Which one, and the setting that named it.
        store: &'static str,
        /// Why not.
        cause: StoreError,
    },
}

/// A store, and where it is.
pub struct Opened {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The database and its hosts, for people; nothing if it is embedded.
    pub database: Option<String>,
}

/// Why there can be no directory of this name: it, or what should hold it, is a file.
fn fault_of(directory: &Path) -> Option<String> {
    let first = directory
        .ancestors()
        .find_map(|path| Some((path, std::fs::metadata(path).ok()?)));
    let (path, found) = first?;
    let shown = directory.display();
    match found.is_dir() {
        true => None,
        false if path == directory => Some(format!("{shown} is a file; name a directory")),
        false => Some(format!(
            "{shown} can't be there, because {} is a file; name a directory",
            path.display()
        )),
    }
}

/// Opens MongoDB if a URI is configured, else the embedded store in the data directory. Says on standard output which.
/// `parts` watches what it starts.
pub async fn open(config: &Config, parts: &Supervisor) -> Result<Opened, OpenError> {
    match mongo_uri(config) {
        Some(Uri { text, passed_over }) => {
            let (uri, failed) = (&*text, named("MongoDB (MONGO_URI)"));
            if !passed_over.is_empty() {
                let options = passed_over.join(", ");
                tracing::info!(options, "options of MONGO_URI that mean nothing here are ignored");
            }
            let database = MongoStore::choose_database(uri).await;
            let database = match database {
                Ok(database) => database,
                Err(ChoiceError::Store(error)) => return Err(failed(error)),
                Err(error @ ChoiceError::Both) => {
                    let (name, why) = ("MONGO_URI", error.to_string());
                    return Err(OpenError::Setting { name, why });
                }
            };
            let store = MongoStore::open_supervised(uri, Some(&database), Arc::new(clock::now), parts)
                .await
                .map_err(failed)?;
            let hosts = MongoStore::hosts(uri);
            tracing::info!(database, hosts, "MongoDB connected");
            say("MongoDB connected");
            Ok(Opened {
                store: Arc::new(store),
                database: Some(format!("database {database} on {hosts}")),
            })
        }
        None => {
            let mut options = Options::default();
            options.check = config.check_store;
            options.accept_loss = config.accept_loss;
            let (dir, parts) = (config.data_dir.clone(), parts.clone());
            // It blocks, for as long as a migration takes: a stop meanwhile need not wait for that.
            let opened = tokio::task::spawn_blocking(move || EmbeddedStore::open_with(&dir, &options, &parts)).await;
            let store = opened
                .unwrap_or_else(|panic| Err(StoreError::Failed(panic.to_string())))
                .map_err(named("the embedded store (DATA_DIR)"))?;
            say(format_args!("Embedded store opened in {}", config.data_dir.display()));
            Ok(Opened {
                store: Arc::new(store),
                database: None,
            })
        }
    }
}
