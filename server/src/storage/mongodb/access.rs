//! Whose tokens are revoked, and who is banned: optional fields of the users' documents, which Mongoose ignores.
//!
//! Whoever comes with a token is looked up at the primary, so a change holds for new connections and for requests everywhere
//! once it was acknowledged. Connections that other nodes have are ended when those poll it ([`AccessPoller`]). The time of a
//! change is given by the database, so that the clocks of nodes don't matter.

use std::collections::HashMap;
use std::time::Duration;

use bson::raw::{RawDocument, RawDocumentBuf};
use bson::{DateTime, Document, doc};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use mongodb::options::ReturnDocument;
use mongodb::{Collection, Database};
use shared::{Timestamp, UserId};
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::document::{self, date, timestamp, user_key};
use super::error::{bounded, retrying};
use super::integrity::Integrity;
use super::timeouts::{READ_TIMEOUT, WRITE_TIMEOUT};
use super::window::WINDOW;
use super::{names, query};
use crate::domain::{Access, Ban};
use crate::outage::Outage;
use crate::storage::StoreError;

/// How long a change is tried. Longer than an election takes.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(20);
/// How often other processes' changes are read. A revocation is to have ended all connections within a second.
const POLL_INTERVAL: Duration = Duration::from_millis(400);
/// How far before the newest change each poll reads, in milliseconds: times and commits are in nearly the same order.
const RECENT: i64 = 3_000;
/// Every so many polls the whole of [`WINDOW`] is read: a new primary's clock may be so much earlier.
const WIDE_EVERY: u32 = 10;
/// Changes of one command.
const MAX_PAGE: i64 = 5_000;
/// Changes that are remembered, so that each is yielded once; beyond that all are forgotten, and yielded once more.
const MAX_SEEN: usize = 50_000;

/// The field, and the time of its last change.
const ACCESS: &str = "access";
const UPDATED_AT: &str = "access.updatedAt";

/// The field in the collection of users.
pub(super) struct UserAccess {
    database: Database,
    users: Collection<RawDocumentBuf>,
    integrity: Integrity,
}

impl UserAccess {
    pub(super) fn new(database: &Database, integrity: Integrity) -> Self {
        Self {
            users: database.collection(names::USERS),
            database: database.clone(),
            integrity,
        }
    }

    /// See [`crate::storage::AccessStore::revoke`].
    pub(super) async fn revoke(&self, user: UserId, before: Timestamp) -> Result<Option<Access>, StoreError> {
        self.update(user, doc! { "$max": { "access.revokedBefore": date(before) } })
            .await
    }

    /// See [`crate::storage::AccessStore::set_ban`].
    pub(super) async fn set_ban(&self, user: UserId, ban: Option<&Ban>) -> Result<Option<Access>, StoreError> {
        let update = match ban {
            Some(ban) => doc! { "$set": { "access.ban": encode(ban) } },
            None => doc! { "$unset": { "access.ban": "" } },
        };
        self.update(user, update).await
    }

    /// Repeating it does no harm: it says how things are to be.
    async fn update(&self, user: UserId, mut update: Document) -> Result<Option<Access>, StoreError> {
        update.insert("$currentDate", doc! { UPDATED_AT: true });
        let updated = retrying(Instant::now() + COMMIT_TIMEOUT, || async {
            let update = self
                .users
                .find_one_and_update(doc! { "_id": user_key(user) }, update.clone())
                .return_document(ReturnDocument::After);
            bounded("changing who may connect", WRITE_TIMEOUT, update).await
        });
        Ok(updated.await?.map(|user| access(&user)))
    }

    /// See [`crate::storage::AccessStore::access_changes`].
    pub(super) fn changes(&self) -> BoxStream<'static, Vec<UserId>> {
        let mut tick = tokio::time::interval(POLL_INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let poller = AccessPoller {
            users: self.users.clone(),
            database: self.database.clone(),
            integrity: self.integrity.clone(),
            newest: None,
            now: 0,
            seen: HashMap::new(),
            polls: 0,
            tick,
            outage: Outage::default(),
        };
        stream::unfold(poller, |mut poller| async {
            let changed = poller.next().await;
            Some((changed, poller))
        })
        .boxed()
    }
}

/// Reads which users were changed, by whichever process.
struct AccessPoller {
    users: Collection<RawDocumentBuf>,
    database: Database,
    integrity: Integrity,
    /// The time of the newest change that was read, but no later than `now`; at first when it began. It moves with what was read
    /// only, so nothing is missed while the database is away.
    newest: Option<i64>,
    /// The database's clock at the last wide poll. One that was ahead and was set right must not hide what comes.
    now: i64,
    /// The changes that were yielded.
    seen: HashMap<UserId, i64>,
    polls: u32,
    tick: Interval,
    outage: Outage,
}

impl AccessPoller {
    /// Waits for changes.
    async fn next(&mut self) -> Vec<UserId> {
        loop {
            self.tick.tick().await;
            match self.poll().await {
                Ok(changed) => {
                    if let Some(ended) = self.outage.worked() {
                        tracing::info!(lasted = ?ended.lasted, "access: who was shut out is read again");
                    }
                    if !changed.is_empty() {
                        return changed;
                    }
                }
                Err(error) => {
                    // What was missed meanwhile may lie far back.
                    self.polls = 0;
                    if self.outage.failed() {
                        tracing::warn!(%error, "access: who was shut out by other nodes can't be read; it will be tried again");
                    }
                }
            }
        }
    }

    async fn poll(&mut self) -> Result<Vec<UserId>, StoreError> {
        self.integrity.admit(READ_TIMEOUT).await?;
        let wide = self.polls.is_multiple_of(WIDE_EVERY);
        if wide {
            self.now = self.database_clock().await?;
        }
        let newest = self.newest.map_or(self.now, |newest| newest.min(self.now));
        let oldest = newest.saturating_sub(WINDOW);
        let mut from = if wide { oldest } else { newest.saturating_sub(RECENT) };
        let mut changed = Vec::new();
        loop {
            let page = self.page(from).await?;
            let last = page.last().map(|(_, at)| *at);
            for (user, at) in &page {
                if self.seen.insert(*user, *at) != Some(*at) {
                    changed.push(*user);
                }
            }
            match last.filter(|_| page.len() as i64 >= MAX_PAGE) {
                // All of one millisecond are on one page.
                Some(last) => from = last.max(from + 1),
                None => {
                    self.newest = Some(last.map_or(newest, |last| last.max(newest)));
                    break;
                }
            }
        }
        self.polls = self.polls.wrapping_add(1);
        if self.seen.len() > MAX_SEEN {
            self.seen = HashMap::new();
        } else if wide {
            self.seen.retain(|_, at| *at >= oldest);
        }
        Ok(changed)
    }

    async fn database_clock(&self) -> Result<i64, StoreError> {
        let hello = self.database.run_command(doc! { "hello": 1 });
        let hello = bounded("reading the database's clock", READ_TIMEOUT, hello).await?;
        let unclear = |_| StoreError::Failed("the database does not say what time it is".into());
        Ok(hello.get_datetime("localTime").map_err(unclear)?.timestamp_millis())
    }

    async fn page(&self, from: i64) -> Result<Vec<(UserId, i64)>, StoreError> {
        let find = self
            .users
            .find(doc! { UPDATED_AT: { "$gte": DateTime::from_millis(from) } })
            .projection(doc! { UPDATED_AT: 1 })
            .sort(doc! { UPDATED_AT: 1 })
            .limit(MAX_PAGE)
            .batch_size(MAX_PAGE as u32)
            .max_time(READ_TIMEOUT);
        query::all("reading who was shut out", READ_TIMEOUT, find, |user| {
            let at = user.get_document(ACCESS).ok()?.get_datetime("updatedAt").ok()?;
            Some((document::user_id(document::object_id(user)?), at.timestamp_millis()))
        })
        .await
    }
}

fn encode(ban: &Ban) -> Document {
    let mut document = doc! { "at": date(ban.at) };
    if let Some(until) = ban.until {
        document.insert("until", date(until));
    }
    if let Some(reason) = &ban.reason {
        document.insert("reason", reason);
    }
    document
}

/// Reads how it stands with a user from the user's document. What another program spoiled of a ban leaves it a ban.
pub(super) fn access(user: &RawDocument) -> Access {
    let Ok(stored) = user.get_document(ACCESS) else {
        return Access::default();
    };
    let time = |document: &RawDocument, field: &str| document.get_datetime(field).ok().map(timestamp);
    Access {
        revoked_before: time(stored, "revokedBefore"),
        ban: stored.get_document("ban").ok().map(|ban| Ban {
            at: time(ban, "at").unwrap_or(Timestamp::from_millis(0)),
            until: time(ban, "until"),
            reason: ban.get_str("reason").ok().map(str::to_owned),
        }),
    }
}
