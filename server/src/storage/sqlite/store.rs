//! The calls of the traits, each a job for the writer or a read on a connection of its own.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt};
use rusqlite::Connection;
use shared::{ExternalId, Message, MessageId, Settings, SettingsChange, Timestamp, User, UserId};

use super::{EmbeddedStore, access, append, feed, inbox, markers, opening, pages, projector, sequence, users};
use crate::domain::{Access, Ban, Bounds, Changes, Conversation, Cursor, End, Mark, Marked, Position, RemoteChange};
use crate::domain::{NewMessage, NewUser, Profile, Username};
use crate::storage::size;
use crate::storage::{
    AccessStore, AppendError, Appended, ChangesError, FeedStore, InboxEntry, InboxStore, MarkError, MessageStore,
    PresenceChange, PresenceStore, Projection, ReceiptStore, StoreError, Summary, UserStore,
};

/// Messages of all users that a reader of a feed filters itself, before it waits for them to be projected.
const MAX_FILTERED: i64 = 256;

/// Most messages in one chunk of [`MessageStore::history`].
pub(super) const MAX_CHUNK: usize = 256;

impl EmbeddedStore {
    /// Runs a write, and calls `committed` with its output when it is durable. It waits as long as the disk does: a write
    /// that was given up could still be committed, and its caller would not be notified.
    async fn write<T, F, C>(&self, work: F, committed: C) -> Result<T, StoreError>
    where
        F: Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
        T: Send + 'static,
        C: FnOnce(&projector::Shared, &T) + Send + 'static,
    {
        let shared = self.projector.shared();
        self.writer
            .run_then(work, move |output| committed(&shared, output))
            .await
    }
}

#[async_trait]
impl MessageStore for EmbeddedStore {
    /// One: there is one writer, and what waits for it meanwhile becomes its next, larger batch.
    fn append_lanes(&self) -> usize {
        1
    }

    async fn append(&self, batch: &[NewMessage]) -> Vec<Result<Appended, AppendError>> {
        if batch.is_empty() {
            return Vec::new();
        }
        let messages = batch.to_vec();
        let work = move |connection: &_| append::append(connection, &messages);
        let committed = |shared: &projector::Shared, outcome: &append::AppendedBatch| {
            if let Some(newest) = outcome.newest {
                shared.appended(newest);
            }
        };
        match self.write(work, committed).await {
            Ok(outcome) => outcome.messages,
            Err(error) => error.for_each(batch.len()),
        }
    }

    async fn message(&self, conversation: Conversation, id: MessageId) -> Result<Option<Message>, StoreError> {
        self.readers
            .run(move |connection| pages::message(connection, conversation, id))
            .await
    }

    async fn page(
        &self,
        conversation: Conversation,
        bounds: Bounds,
        end: End,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        self.readers
            .run(move |connection| pages::page(connection, conversation, bounds, end, limit))
            .await
    }

    /// Each chunk is a page of its own, read when it is wanted: a consumer that stalls holds neither a connection nor a
    /// snapshot.
    fn history(&self, conversation: Conversation) -> BoxStream<'static, Result<Vec<Message>, StoreError>> {
        let readers = Arc::clone(&self.readers);
        stream::try_unfold(Some(Bounds::default()), move |rest| {
            let readers = Arc::clone(&readers);
            async move {
                let Some(bounds) = rest else { return Ok(None) };
                let page = move |connection: &_| pages::page(connection, conversation, bounds, End::Oldest, MAX_CHUNK);
                let chunk = readers.run(page).await?;
                let rest = match chunk.last() {
                    None => return Ok(None),
                    Some(last) if chunk.len() == MAX_CHUNK || size::is_piece(&chunk) => {
                        last.created_at.map(|created_at| Bounds {
                            after: Some(Position {
                                created_at,
                                id: last.id,
                            }),
                            before: None,
                        })
                    }
                    Some(_) => None,
                };
                Ok(Some((chunk, rest)))
            }
        })
        .boxed()
    }

    async fn newest(&self) -> Result<Option<Timestamp>, StoreError> {
        let newest = self.readers.run(sequence::newest).await;
        newest.map_err(|error| opening::damaged(&self.path.join("chat.db"), error))
    }
}

#[async_trait]
impl ReceiptStore for EmbeddedStore {
    async fn mark(&self, marks: &[Mark]) -> Vec<Result<Marked, MarkError>> {
        if marks.is_empty() {
            return Vec::new();
        }
        let given = marks.to_vec();
        let work = move |connection: &_| markers::mark(connection, &given);
        let committed = |shared: &projector::Shared, outcome: &markers::MarkedBatch| shared.committed(outcome.newest);
        match self.write(work, committed).await {
            Ok(outcome) => outcome.marked,
            Err(error) => error.for_each(marks.len()),
        }
    }
}

#[async_trait]
impl FeedStore for EmbeddedStore {
    fn committed_position(&self) -> i64 {
        self.projector.committed_position()
    }

    fn cursor(&self, committed_position: i64) -> Cursor {
        Cursor::at(self.instance, committed_position)
    }

    /// Right whatever is projected: messages that are not projected are filtered out of everybody's. Waiting for the
    /// projection only spares that, so it may fail.
    async fn changes(&self, user: UserId, since: &Cursor, limit: usize) -> Result<Changes, ChangesError> {
        if self.projector.waiting() > MAX_FILTERED
            && let Err(error) = self.projector.flush().await
        {
            tracing::debug!(%error, "feed: waiting for the projection failed; the feed is read without it");
        }
        let (instance, since) = (self.instance, since.clone());
        self.readers
            .run(move |connection| feed::changes(connection, instance, user, &since, limit))
            .await?
    }

    /// Never yields: this process is the only one.
    fn remote_changes(&self) -> BoxStream<'static, Vec<RemoteChange>> {
        stream::pending().boxed()
    }
}

#[async_trait]
impl InboxStore for EmbeddedStore {
    async fn inbox(&self, user: UserId, after: Option<Position>, limit: usize) -> Result<Vec<InboxEntry>, StoreError> {
        self.projector.flush().await?;
        self.readers
            .run(move |connection| inbox::page(connection, user, after, limit))
            .await
    }

    async fn summaries(&self, pairs: &[(UserId, UserId)]) -> Result<Vec<Summary>, StoreError> {
        let pairs = pairs.to_vec();
        self.readers
            .run(move |connection| inbox::summaries(connection, &pairs))
            .await
    }

    async fn total_unread(&self, user: UserId, most: u32) -> Result<u32, StoreError> {
        self.projector.flush().await?;
        self.readers
            .run(move |connection| inbox::total_unread(connection, user, most))
            .await
    }

    async fn acquainted(&self, user: UserId, others: &[UserId]) -> Result<HashSet<UserId>, StoreError> {
        let others = others.to_vec();
        self.readers
            .run(move |connection| inbox::acquainted(connection, user, &others))
            .await
    }

    fn projection(&self) -> Projection {
        self.projector.projection()
    }

    async fn rebuild(&self) -> Result<(), StoreError> {
        self.projector.rebuild();
        Ok(())
    }
}

#[async_trait]
impl UserStore for EmbeddedStore {
    async fn create_users(&self, names: &[Username], at: Timestamp) -> Result<Vec<(User, bool)>, StoreError> {
        let names = names.to_vec();
        self.writer
            .run(move |connection| users::create(connection, &names, at))
            .await
    }

    async fn find_or_create(&self, users: &[NewUser], at: Timestamp) -> Result<Vec<(User, bool)>, StoreError> {
        let users = users.to_vec();
        self.writer
            .run(move |connection| users::find_or_create(connection, &users, at))
            .await
    }

    async fn with_external_ids(&self, ids: &[ExternalId]) -> Result<Vec<Option<UserId>>, StoreError> {
        let ids = ids.to_vec();
        self.readers
            .run(move |connection| ids.iter().map(|id| users::by_external_id(connection, id)).collect())
            .await
    }

    async fn set_external_id(&self, user: UserId, id: &ExternalId) -> Result<Option<User>, StoreError> {
        let id = id.clone();
        self.writer
            .run(move |connection| users::set_external_id(connection, user, &id))
            .await
    }

    async fn set_profile(&self, user: UserId, profile: &Profile) -> Result<(), StoreError> {
        let profile = profile.clone();
        self.writer
            .run(move |connection| users::set_profile(connection, user, &profile))
            .await
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.readers.run(move |connection| users::by_id(connection, id)).await
    }

    async fn users(&self, ids: &[UserId]) -> Result<Vec<Option<User>>, StoreError> {
        let ids = ids.to_vec();
        self.readers
            .run(move |connection| ids.iter().map(|&id| users::by_id(connection, id)).collect())
            .await
    }

    async fn users_named(&self, name: &str) -> Result<Vec<User>, StoreError> {
        let name = name.to_owned();
        let user = self
            .readers
            .run(move |connection| users::by_name(connection, &name))
            .await?;
        Ok(user.into_iter().collect())
    }

    async fn list_users(&self, after: Option<UserId>, limit: usize) -> Result<Vec<User>, StoreError> {
        self.readers
            .run(move |connection| users::list(connection, after, limit))
            .await
    }

    async fn settings(&self, users: &[UserId]) -> Result<Vec<Settings>, StoreError> {
        let users = users.to_vec();
        self.readers
            .run(move |connection| {
                let settings = |&user| Ok(users::settings(connection, user)?.unwrap_or_default());
                users.iter().map(settings).collect()
            })
            .await
    }

    async fn change_settings(
        &self,
        user: UserId,
        change: SettingsChange,
        _at: Timestamp,
    ) -> Result<Option<Settings>, StoreError> {
        let work = move |connection: &_| users::change_settings(connection, user, change);
        let committed = |shared: &projector::Shared, (_, newest): &(_, i64)| shared.committed(*newest);
        let (settings, _) = self.write(work, committed).await?;
        Ok(settings)
    }
}

#[async_trait]
impl AccessStore for EmbeddedStore {
    async fn access(&self, user: UserId) -> Result<Option<Access>, StoreError> {
        self.readers.run(move |connection| access::of(connection, user)).await
    }

    async fn revoke(&self, user: UserId, before: Timestamp) -> Result<Option<Access>, StoreError> {
        let work = move |connection: &_| access::revoke(connection, user, before);
        self.writer.run(work).await
    }

    async fn set_ban(&self, user: UserId, ban: Option<Ban>) -> Result<Option<Access>, StoreError> {
        let work = move |connection: &_| access::set_ban(connection, user, ban.as_ref());
        self.writer.run(work).await
    }

    /// Never yields: this process is the only one.
    fn access_changes(&self) -> BoxStream<'static, Vec<UserId>> {
        stream::pending().boxed()
    }
}

#[async_trait]
impl PresenceStore for EmbeddedStore {
    async fn set_presence(&self, changes: &[PresenceChange]) -> Result<(), StoreError> {
        let changes = changes.to_vec();
        self.writer
            .run(move |connection| users::set_presence(connection, &changes))
            .await
    }

    /// Nothing to do: the directory's lock is the claim, and opening took the dead process's users offline.
    async fn heartbeat(&self, _now: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }

    /// No: the directory is locked.
    fn is_shared(&self) -> bool {
        false
    }
}
