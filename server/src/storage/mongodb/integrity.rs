//! Whether this is still the database that the store was opened on, with the indexes that keep its promises.
//!
//! A database can be emptied, replaced or lose its indexes while the server runs: a restore into the wrong place, a `mongod`
//! that came back with an empty disk, a `dropIndexes` by hand. Deduplication and unique names would end in silence then.
//!
//! What is looked at: the id in `meta`, the UUID of each collection (dropping a collection and making it again changes it), and
//! the indexes. When: every [`EVERY`]; and, but for the indexes, at once after the driver has made a new connection.
//!
//! # What is held back
//! [`admit`](Integrity::admit) lets work pass only after a look that found everything in order, that is no older than [`LATEST`],
//! and that *began after the youngest connection was ready*, and after the primary was last elected. Writes are admitted a second time, before anybody is told that they
//! succeeded. So:
//!
//! - A server that was replaced is noticed before anything is acknowledged. To reach it the driver needs a new connection, so the
//!   second admission waits for a look that began later; it fails, and the messages get `store_unavailable`. (Two databases that
//!   answer at one address at the same time are not told apart.)
//! - A database that is emptied, or loses an index, *on a server that stays* is noticed at the next look. What is acknowledged in
//!   between, at most for [`LATEST`] and usually for [`EVERY`], is in the new database, and a repeated `clientMessageId` can
//!   be stored twice. This window is the price for not asking the database twice about each batch.
//!
//! # What follows
//! Indexes that are missing are built again. While a unique one is, nothing is admitted; another one only makes reads slow.
//! Inboxes that were dropped are built from the messages. Anything else that is gone is not made again: nothing is admitted
//! until the database is back as it was, or the server is restarted by an operator who meant it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bson::{Bson, Document, doc};
use mongodb::Database;
use tokio::sync::watch;
use tokio::time::Instant;

use super::connect::{self, Connected, Connections};
use super::error::{Backoff, bounded, timed_out};
use super::inbox::Builder;
use super::indexes::{self, Index};
use super::meta::Meta;
use crate::domain::Instance;
use crate::storage::StoreError;
use repair::Repair;

mod repair;

/// How often the database is looked at.
const EVERY: Duration = Duration::from_secs(2);
/// How old the last look may be when work is admitted.
const LATEST: Duration = Duration::from_secs(10);
/// How long one command of a look may take.
const COMMAND: Duration = Duration::from_secs(5);
/// The collections that can't be made again from others.
const ORIGINALS: [&str; 4] = [connect::META, connect::MESSAGES, connect::USERS, connect::MARKERS];

/// Says whether the database is sound. Its clones are the same one.
#[derive(Clone)]
pub(super) struct Integrity {
    shared: Arc<Shared>,
}

struct Shared {
    connections: Arc<Connections>,
    verdict: watch::Sender<Verdict>,
    /// How often the database was found to be unsound.
    losses: AtomicU64,
}

/// What the last look has found.
#[derive(Clone)]
enum Verdict {
    Sound {
        /// How many connections had been made when the look began.
        connections: u64,
        /// When the last one began that looked at the indexes, too.
        at: Instant,
    },
    /// Why nothing is admitted.
    Unsound(String),
}

/// The task that looks.
pub(super) struct Task {
    shared: Arc<Shared>,
    database: Database,
    /// By the client that reads.
    reads: Database,
    meta: Meta,
    builder: Builder,
    instance: Instance,
    uuids: Uuids,
    repair: Repair,
}

/// The collections that exist, by their UUIDs. Without a value where the database does not tell.
type Uuids = HashMap<String, Option<Bson>>;

/// What a look has found.
enum Found {
    Sound,
    /// These indexes are missing.
    Missing(Vec<Index>),
    /// The inboxes are not those of before.
    NoInboxes,
    /// It is not the same database.
    Other(String),
}

impl Integrity {
    /// Remembers what the database is, and prepares to look at it.
    pub(super) async fn begin(
        connected: &Connected,
        meta: Meta,
        builder: Builder,
        instance: Instance,
    ) -> Result<(Self, Task), StoreError> {
        let connections = Arc::clone(&connected.connections);
        let sound = Verdict::Sound {
            connections: connections.made(),
            at: Instant::now(),
        };
        // The client that inserts has connections to spare, so a look need not wait for readers.
        let database = connected.inserts.clone();
        let shared = Arc::new(Shared {
            connections,
            verdict: watch::Sender::new(sound),
            losses: AtomicU64::new(0),
        });
        let task = Task {
            shared: Arc::clone(&shared),
            uuids: uuids(&database).await?,
            database,
            reads: connected.database.clone(),
            meta,
            builder,
            instance,
            repair: Repair::default(),
        };
        Ok((Self { shared }, task))
    }

    /// Succeeds if the database is sound; waits up to `limit` for a look if one is due.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(super) async fn admit(&self, limit: Duration) -> Result<(), StoreError> {
        if let Some(known) = self.known() {
            return known;
        }
        let mut verdicts = self.shared.verdict.subscribe();
        let decided = async {
            loop {
                if let Some(known) = self.known() {
                    return known;
                }
                if verdicts.changed().await.is_err() {
                    return Err(StoreError::Unavailable("it is closed".into()));
                }
            }
        };
        tokio::time::timeout(limit, decided)
            .await
            .unwrap_or_else(|_| Err(timed_out("looking whether this is still the same database", limit)))
    }

    /// Does work and answers with its result, if the database was sound before and after.
    pub(super) async fn guard<T, E: From<StoreError>>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.admit(limit).await?;
        let done = work.await?;
        self.admit(limit).await?;
        Ok(done)
    }

    /// Reads, if the database was sound before and after. Fails if a primary was elected meanwhile: the driver asks the new one at
    /// once, and before that has committed something itself, it may not know that what was acknowledged before is committed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] then.
    pub(super) async fn read<T, E: From<StoreError>>(
        &self,
        limit: Duration,
        read: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let elections = self.shared.connections.elections();
        let done = self.guard(limit, read).await?;
        if self.shared.connections.elections() != elections {
            return Err(StoreError::Unavailable("a primary was elected meanwhile".into()).into());
        }
        Ok(done)
    }

    /// Grows when the database was found to be unsound: what was remembered of it before no longer counts.
    pub(super) fn losses(&self) -> u64 {
        self.shared.losses.load(Ordering::Acquire)
    }

    /// The answer of [`admit`](Self::admit), or `None` while the next look must be waited for.
    fn known(&self) -> Option<Result<(), StoreError>> {
        match &*self.shared.verdict.borrow() {
            Verdict::Unsound(why) => Some(Err(StoreError::Unavailable(why.clone()))),
            Verdict::Sound { connections, at } => {
                let is_new = *connections >= self.shared.connections.made() && at.elapsed() < LATEST;
                is_new.then_some(Ok(()))
            }
        }
    }
}

impl Task {
    /// Looks again and again. Never returns.
    pub(super) async fn run(mut self) {
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut backoff = Backoff::default();
        loop {
            let whole = tokio::select! {
                _ = tick.tick() => true,
                () = self.shared.connections.changed() => false,
            };
            while let Err(error) = self.look(whole).await {
                tracing::debug!(%error, "whether this is still the same database can't be found out");
                backoff.pause().await;
            }
            backoff = Backoff::default();
        }
    }

    /// Looks whether it is the same database; and `whole`, or if something was wrong before, at its indexes.
    async fn look(&mut self, whole: bool) -> Result<(), StoreError> {
        let connections = self.shared.connections.made();
        let before = match &*self.shared.verdict.borrow() {
            Verdict::Sound { at, .. } if !whole => Some(*at),
            _ => None,
        };
        let at = before.unwrap_or_else(Instant::now);
        let sound = Verdict::Sound { connections, at };
        match self.find(before.is_none()).await? {
            Found::Sound if before.is_some() => self.decide(sound),
            Found::Sound => {
                let repaired = std::mem::take(&mut self.repair).said;
                if !repaired.is_empty() {
                    tracing::info!(indexes = repaired.join(", "), "indexes are there again");
                }
                self.decide(sound);
            }
            Found::Other(what) => self.decide(Verdict::Unsound(format!(
                "this is not the database that the server was started on: {what}. Nothing is stored or read here. Bring the \
                 database back, or restart the server if this was meant"
            ))),
            Found::NoInboxes => {
                self.builder.begin_anew().await?;
                tracing::warn!("the collection inboxes was dropped; it is built again from the messages");
                // The next look takes what there is then for the right one.
                self.uuids.remove(connect::INBOXES);
                self.shared.connections.look_again();
            }
            Found::Missing(missing) => {
                let names = missing.iter().filter(|index| index.is_unique()).map(Index::path);
                let unique: Vec<String> = names.collect();
                self.repair.build(&self.database, missing);
                if unique.is_empty() {
                    self.decide(sound);
                } else {
                    let unique = unique.join(", ");
                    let why = match &*self.repair.failure.lock() {
                        Some(failure) => format!("{failure}; it is then built by itself"),
                        None => format!("the unique index {unique} is gone; it is built again"),
                    };
                    self.decide(Verdict::Unsound(why));
                }
            }
        }
        Ok(())
    }

    /// Fails while the primary is new and has committed nothing itself: what a majority has, as far as it knows, can lack what was
    /// acknowledged before it was elected.
    async fn has_committed(&self) -> Result<(), StoreError> {
        let hello = self.reads.run_command(doc! { "hello": 1 });
        let hello = bounded("asking for the primary", COMMAND, hello).await?;
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
    async fn find(&mut self, whole: bool) -> Result<Found, StoreError> {
        self.has_committed().await?;
        let now = uuids(&self.database).await?;
        let name = self.database.name();
        if ORIGINALS.iter().all(|collection| !now.contains_key(*collection)) {
            return Ok(Found::Other(format!("{name} is empty")));
        }
        match bounded("reading the database's id", COMMAND, self.meta.instance()).await? {
            None => return Ok(Found::Other(format!("{name} has no id in its collection meta"))),
            Some(found) if found != self.instance => {
                let hex = |id: Instance| id.map(|byte| format!("{byte:02x}")).concat();
                let (found, own) = (hex(found), hex(self.instance));
                return Ok(Found::Other(format!("{name} has the id {found} instead of {own}")));
            }
            Some(_) => {}
        }
        let is_same = |collection: &str| match (now.get(collection), self.uuids.get(collection)) {
            (Some(now), Some(before)) => now == before,
            (None, Some(_)) => false,
            (_, None) => true,
        };
        if let Some(gone) = ORIGINALS.into_iter().find(|collection| !is_same(collection)) {
            return Ok(Found::Other(format!("the collection {name}.{gone} was dropped")));
        }
        if !is_same(connect::INBOXES) {
            return Ok(Found::NoInboxes);
        }
        if let Some(uuid) = now.get(connect::INBOXES) {
            self.uuids.insert(connect::INBOXES.into(), uuid.clone());
        }
        if !whole {
            return Ok(Found::Sound);
        }
        let missing = indexes::missing(&self.database, COMMAND).await?;
        Ok(match missing.is_empty() {
            true => Found::Sound,
            false => Found::Missing(missing),
        })
    }

    /// Makes a verdict known, and says so if it is another than before.
    fn decide(&self, verdict: Verdict) {
        let before = self.shared.verdict.borrow().clone();
        match (&before, &verdict) {
            (Verdict::Unsound(_), Verdict::Sound { .. }) => {
                tracing::info!("the database is as it should be again");
            }
            (Verdict::Unsound(old), Verdict::Unsound(new)) if old == new => {}
            (_, Verdict::Unsound(why)) => {
                tracing::error!(%why, "the database is not as it should be");
                self.shared.losses.fetch_add(1, Ordering::AcqRel);
            }
            _ => {}
        }
        self.shared.verdict.send_replace(verdict);
    }
}

/// The collections that are looked at.
async fn uuids(database: &Database) -> Result<Uuids, StoreError> {
    let mut names = ORIGINALS.to_vec();
    names.push(connect::INBOXES);
    let list = doc! { "listCollections": 1, "filter": { "name": { "$in": &names } }, "cursor": { "batchSize": 100 } };
    let listed = match bounded("listing the collections", COMMAND, database.run_command(list)).await {
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
