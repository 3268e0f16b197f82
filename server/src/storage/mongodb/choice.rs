//! Which database is meant by a connection string that names none.
//!
//! To Mongoose, and to every driver that it uses, that is `test`; to this server it was `realtime_chat`. An operator who
//! moves from one to the other with such a string would find no users, and no token would be good. So the database that
//! holds users is taken.

use bson::{Document, doc};
use futures_util::TryStreamExt;
use mongodb::error::ErrorKind;
use mongodb::options::ConnectionString;
use mongodb::{Client, Database};

use super::connect;
use super::error::{bounded, store_error};
use super::names::{DEFAULT_DATABASE, USERS};
use super::timeouts::READ_TIMEOUT;
use crate::storage::StoreError;

/// The name that drivers take where none is given.
const DRIVERS_DATABASE: &str = "test";
/// How many documents are read to find a user of a chat among them: other programs have users, too.
const MAX_SAMPLE: i64 = 100;
/// The error code of a login that may not read here.
const UNAUTHORIZED: i32 = 13;

/// Why no database was chosen.
#[derive(Debug, thiserror::Error)]
pub enum ChoiceError {
    /// The operator has to say which one.
    #[error(
        "it names no database, and both {DEFAULT_DATABASE} and {DRIVERS_DATABASE} hold users; add the one that is meant, \
         as in mongodb://…/{DRIVERS_DATABASE}"
    )]
    Both,
    /// They could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The database of a connection string: the one that it names, else the one of two that holds users.
pub(super) async fn choose(uri: &str) -> Result<String, ChoiceError> {
    let named = ConnectionString::parse(uri).ok().and_then(|uri| uri.default_database);
    if let Some(name) = named.filter(|name| !name.is_empty()) {
        return Ok(name);
    }
    let connected = connect::open(uri, None).await?;
    let found = which_hold_users(connected.database.client()).await;
    connected.shut_down().await;
    match found? {
        (true, true) => Err(ChoiceError::Both),
        (false, true) => {
            tracing::info!("MONGO_URI names no database; `{DRIVERS_DATABASE}` holds users and is used");
            Ok(DRIVERS_DATABASE.to_owned())
        }
        _ => Ok(DEFAULT_DATABASE.to_owned()),
    }
}

/// Warns if this database holds no users and one that may be meant does: a name with a mistake in it makes a new database.
/// If this fails, nothing is harmed.
pub(super) async fn warn_if_elsewhere(database: &Database) {
    if !matches!(holds_users(database).await, Ok(false)) {
        return;
    }
    for other in [DEFAULT_DATABASE, DRIVERS_DATABASE] {
        if let Ok(true) = holds_users(&database.client().database(other)).await {
            let name = database.name();
            tracing::warn!(
                "the database `{name}` holds no users, and `{other}` beside it does; if that one is meant, name it in \
                 MONGO_URI: no token of its users is good here"
            );
        }
    }
}

async fn which_hold_users(client: &Client) -> Result<(bool, bool), StoreError> {
    let ours = client.database(DEFAULT_DATABASE);
    let drivers = client.database(DRIVERS_DATABASE);
    tokio::try_join!(holds_users(&ours), holds_users(&drivers))
}

/// Whether there are users of a chat. A database that may not be read holds none: it can't be used either.
async fn holds_users(database: &Database) -> Result<bool, StoreError> {
    let users = database.collection::<Document>(USERS);
    let sample = async {
        let found = users.find(doc! {}).projection(doc! { "username": 1 }).limit(MAX_SAMPLE);
        Ok(async { found.await?.try_collect::<Vec<_>>().await }.await)
    };
    match bounded("finding users", READ_TIMEOUT, sample).await? {
        Ok(found) => Ok(found.iter().any(|user| user.get_str("username").is_ok())),
        Err(error) => match error.kind.as_ref() {
            ErrorKind::Command(command) if command.code == UNAUTHORIZED => Ok(false),
            _ => Err(store_error(&error)),
        },
    }
}
