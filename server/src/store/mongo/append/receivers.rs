//! Whether the receivers of a batch exist.

use std::collections::HashSet;

use bson::raw::{RawDocument, RawDocumentBuf};
use bson::{Bson, doc};
use mongodb::{Collection, Database};
use parking_lot::Mutex;
use shared::UserId;
use tokio::time::Instant;

use super::remaining;
use crate::chat::NewMessage;
use crate::store::StoreError;
use crate::store::mongo::connect;
use crate::store::mongo::document::{self, user_key};
use crate::store::mongo::error::retrying;
use crate::store::mongo::query;

/// How many receivers are remembered; 12 bytes each.
const KNOWN: usize = 65_536;

/// The users that messages can be for.
pub(super) struct Receivers {
    users: Collection<RawDocumentBuf>,
    /// Those that exist, so that most batches need not ask; users are never deleted here. Emptied when full.
    known: Mutex<HashSet<UserId>>,
}

impl Receivers {
    pub(super) fn new(database: &Database) -> Self {
        Self {
            users: database.collection(connect::USERS),
            known: Mutex::default(),
        }
    }

    /// The receivers in a batch that do not exist.
    pub(super) async fn unknown(&self, batch: &[NewMessage], deadline: Instant) -> Result<HashSet<UserId>, StoreError> {
        let mut asked: HashSet<UserId> = {
            let known = self.known.lock();
            let receivers = batch.iter().map(|new| new.receiver);
            receivers.filter(|receiver| !known.contains(receiver)).collect()
        };
        if asked.is_empty() {
            return Ok(asked);
        }
        let ids: Vec<Bson> = asked.iter().copied().map(user_key).collect();
        let filter = doc! { "_id": { "$in": ids } };
        let found = retrying(deadline, || {
            let find = self.users.find(filter.clone()).projection(doc! { "_id": 1 });
            let id = |user: &RawDocument| document::object_id(user).map(document::user_id);
            query::all("looking up receivers", remaining(deadline), find, id)
        })
        .await?;

        let mut known = self.known.lock();
        for user in found {
            if known.len() >= KNOWN {
                known.clear();
            }
            known.insert(user);
            asked.remove(&user);
        }
        Ok(asked)
    }
}
