//! Building all inboxes from the messages: those of an old database at the first start, and again when asked.
//!
//! One document in `meta` says how far that is. It is done in steps. The process that holds the lease on it remembers each
//! step before the next begins; when that process dies, another continues. All of it may be done twice. The messages are
//! read in the order of their ids. Messages that are stored meanwhile are projected as always.
//!
//! A rebuild then goes through the inboxes as well: one whose newest message is gone is set to the newest that there is, or
//! removed.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bson::oid::ObjectId;
use bson::raw::RawDocumentBuf;
use bson::{Bson, Document, doc};
use mongodb::options::ReturnDocument;
use mongodb::{Collection, Database};
use parking_lot::Mutex;
use shared::UserId;
use tokio::sync::Notify;

use super::entry::{key, peer};
use super::write::project;
use crate::domain::Position;
use crate::storage::mongodb::document::{self, encode_position, message_key, user_id};
use crate::storage::mongodb::error::bounded;
use crate::storage::mongodb::integrity::Integrity;
use crate::storage::mongodb::meta::{INBOX, Meta};
use crate::storage::mongodb::names;
use crate::storage::mongodb::query::{self, Order};
use crate::storage::mongodb::summaries::Summaries;
use crate::storage::mongodb::timeouts::{READ_TIMEOUT, WRITE_TIMEOUT};
use crate::storage::{Projection, StoreError};

/// Messages of one step.
const MAX_MESSAGES: i64 = 50_000;
/// Inboxes of one step.
const MAX_INBOXES: i64 = 500;
/// How long a process that works on it may be silent before another continues, in milliseconds.
const LEASE_TIMEOUT: i64 = 30_000;
/// How often a process that does not work on it checks whether it should.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How often the log says how far it is.
const REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// Builds inboxes. Its clones are the same one.
#[derive(Clone)]
pub(in crate::storage::mongodb) struct Builder {
    database: Database,
    meta: Meta,
    messages: Collection<RawDocumentBuf>,
    inboxes: Collection<RawDocumentBuf>,
    summaries: Summaries,
    node: ObjectId,
    shared: Arc<Shared>,
}

struct Shared {
    /// What is known of the progress; held for a copy.
    progress: Mutex<Projection>,
    /// There is something to build.
    wake: Notify,
}

/// An inbox as the second part of a rebuild reads it.
struct Inbox {
    id: Document,
    pair: (UserId, UserId),
    last: Position,
    touched: i64,
}

impl Builder {
    /// Finds out how far the inboxes are built; an empty database has them all.
    pub(in crate::storage::mongodb) async fn begin(
        database: &Database,
        meta: Meta,
        summaries: Summaries,
        node: ObjectId,
        no_inboxes: bool,
    ) -> Result<Self, StoreError> {
        let messages: Collection<RawDocumentBuf> = database.collection(names::MESSAGES);
        let total = count(&messages).await?;
        let state = meta.ensure(
            INBOX,
            doc! { "ready": total == 0, "build": (total > 0).then(|| start(total)) },
        );
        let builder = Self {
            database: database.clone(),
            inboxes: database.collection(names::INBOXES),
            messages,
            summaries,
            node,
            shared: Arc::new(Shared {
                progress: Mutex::new(progress(&state.await?)),
                wake: Notify::new(),
            }),
            meta,
        };
        builder.set_progress(builder.projection());
        if no_inboxes && total > 0 && builder.projection().ready {
            // They were there, and somebody has dropped them.
            builder.begin_anew().await?;
        }
        Ok(builder)
    }

    /// Begins to build inboxes that are gone: until that is done they are not complete.
    pub(in crate::storage::mongodb) async fn begin_anew(&self) -> Result<(), StoreError> {
        let begin = doc! { "$set": { "ready": false, "build": start(count(&self.messages).await?) } };
        let begun = self.meta.documents.update_one(doc! { "_id": INBOX }, begin);
        bounded("beginning to build inboxes", WRITE_TIMEOUT, begun).await?;
        self.refresh().await?;
        self.shared.wake.notify_one();
        Ok(())
    }

    /// See [`crate::storage::InboxStore::projection`].
    pub(in crate::storage::mongodb) fn projection(&self) -> Projection {
        *self.shared.progress.lock()
    }

    /// See [`crate::storage::InboxStore::rebuild`].
    pub(in crate::storage::mongodb) async fn rebuild(&self) -> Result<(), StoreError> {
        let begin = doc! { "$set": { "build": start(count(&self.messages).await?) } };
        let idle = doc! { "_id": INBOX, "build": Bson::Null };
        let begun = self.meta.documents.update_one(idle, begin);
        bounded("beginning to rebuild inboxes", WRITE_TIMEOUT, begun).await?;
        self.refresh().await?;
        self.shared.wake.notify_one();
        Ok(())
    }

    /// Builds whenever there is something to build. Never returns.
    pub(in crate::storage::mongodb) async fn run(self, integrity: Integrity) {
        loop {
            if let Err(error) = self.build(&integrity).await {
                tracing::debug!(%error, "inboxes: a step of the build failed");
            }
            // The one that comes first.
            let _ = tokio::time::timeout(POLL_INTERVAL, self.shared.wake.notified()).await;
        }
    }

    /// Builds until nothing is left, or until another process holds the lease.
    async fn build(&self, integrity: &Integrity) -> Result<(), StoreError> {
        let mut reported = None;
        loop {
            integrity.admit(READ_TIMEOUT).await?;
            let Some(state) = self.claim().await? else { break };
            let Ok(build) = state.get_document("build") else {
                return Ok(());
            };
            let progress = progress(&state);
            if reported.is_none_or(|at: Instant| at.elapsed() > REPORT_INTERVAL) {
                tracing::info!(done = progress.done, total = progress.total, "building inboxes");
                reported = Some(Instant::now());
            }
            let next = if build.get_bool("reading").unwrap_or(false) {
                self.read_messages(build, progress.ready).await?
            } else {
                self.check_inboxes(build).await?
            };
            let ended = next.is_none();
            let update = match next {
                Some(fields) => doc! { "$set": fields },
                None => doc! { "$set": { "ready": true, "build": Bson::Null, "built": stored_count(progress.done) } },
            };
            let held = doc! { "_id": INBOX, "build.holder": self.node };
            let advance = self.meta.documents.update_one(held, update);
            bounded("remembering what is built", WRITE_TIMEOUT, advance).await?;
            if ended {
                tracing::info!(done = self.projection().done, "inboxes are built");
            }
        }
        self.refresh().await
    }

    /// Takes or renews the lease; `None` if there is nothing to build, or another process does it.
    async fn claim(&self) -> Result<Option<Document>, StoreError> {
        let free = doc! { "_id": INBOX, "build": { "$type": "object" }, "$expr": { "$or": [
            { "$eq": ["$build.holder", self.node] },
            { "$lt": ["$build.until", "$$NOW"] },
        ] } };
        let take = doc! { "$set": {
            "build.holder": self.node,
            "build.until": { "$add": ["$$NOW", LEASE_TIMEOUT] },
        } };
        let claim = self
            .meta
            .documents
            .find_one_and_update(free, vec![take])
            .return_document(ReturnDocument::After);
        let claimed = bounded("claiming to build inboxes", WRITE_TIMEOUT, claim).await?;
        if let Some(state) = &claimed {
            self.set_progress(progress(state));
        }
        Ok(claimed)
    }

    fn set_progress(&self, progress: Projection) {
        *self.shared.progress.lock() = progress;
        self.summaries.inboxes_are_complete(progress.ready);
    }

    /// Reads how far it is, also if others have built.
    async fn refresh(&self) -> Result<(), StoreError> {
        let find = self.meta.documents.find_one(doc! { "_id": INBOX });
        if let Some(state) = bounded("reading what is built", READ_TIMEOUT, find).await? {
            self.set_progress(progress(&state));
        }
        Ok(())
    }

    /// Projects the next messages. Returns what is to be remembered, or `None` if that was all.
    async fn read_messages(&self, build: &Document, ready: bool) -> Result<Option<Document>, StoreError> {
        let after = match build.get_object_id("after") {
            Ok(after) => doc! { "_id": { "$gt": after } },
            Err(_) => doc! { "_id": { "$gte": ObjectId::from_bytes([0; 12]) } },
        };
        let find = self
            .messages
            .find(after)
            .projection(doc! { "sender": 1, "receiver": 1, "createdAt": 1 })
            .sort(doc! { "_id": 1 })
            .limit(MAX_MESSAGES)
            .max_time(READ_TIMEOUT);
        let messages = query::all("reading messages for inboxes", READ_TIMEOUT, find, document::message).await?;
        let Some(last) = messages.last() else {
            // Inboxes that were there before may be wrong; new ones are not.
            return Ok(ready.then(|| doc! { "build.reading": false, "build.after": Bson::Null }));
        };
        let done = build.get_i64("done").unwrap_or_default() + i64::try_from(messages.len()).unwrap_or_default();
        project(&self.database, &messages).await?;
        Ok(Some(doc! { "build.after": message_key(last.id), "build.done": done }))
    }

    /// Repairs the next inboxes whose newest message is gone. Returns what is to be remembered, or `None` if that was all.
    async fn check_inboxes(&self, build: &Document) -> Result<Option<Document>, StoreError> {
        let after = match build.get_document("after") {
            Ok(after) => doc! { "_id": { "$gt": after } },
            Err(_) => doc! {},
        };
        let find = self
            .inboxes
            .find(after)
            .sort(doc! { "_id": 1 })
            .limit(MAX_INBOXES)
            .max_time(READ_TIMEOUT);
        let inboxes = query::all("reading inboxes", READ_TIMEOUT, find, |inbox| {
            let id = inbox.get_document("_id").ok()?;
            Some(Inbox {
                pair: (user_id(id.get_object_id("owner").ok()?), peer(inbox)?),
                last: document::position(inbox.get_document("last").ok()?)?,
                touched: inbox.get_i64("touched").ok()?,
                id: id.to_owned().try_into().ok()?,
            })
        })
        .await?;
        let Some(last) = inboxes.last() else { return Ok(None) };
        let ids: Vec<ObjectId> = inboxes.iter().map(|inbox| message_key(inbox.last.id)).collect();
        let find = self
            .messages
            .find(doc! { "_id": { "$in": ids } })
            .projection(doc! { "_id": 1 })
            .max_time(READ_TIMEOUT);
        let existing = query::all("finding newest messages", READ_TIMEOUT, find, |message| {
            document::object_id(message).map(document::message_id)
        });
        let existing: HashSet<_> = existing.await?.into_iter().collect();
        let wrong: Vec<&Inbox> = inboxes
            .iter()
            .filter(|inbox| !existing.contains(&inbox.last.id))
            .collect();
        self.correct(&wrong).await?;
        Ok(Some(doc! { "build.after": last.id.clone() }))
    }

    async fn correct(&self, wrong: &[&Inbox]) -> Result<(), StoreError> {
        let pairs: Vec<(UserId, UserId)> = wrong.iter().map(|inbox| inbox.pair).collect();
        let newest = self.summaries.newest(&pairs).await?;
        let mut statements = Vec::new();
        for (inbox, newest) in wrong.iter().zip(newest) {
            // A message that came meanwhile has touched it, and it is right.
            let unchanged = doc! { "_id": key(inbox.pair.0, inbox.pair.1), "touched": inbox.touched };
            match newest {
                Some(newest) => {
                    let update = doc! { "$set": { "last": encode_position(Position::of(&newest)) } };
                    statements.push(doc! { "q": unchanged, "u": update });
                }
                None => {
                    bounded("removing an inbox", WRITE_TIMEOUT, self.inboxes.delete_one(unchanged)).await?;
                }
            }
        }
        if statements.is_empty() {
            return Ok(());
        }
        let command = query::update(names::INBOXES, statements, Order::Any);
        query::run_update("correcting inboxes", WRITE_TIMEOUT, &self.database, command).await
    }
}

/// What a build begins with. Any process may take it over.
fn start(total: u64) -> Document {
    let epoch = bson::DateTime::from_millis(0);
    doc! { "reading": true, "done": 0_i64, "total": stored_count(total), "until": epoch }
}

/// A number of messages, as it is stored.
fn stored_count(messages: u64) -> i64 {
    i64::try_from(messages).unwrap_or(i64::MAX)
}

/// How far the build is that is under way, or how far the last one came.
fn progress(state: &Document) -> Projection {
    let build = state.get_document("build").ok();
    let number = |field: &str| build.and_then(|build| build.get_i64(field).ok()).unwrap_or_default();
    let done = match build {
        Some(_) => number("done"),
        None => state.get_i64("built").unwrap_or_default(),
    };
    let done = u64::try_from(done).unwrap_or_default();
    Projection {
        ready: state.get_bool("ready").unwrap_or(false),
        building: build.is_some(),
        done,
        // What is stored meanwhile is counted as well.
        total: u64::try_from(number("total")).unwrap_or_default().max(done),
    }
}

async fn count(messages: &Collection<RawDocumentBuf>) -> Result<u64, StoreError> {
    bounded(
        "counting messages",
        READ_TIMEOUT,
        messages.estimated_document_count().max_time(READ_TIMEOUT),
    )
    .await
}
