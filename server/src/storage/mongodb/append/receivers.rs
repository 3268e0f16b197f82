//! Whether the receivers of a batch exist.

use std::collections::HashSet;

use bson::raw::{RawDocument, RawDocumentBuf};
use bson::{Bson, doc};
use mongodb::{Collection, Database};
use parking_lot::Mutex;
use shared::UserId;
use tokio::time::Instant;

use super::remaining;
use crate::domain::NewMessage;
use crate::storage::StoreError;
use crate::storage::mongodb::document::{self, user_key};
use crate::storage::mongodb::error::retrying;
use crate::storage::mongodb::integrity::Integrity;
use crate::storage::mongodb::names;
use crate::storage::mongodb::query;
use crate::storage::mongodb::window::Clock;

/// How many receivers are remembered at most. A set of as many takes some 2 MiB.
const MAX_KNOWN: usize = 65_536;
/// How long a receiver is remembered at most, in milliseconds. Users are never deleted here, but another program may.
const MAX_AGE: i64 = 60_000;

/// The users that messages can be for.
pub(super) struct Receivers {
    users: Collection<RawDocumentBuf>,
    integrity: Integrity,
    clock: Clock,
    /// Held to look up or add a batch.
    known: Mutex<Known>,
}

/// Those that exist, so that most batches need not ask. Emptied when it is full or old, and when the database was
/// another one meanwhile.
#[derive(Default)]
struct Known {
    users: HashSet<UserId>,
    since: i64,
    losses: u64,
}

impl Receivers {
    pub(super) fn new(database: &Database, integrity: Integrity, clock: Clock) -> Self {
        Self {
            users: database.collection(names::USERS),
            integrity,
            clock,
            known: Mutex::default(),
        }
    }

    /// The receivers in a batch that do not exist.
    pub(super) async fn unknown(&self, batch: &[NewMessage], deadline: Instant) -> Result<HashSet<UserId>, StoreError> {
        let losses = self.integrity.losses();
        let now = (self.clock)().millis();
        let mut asked: HashSet<UserId> = {
            let mut known = self.known.lock();
            let is_old = !(0..MAX_AGE).contains(&now.saturating_sub(known.since));
            if is_old || known.losses != losses {
                *known = Known {
                    users: HashSet::new(),
                    since: now,
                    losses,
                };
            }
            let receivers = batch.iter().map(|new| new.receiver);
            receivers.filter(|receiver| !known.users.contains(receiver)).collect()
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
            if known.users.len() >= MAX_KNOWN {
                known.users.clear();
            }
            asked.remove(&user);
            // What was read before the database became another one is not remembered.
            if known.losses == losses {
                known.users.insert(user);
            }
        }
        Ok(asked)
    }
}
