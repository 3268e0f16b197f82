//! How a deployment stands, for an administrator, and one message by its name.

use bson::doc;
use bson::raw::RawDocumentBuf;
use mongodb::Database;
use shared::Message;
use shared::diagnosis::StoreFacts;

use super::document::{self, CLIENT_MESSAGE_ID, message_key};
use super::error::bounded;
use super::timeouts::READ_TIMEOUT;
use super::{indexes, names};
use crate::storage::{MessageName, StoreError};

/// How it stands; `behind_ms` is how long ago that was up to which all was read that others wrote.
pub(super) async fn facts(database: &Database, behind_ms: u64) -> Result<StoreFacts, StoreError> {
    let asked = database.run_command(doc! { "hello": 1 });
    let hello = bounded("asking for the members", READ_TIMEOUT, asked).await?;
    let missing = indexes::missing(database, READ_TIMEOUT).await?;
    Ok(StoreFacts {
        engine: "mongodb".to_owned(),
        // What `connect::durable` asks for, whatever the connection string says.
        durability: "w: majority, j: true".to_owned(),
        missing_indexes: missing.iter().map(indexes::Index::path).collect(),
        backlog: None,
        behind_ms: Some(behind_ms),
        members: hello.get_array("hosts").ok().map(|hosts| hosts.len() as u32),
    })
}

/// A message of whichever conversation, by the index on ids or the unique one of clients' ids.
pub(super) async fn find(database: &Database, name: &MessageName) -> Result<Option<Message>, StoreError> {
    let filter = match name {
        MessageName::Id(id) => doc! { "_id": message_key(*id) },
        // As the index has it.
        MessageName::Client(id) => doc! { CLIENT_MESSAGE_ID: { "$eq": id, "$type": "string" } },
    };
    let messages = database.collection::<RawDocumentBuf>(names::MESSAGES);
    let find = messages.find_one(filter).max_time(READ_TIMEOUT);
    let found = bounded("finding a message", READ_TIMEOUT, find).await?;
    Ok(found.and_then(|found| document::message(&found)))
}
