//! The task that verifies that this is still the same database, and has missing indexes built again.
//!
//! It compares the id in `meta`, the UUID of each collection (dropping a collection and making it again changes it), and the
//! indexes: every [`VERIFY_INTERVAL`]; and, except for the indexes, at once after the driver has made a new connection. What
//! work waits for its verdict is in [`integrity`](super::integrity).
//!
//! Missing indexes are built again. While a unique one is missing, nothing is admitted; another one only makes reads slow.
//! Inboxes that were dropped are built from the messages. Anything else that is gone is not made again: nothing is admitted
//! until the database is back as it was, or an operator who meant it restarts the server.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bson::{Bson, Document, doc};
use mongodb::Database;
use tokio::time::Instant;

use super::connect::Connected;
use super::error::{Backoff, bounded};
use super::inbox::build::Builder;
use super::indexes::{self, Index};
use super::integrity::{Integrity, Verdict};
use super::meta::Meta;
use super::names;
use crate::domain::Instance;
use crate::storage::StoreError;
use repair::Repair;

mod repair;

/// How often the database is verified.
const VERIFY_INTERVAL: Duration = Duration::from_secs(2);
/// How long one command of it may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(5);
/// The collections that can't be made again from others.
const SOURCE_COLLECTIONS: [&str; 4] = [names::META, names::MESSAGES, names::USERS, names::MARKERS];

/// The task.
pub(super) struct Verifier {
    integrity: Integrity,
    database: Database,
    /// By the client that reads.
    reads: Database,
    meta: Meta,
    builder: Builder,
    instance: Instance,
    uuids: Uuids,
    repair: Repair,
}

/// The collections that exist, by their UUIDs. Without a value where the database does not say.
type Uuids = HashMap<String, Option<Bson>>;

/// What one comparison has found.
enum Finding {
    Sound,
    /// These indexes are missing.
    Missing(Vec<Index>),
    /// The inboxes are not those of before.
    NoInboxes,
    /// It is not the same database.
    Other(String),
}

impl Verifier {
    /// Records what the database is now.
    pub(super) async fn new(
        connected: &Connected,
        integrity: Integrity,
        meta: Meta,
        builder: Builder,
        instance: Instance,
    ) -> Result<Self, StoreError> {
        // The client that inserts has connections to spare, so this need not wait for readers.
        let database = connected.inserts.clone();
        Ok(Self {
            integrity,
            uuids: uuids(&database).await?,
            database,
            reads: connected.database.clone(),
            meta,
            builder,
            instance,
            repair: Repair::default(),
        })
    }

    /// Verifies again and again. Never returns.
    pub(super) async fn run(mut self) {
        let connections = Arc::clone(self.integrity.connections());
        let mut tick = tokio::time::interval(VERIFY_INTERVAL);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut backoff = Backoff::default();
        loop {
            let with_indexes = tokio::select! {
                _ = tick.tick() => true,
                () = connections.changed() => false,
            };
            while let Err(error) = self.verify(with_indexes).await {
                tracing::debug!(%error, "verifier: reading the state of the database failed");
                backoff.wait().await;
            }
            backoff = Backoff::default();
        }
    }

    /// Verifies that it is the same database; and, `with_indexes` or if something was wrong before, its indexes.
    async fn verify(&mut self, with_indexes: bool) -> Result<(), StoreError> {
        let connections = self.integrity.connections().made();
        let before = match self.integrity.verdict() {
            Verdict::Sound { at, .. } if !with_indexes => Some(at),
            _ => None,
        };
        let at = before.unwrap_or_else(Instant::now);
        let sound = Verdict::Sound { connections, at };
        match self.compare(before.is_none()).await? {
            Finding::Sound if before.is_some() => self.integrity.publish(sound),
            Finding::Sound => {
                let repaired = std::mem::take(&mut self.repair).reported;
                if !repaired.is_empty() {
                    tracing::info!(indexes = repaired.join(", "), "verifier: indexes are there again");
                }
                self.integrity.publish(sound);
            }
            Finding::Other(what) => self.integrity.publish(Verdict::Unsound(format!(
                "this is not the database that the server was started on: {what}. Nothing is stored or read here. Bring the \
                 database back, or restart the server if this was meant"
            ))),
            Finding::NoInboxes => {
                self.builder.begin_anew().await?;
                tracing::warn!("verifier: the collection inboxes was dropped; it is built again from the messages");
                // The next comparison takes what is there then for the right one.
                self.uuids.remove(names::INBOXES);
                self.integrity.connections().recheck();
            }
            Finding::Missing(missing) => {
                let paths = missing.iter().filter(|index| index.is_unique()).map(Index::path);
                let unique: Vec<String> = paths.collect();
                self.repair.build(&self.database, missing);
                if unique.is_empty() {
                    self.integrity.publish(sound);
                } else {
                    let unique = unique.join(", ");
                    let why = match &*self.repair.failure.lock() {
                        Some(failure) => format!("{failure}; it is then built by itself"),
                        None => format!("the unique index {unique} is gone; it is built again"),
                    };
                    self.integrity.publish(Verdict::Unsound(why));
                }
            }
        }
        Ok(())
    }

    /// Fails while the primary is new and has committed nothing itself: what a majority has, as far as it knows, can lack what was
    /// acknowledged before it was elected.
    async fn has_committed(&self) -> Result<(), StoreError> {
        let hello = self.reads.run_command(doc! { "hello": 1 });
        let hello = bounded("asking for the primary", COMMAND_TIMEOUT, hello).await?;
        let term = |place: &str| {
            hello
                .get_document("lastWrite")
                .ok()?
                .get_document(place)
                .ok()?
                .get_i64("t")
                .ok()
        };
        let is_new = match (term("opTime"), term("majorityOpTime")) {
            (Some(own), Some(committed)) => committed < own,
            // A server that is in no replica set has neither.
            _ => false,
        };
        match is_new || !hello.get_bool("isWritablePrimary").unwrap_or(false) {
            true => Err(StoreError::Unavailable("the primary is new".into())),
            false => Ok(()),
        }
    }

    /// Compares the database with what it was.
    async fn compare(&mut self, with_indexes: bool) -> Result<Finding, StoreError> {
        self.has_committed().await?;
        let now = uuids(&self.database).await?;
        let name = self.database.name();
        if SOURCE_COLLECTIONS
            .iter()
            .all(|collection| !now.contains_key(*collection))
        {
            return Ok(Finding::Other(format!("{name} is empty")));
        }
        match bounded("reading the database's id", COMMAND_TIMEOUT, self.meta.instance()).await? {
            None => return Ok(Finding::Other(format!("{name} has no id in its collection meta"))),
            Some(found) if found != self.instance => {
                let hex = |id: Instance| id.map(|byte| format!("{byte:02x}")).concat();
                let (found, own) = (hex(found), hex(self.instance));
                return Ok(Finding::Other(format!("{name} has the id {found} instead of {own}")));
            }
            Some(_) => {}
        }
        let is_same = |collection: &str| match (now.get(collection), self.uuids.get(collection)) {
            (Some(now), Some(before)) => now == before,
            (None, Some(_)) => false,
            (_, None) => true,
        };
        if let Some(gone) = SOURCE_COLLECTIONS.into_iter().find(|collection| !is_same(collection)) {
            return Ok(Finding::Other(format!("the collection {name}.{gone} was dropped")));
        }
        if !is_same(names::INBOXES) {
            return Ok(Finding::NoInboxes);
        }
        if let Some(uuid) = now.get(names::INBOXES) {
            self.uuids.insert(names::INBOXES.into(), uuid.clone());
        }
        if !with_indexes {
            return Ok(Finding::Sound);
        }
        let missing = indexes::missing(&self.database, COMMAND_TIMEOUT).await?;
        Ok(match missing.is_empty() {
            true => Finding::Sound,
            false => Finding::Missing(missing),
        })
    }
}

/// The UUIDs of the collections that are compared.
async fn uuids(database: &Database) -> Result<Uuids, StoreError> {
    let mut names = SOURCE_COLLECTIONS.to_vec();
    names.push(names::INBOXES);
    let list = doc! { "listCollections": 1, "filter": { "name": { "$in": &names } }, "cursor": { "batchSize": 100 } };
    let listed = match bounded("listing the collections", COMMAND_TIMEOUT, database.run_command(list)).await {
        Ok(listed) => listed,
        // A login may be allowed to use them without being allowed to list them.
        Err(StoreError::Failed(_)) => return Ok(names.into_iter().map(|name| (name.to_owned(), None)).collect()),
        Err(unavailable) => return Err(unavailable),
    };
    let batch = listed
        .get_document("cursor")
        .and_then(|cursor| cursor.get_array("firstBatch"));
    let batch = batch.map_err(|_| StoreError::Failed("the list of collections can't be understood".into()))?;
    let collection = |listed: &Document| {
        let uuid = listed
            .get_document("info")
            .ok()
            .and_then(|info| info.get("uuid"))
            .cloned();
        Some((listed.get_str("name").ok()?.to_owned(), uuid))
    };
    Ok(batch
        .iter()
        .filter_map(Bson::as_document)
        .filter_map(collection)
        .collect())
}
