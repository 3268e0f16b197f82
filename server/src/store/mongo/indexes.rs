//! The indexes, created at the start beside whatever an existing database already has.
//!
//! Those that only make reads fast carry the names that Mongoose would give them, so that a Mongoose schema that
//! declares the same index finds it instead of failing. The unique ones cover only documents that were written here:
//! old data, duplicate names and holes included, is never refused.

use std::collections::HashMap;
use std::time::Duration;

use bson::{Document, doc};
use futures_util::TryStreamExt;
use mongodb::error::ErrorKind;
use mongodb::options::IndexOptions;
use mongodb::{Database, IndexModel};

use super::document::CLIENT_MESSAGE_ID;
use super::error::{bounded, store_error};
use super::{READ, connect};
use crate::store::StoreError;

/// The field that keeps new names unique: equal to `username`, but only in documents written here.
pub(super) const USERNAME_KEY: &str = "usernameKey";

/// The field of an inbox that says that there may be unread messages.
pub(super) const HINT: &str = "mayHaveUnread";

/// Building on a large collection takes minutes, and goes on in the server should this end.
const BUILD: Duration = Duration::from_secs(3600);

/// How long a renewal is kept: a process that was away for longer rebuilds its inboxes.
const EXPIRY: Duration = Duration::from_secs(30 * 24 * 3600);

/// `IndexOptionsConflict` and `IndexKeySpecsConflict`.
const CONFLICTS: [i32; 2] = [85, 86];

struct Index {
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

fn wanted() -> [Index; 13] {
    let index = |collection, name, keys, kind| Index {
        collection,
        name,
        keys,
        kind,
    };
    [
        index(
            connect::MESSAGES,
            "sender_1_receiver_1_createdAt_1__id_1",
            doc! { "sender": 1, "receiver": 1, "createdAt": 1, "_id": 1 },
            Kind::Plain,
        ),
        // The id first: ids that grow with time then touch one end of the index.
        index(
            connect::MESSAGES,
            "clientMessageId_sender_unique",
            doc! { CLIENT_MESSAGE_ID: 1, "sender": 1 },
            Kind::Unique,
        ),
        index(connect::USERS, "username_1", doc! { "username": 1 }, Kind::Plain),
        index(
            connect::USERS,
            "usernameKey_unique",
            doc! { USERNAME_KEY: 1 },
            Kind::Unique,
        ),
        index(connect::USERS, "onlineNodes_1", doc! { "onlineNodes": 1 }, Kind::Sparse),
        // The feeds, one for each direction.
        index(
            connect::MESSAGES,
            "sender_1_updatedAt_1__id_1",
            doc! { "sender": 1, "updatedAt": 1, "_id": 1 },
            Kind::Plain,
        ),
        index(
            connect::MESSAGES,
            "receiver_1_updatedAt_1__id_1",
            doc! { "receiver": 1, "updatedAt": 1, "_id": 1 },
            Kind::Plain,
        ),
        index(
            connect::MARKERS,
            "user_updatedAt_peer",
            doc! { "_id.user": 1, "updatedAt": 1, "_id.peer": 1 },
            Kind::Plain,
        ),
        index(
            connect::MARKERS,
            "peer_updatedAt_user",
            doc! { "_id.peer": 1, "updatedAt": 1, "_id.user": 1 },
            Kind::Plain,
        ),
        index(connect::MARKERS, "updatedAt_1", doc! { "updatedAt": 1 }, Kind::Plain),
        index(
            connect::INBOXES,
            "owner_last",
            doc! { "_id.owner": 1, "last.at": -1, "last.id": -1 },
            Kind::Plain,
        ),
        index(
            connect::INBOXES,
            "owner_peer_hinted",
            doc! { "_id.owner": 1, "_id.peer": 1 },
            Kind::Hinted,
        ),
        index(connect::RENEWALS, "at_1", doc! { "at": 1 }, Kind::Expiring),
    ]
}

/// Creates the indexes that are missing.
pub(super) async fn create(database: &Database) -> Result<(), StoreError> {
    let mut existing: HashMap<&str, Vec<IndexModel>> = HashMap::new();
    let wanted = wanted();
    for index in &wanted {
        if !existing.contains_key(index.collection) {
            existing.insert(index.collection, list(database, index.collection).await?);
        }
    }
    for index in wanted {
        if !existing[index.collection].iter().any(|other| index.is_served_by(other)) {
            index.build(database).await?;
        }
    }
    Ok(())
}

async fn list(database: &Database, collection: &str) -> Result<Vec<IndexModel>, StoreError> {
    let collection = database.collection::<Document>(collection);
    let listing = async {
        match collection.list_indexes().await {
            Ok(cursor) => cursor.try_collect().await,
            // NamespaceNotFound: a new database.
            Err(error) if matches!(error.kind.as_ref(), ErrorKind::Command(command) if command.code == 26) => {
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    };
    bounded("listing the indexes", READ, listing).await
}

impl Index {
    fn options(&self) -> IndexOptions {
        let mut options = IndexOptions::builder().name(self.name.to_owned()).build();
        match self.kind {
            Kind::Plain => {}
            Kind::Sparse => options.sparse = Some(true),
            Kind::Hinted => options.partial_filter_expression = Some(doc! { HINT: true }),
            Kind::Expiring => options.expire_after = Some(EXPIRY),
            Kind::Unique => {
                options.unique = Some(true);
                let first = self.keys.keys().next().map(String::as_str).unwrap_or_default();
                options.partial_filter_expression = Some(doc! { first: { "$type": "string" } });
            }
        }
        options
    }

    /// Whether an existing index, of whatever name, does the same work.
    fn is_served_by(&self, other: &IndexModel) -> bool {
        let wanted = self.options();
        let given = other.options.clone().unwrap_or_default();
        let same_keys = other.keys.len() == self.keys.len()
            && other
                .keys
                .iter()
                .zip(&self.keys)
                .all(|((name, value), (wanted_name, wanted_value))| {
                    name == wanted_name && number(value) == number(wanted_value)
                });
        let same_documents = given.partial_filter_expression == wanted.partial_filter_expression
            && given.sparse.unwrap_or(false) == wanted.sparse.unwrap_or(false);
        let unique_enough = self.kind != Kind::Unique || given.unique == Some(true);
        same_keys && same_documents && unique_enough && given.collation.is_none() && given.hidden != Some(true)
    }

    async fn build(&self, database: &Database) -> Result<(), StoreError> {
        let (collection, index) = (self.collection, self.name);
        tracing::info!(collection, index, "building an index");
        let model = IndexModel::builder()
            .keys(self.keys.clone())
            .options(self.options())
            .build();
        let collection_handle = database.collection::<Document>(collection);
        let building = async { Ok(collection_handle.create_index(model).await) };
        match bounded("building an index", BUILD, building).await? {
            Ok(_) => Ok(()),
            Err(error) => match error.kind.as_ref() {
                ErrorKind::Command(command) if self.kind != Kind::Unique && CONFLICTS.contains(&command.code) => {
                    // Reads are slower without it, but the database's owner chose something else.
                    tracing::warn!(collection, index, "another index is in the way of this one");
                    Ok(())
                }
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
fn number(value: &bson::Bson) -> Option<f64> {
    match value {
        bson::Bson::Int32(number) => Some((*number).into()),
        bson::Bson::Int64(number) => Some(*number as f64),
        bson::Bson::Double(number) => Some(*number),
        _ => None,
    }
}
