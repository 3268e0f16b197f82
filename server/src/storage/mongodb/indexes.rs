//! The indexes: created at the start beside those that an existing database already has, and again if they get lost.
//!
//! Those that only make reads fast carry the names that Mongoose would give them, so that a Mongoose schema that
//! declares the same index finds it instead of failing. The unique ones cover only documents that were written here:
//! old data, duplicate names and holes included, is never refused.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use bson::{Bson, Document, doc};
use mongodb::error::ErrorKind;
use mongodb::options::IndexOptions;
use mongodb::{Database, IndexModel};

use super::document::{CLIENT_MESSAGE_ID, EXTERNAL_ID};
use super::error::{DUPLICATE_KEY, bounded, store_error};
use super::timeouts::READ_TIMEOUT;
use super::{duplicates, names};
use crate::storage::StoreError;

/// The field that keeps new names unique: equal to `username`, but only in documents written here.
pub(super) const USERNAME_KEY: &str = "usernameKey";

/// The index by which a message of the same client's id is found, and the one by which a user of the same name is.
pub(super) const MESSAGE_UNIQUE: &str = "clientMessageId_sender_unique";
pub(super) const USERNAME_UNIQUE: &str = "usernameKey_unique";

/// The one by which a user of the same external id is.
pub(super) const EXTERNAL_ID_UNIQUE: &str = "externalId_unique";

/// The field of an inbox that says that there may be unread messages.
pub(super) const HINT: &str = "mayHaveUnread";

/// Building on a large collection takes minutes, and continues in MongoDB if this process ends.
const BUILD_TIMEOUT: Duration = Duration::from_secs(3600);

/// How long a renewal is kept: a process that was away for longer rebuilds its inboxes.
const EXPIRY: Duration = Duration::from_secs(30 * 24 * 3600);

/// The server's error codes for a field that its version does not know, and for a collection that does not exist.
const UNKNOWN_FIELD: i32 = 40415;
const NO_COLLECTION: i32 = 26;
/// `IndexOptionsConflict` and `IndexKeySpecsConflict`.
const CONFLICTS: [i32; 2] = [85, 86];

/// One that is wanted.
pub(super) struct Index {
    collection: &'static str,
    name: &'static str,
    keys: Document,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Serves reads; any index on the same keys does.
    Plain,
    /// Serves reads of the few documents that have the field.
    Sparse,
    /// Keeps the keys unique among the documents whose first field is a text. Only exactly this one does.
    Unique,
    /// Holds the inboxes that may have unread messages.
    Hinted,
    /// Its documents are deleted after [`EXPIRY`].
    Expiring,
}

fn wanted() -> [Index; 16] {
    let index = |collection, name, keys, kind| Index {
        collection,
        name,
        keys,
        kind,
    };
    [
        index(
            names::MESSAGES,
            "sender_1_receiver_1_createdAt_1__id_1",
            doc! { "sender": 1, "receiver": 1, "createdAt": 1, "_id": 1 },
            Kind::Plain,
        ),
        // The id first: ids that grow with time then touch one end of the index.
        index(
            names::MESSAGES,
            MESSAGE_UNIQUE,
            doc! { CLIENT_MESSAGE_ID: 1, "sender": 1 },
            Kind::Unique,
        ),
        index(names::USERS, "username_1", doc! { "username": 1 }, Kind::Plain),
        index(names::USERS, USERNAME_UNIQUE, doc! { USERNAME_KEY: 1 }, Kind::Unique),
        index(names::USERS, EXTERNAL_ID_UNIQUE, doc! { EXTERNAL_ID: 1 }, Kind::Unique),
        index(names::USERS, "onlineNodes_1", doc! { "onlineNodes": 1 }, Kind::Sparse),
        // Of all users, for nodes that poll what other processes change.
        index(
            names::USERS,
            "settings.updatedAt_1",
            doc! { "settings.updatedAt": 1 },
            Kind::Sparse,
        ),
        // The same of who is shut out.
        index(
            names::USERS,
            "access.updatedAt_1",
            doc! { "access.updatedAt": 1 },
            Kind::Sparse,
        ),
        // The feeds, one for each direction.
        index(
            names::MESSAGES,
            "sender_1_updatedAt_1__id_1",
            doc! { "sender": 1, "updatedAt": 1, "_id": 1 },
            Kind::Plain,
        ),
        index(
            names::MESSAGES,
            "receiver_1_updatedAt_1__id_1",
            doc! { "receiver": 1, "updatedAt": 1, "_id": 1 },
            Kind::Plain,
        ),
        index(
            names::MARKERS,
            "user_updatedAt_peer",
            doc! { "_id.user": 1, "updatedAt": 1, "_id.peer": 1 },
            Kind::Plain,
        ),
        index(
            names::MARKERS,
            "peer_updatedAt_user",
            doc! { "_id.peer": 1, "updatedAt": 1, "_id.user": 1 },
            Kind::Plain,
        ),
        index(names::MARKERS, "updatedAt_1", doc! { "updatedAt": 1 }, Kind::Plain),
        index(
            names::INBOXES,
            "owner_last",
            doc! { "_id.owner": 1, "last.at": -1, "last.id": -1 },
            Kind::Plain,
        ),
        index(
            names::INBOXES,
            "owner_peer_hinted",
            doc! { "_id.owner": 1, "_id.peer": 1 },
            Kind::Hinted,
        ),
        index(names::RENEWALS, "at_1", doc! { "at": 1 }, Kind::Expiring),
    ]
}

/// Creates the indexes that are missing. Returns whether there were no inboxes before.
///
/// # Errors
/// Everything that keeps unique ones from being built, so that all can be repaired in one go.
pub(super) async fn create(database: &Database) -> Result<bool, StoreError> {
    let no_inboxes = list(database, names::INBOXES, READ_TIMEOUT).await?.is_empty();
    let mut wrong = Vec::new();
    for index in missing(database, READ_TIMEOUT).await? {
        match index.build(database).await {
            Err(StoreError::Failed(why)) if index.is_unique() => wrong.push(why),
            built => built?,
        }
    }
    match wrong.is_empty() {
        true => Ok(no_inboxes),
        false => Err(StoreError::Failed(wrong.join(". "))),
    }
}

/// The wanted indexes whose work no existing index does. One that is still being built is among them.
pub(super) async fn missing(database: &Database, limit: Duration) -> Result<Vec<Index>, StoreError> {
    let mut existing: HashMap<&str, Vec<IndexModel>> = HashMap::new();
    let mut missing = Vec::new();
    for index in wanted() {
        let others = match existing.entry(index.collection) {
            Entry::Occupied(listed) => listed.into_mut(),
            Entry::Vacant(place) => place.insert(list(database, index.collection, limit).await?),
        };
        let is_served = others.iter().any(|other| index.is_served_by(other));
        // Reads are slower without it, but the database's owner chose something else.
        let is_given_up = index.kind != Kind::Unique && others.iter().any(|other| index.is_blocked_by(other));
        if is_given_up && !is_served {
            tracing::debug!(index = index.path(), "indexes: another index prevents this one");
        }
        if !is_served && !is_given_up {
            missing.push(index);
        }
    }
    Ok(missing)
}

/// The finished indexes of a collection; none if there is no such collection.
async fn list(database: &Database, collection: &str, limit: Duration) -> Result<Vec<IndexModel>, StoreError> {
    let listing = async |unfinished: bool| {
        let mut list = doc! { "listIndexes": collection, "cursor": { "batchSize": 1_000 } };
        if unfinished {
            // Without this, indexes that are being built look like the others.
            list.insert("includeBuildUUIDs", true);
        }
        let listed = async { Ok(database.run_command(list).await) };
        bounded("listing the indexes", limit, listed).await
    };
    let is = |error: &mongodb::error::Error, code: i32| matches!(error.kind.as_ref(), ErrorKind::Command(command) if command.code == code);
    let mut listed = listing(true).await?;
    if listed.as_ref().is_err_and(|error| is(error, UNKNOWN_FIELD)) {
        listed = listing(false).await?;
    }
    let listed = match listed {
        Ok(listed) => listed,
        Err(error) if is(&error, NO_COLLECTION) => return Ok(Vec::new()),
        Err(error) => return Err(store_error(&error)),
    };
    let batch = listed
        .get_document("cursor")
        .and_then(|cursor| cursor.get_array("firstBatch"));
    let batch = batch.map_err(|_| StoreError::Failed("the list of indexes can't be understood".into()))?;
    let specified = batch.iter().filter_map(Bson::as_document);
    let finished = specified.filter(|index| !index.contains_key("buildUUID"));
    // An index that the driver can't read is not ours.
    Ok(finished
        .filter_map(|index| bson::deserialize_from_document(index.clone()).ok())
        .collect())
}

impl Index {
    /// Whether documents written without it could break a promise.
    pub(super) fn is_unique(&self) -> bool {
        self.kind == Kind::Unique
    }

    /// Its collection and name.
    pub(super) fn path(&self) -> String {
        format!("{}.{}", self.collection, self.name)
    }

    fn fields(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }

    fn first_field(&self) -> &str {
        self.fields().next().unwrap_or_default()
    }

    fn options(&self) -> IndexOptions {
        let mut options = IndexOptions::builder().name(self.name.to_owned()).build();
        match self.kind {
            Kind::Plain => {}
            Kind::Sparse => options.sparse = Some(true),
            Kind::Hinted => options.partial_filter_expression = Some(doc! { HINT: true }),
            Kind::Expiring => options.expire_after = Some(EXPIRY),
            Kind::Unique => {
                options.unique = Some(true);
                options.partial_filter_expression = Some(doc! { self.first_field(): { "$type": "string" } });
            }
        }
        options
    }

    fn has_keys_of(&self, other: &IndexModel) -> bool {
        let same = |((name, value), (own_name, own_value)): ((&String, &Bson), (&String, &Bson))| {
            name == own_name && number(value) == number(own_value)
        };
        other.keys.len() == self.keys.len() && other.keys.iter().zip(&self.keys).all(same)
    }

    /// Whether an existing index, of whatever name, does the same work.
    fn is_served_by(&self, other: &IndexModel) -> bool {
        let wanted = self.options();
        let given = other.options.clone().unwrap_or_default();
        let same_documents = given.partial_filter_expression == wanted.partial_filter_expression
            && given.sparse.unwrap_or(false) == wanted.sparse.unwrap_or(false);
        let unique_enough = self.kind != Kind::Unique || given.unique == Some(true);
        self.has_keys_of(other)
            && same_documents
            && unique_enough
            && given.collation.is_none()
            && given.hidden != Some(true)
    }

    /// Whether an existing index has the name, or the keys with other options, so that this one can't be built.
    fn is_blocked_by(&self, other: &IndexModel) -> bool {
        let given = other.options.as_ref();
        given.is_some_and(|given| given.name.as_deref() == Some(self.name)) || self.has_keys_of(other)
    }

    /// Builds it, or waits until another process that builds it has finished.
    pub(super) async fn build(&self, database: &Database) -> Result<(), StoreError> {
        let (collection, index) = (self.collection, self.name);
        tracing::info!(collection, index, "indexes: building an index");
        let model = IndexModel::builder()
            .keys(self.keys.clone())
            .options(self.options())
            .build();
        let collection_handle = database.collection::<Document>(collection);
        let building = async { Ok(collection_handle.create_index(model).await) };
        match bounded("building an index", BUILD_TIMEOUT, building).await? {
            Ok(_) => Ok(()),
            Err(error) => match error.kind.as_ref() {
                ErrorKind::Command(command) if self.kind != Kind::Unique && CONFLICTS.contains(&command.code) => {
                    // Reads are slower without it, but the database's owner chose something else.
                    tracing::warn!(collection, index, "indexes: another index prevents this one");
                    Ok(())
                }
                ErrorKind::Command(command) if command.code == DUPLICATE_KEY => Err(StoreError::Failed(format!(
                    "the unique index {collection}.{index} can't be built: {}",
                    duplicates::describe(database, collection, &self.fields().collect::<Vec<_>>()).await
                ))),
                _ => Err(match store_error(&error) {
                    StoreError::Failed(why) => {
                        StoreError::Failed(format!("building index {collection}.{index}: {why}"))
                    }
                    unavailable => unavailable,
                }),
            },
        }
    }
}

/// The direction in a key, whichever numeric type the creating program used.
fn number(value: &Bson) -> Option<f64> {
    match value {
        Bson::Int32(number) => Some((*number).into()),
        Bson::Int64(number) => Some(*number as f64),
        Bson::Double(number) => Some(*number),
        _ => None,
    }
}
