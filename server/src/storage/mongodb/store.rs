//! The calls of the traits, each led to the part that does it. Reads and writes run while the database is sound.

use std::collections::HashSet;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use shared::{ExternalId, Message, MessageId, Settings, SettingsChange, Timestamp, User, UserId};

use super::timeouts::READ_TIMEOUT;
use super::{MongoStore, window};
use crate::domain::{Access, Ban, Bounds, Changes, Conversation, Cursor, End, Mark, Marked, Position, RemoteChange};
use crate::domain::{NewMessage, NewUser, Profile, Username};
use crate::storage::{
    AccessStore, AppendError, Appended, ChangesError, FeedStore, InboxEntry, InboxStore, MarkError, MessageStore,
    PresenceChange, PresenceStore, Projection, ReceiptStore, StoreError, Summary, UserStore,
};

impl MongoStore {
    /// Writes, or does other work, while the database is sound.
    async fn guard<T, E: From<StoreError>>(&self, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        self.integrity.guard(READ_TIMEOUT, work).await
    }

    /// Reads while the database is sound.
    async fn read<T, E: From<StoreError>>(&self, read: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        self.integrity.read(READ_TIMEOUT, read).await
    }
}

#[async_trait]
impl MessageStore for MongoStore {
    /// Two batches in flight gain up to half; more are slower than one.
    fn append_lanes(&self) -> usize {
        2
    }

    async fn append(&self, batch: &[NewMessage]) -> Vec<Result<Appended, AppendError>> {
        if let Some(first) = batch.first() {
            self.change_poller.set_own_ids(first.id);
        }
        let outcomes = self.appender.append(batch).await;
        self.projector
            .add(outcomes.iter().flatten().map(|appended| &appended.message));
        let unknown = batch.iter().zip(&outcomes).filter_map(|(new, outcome)| {
            let unknown = matches!(outcome, Err(AppendError::Store(_)));
            unknown.then_some(new.id)
        });
        self.projector.record_unknown_outcomes(unknown);
        outcomes
    }

    async fn message(&self, conversation: Conversation, id: MessageId) -> Result<Option<Message>, StoreError> {
        self.read(self.history.message(conversation, id)).await
    }

    async fn page(
        &self,
        conversation: Conversation,
        bounds: Bounds,
        end: End,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        self.read(self.history.page(conversation, bounds, end, limit)).await
    }

    fn history(&self, conversation: Conversation) -> BoxStream<'static, Result<Vec<Message>, StoreError>> {
        self.history.stream(conversation)
    }

    async fn newest(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read(self.history.newest((self.clock)())).await
    }
}

#[async_trait]
impl ReceiptStore for MongoStore {
    async fn mark(&self, marks: &[Mark]) -> Vec<Result<Marked, MarkError>> {
        self.markers.mark(marks, &self.integrity).await
    }
}

#[async_trait]
impl FeedStore for MongoStore {
    fn committed_position(&self) -> i64 {
        (self.clock)().millis()
    }

    fn cursor(&self, committed_position: i64) -> Cursor {
        let own = committed_position.saturating_sub(window::cursor_lag());
        fail::fail_point!("mongodb::window", |_| self.feed.cursor(own));
        self.feed.cursor(own.min(self.change_poller.committed_position()))
    }

    async fn changes(&self, user: UserId, since: &Cursor, limit: usize) -> Result<Changes, ChangesError> {
        self.read(self.feed.changes(user, since, limit)).await
    }

    fn remote_changes(&self) -> BoxStream<'static, Vec<RemoteChange>> {
        self.change_poller.remote_changes()
    }

    fn claim_delivery(&self, message: MessageId) -> bool {
        self.projector.claim_delivery(message)
    }
}

#[async_trait]
impl InboxStore for MongoStore {
    async fn inbox(&self, user: UserId, after: Option<Position>, limit: usize) -> Result<Vec<InboxEntry>, StoreError> {
        self.read(self.inboxes.page(user, after, limit)).await
    }

    async fn summaries(&self, pairs: &[(UserId, UserId)]) -> Result<Vec<Summary>, StoreError> {
        self.read(self.summary_lookup.read(pairs.to_vec())).await
    }

    async fn listed(&self, user: UserId, entries: &[InboxEntry]) -> Result<Vec<Summary>, StoreError> {
        self.read(self.summaries.listed(user, entries)).await
    }

    async fn total_unread(&self, user: UserId, most: u32) -> Result<u32, StoreError> {
        self.read(self.inboxes.total_unread(user, most)).await
    }

    async fn acquainted(&self, user: UserId, others: &[UserId]) -> Result<HashSet<UserId>, StoreError> {
        self.read(self.summaries.acquainted(user, others)).await
    }

    fn projection(&self) -> Projection {
        self.builder.projection()
    }

    async fn rebuild(&self) -> Result<(), StoreError> {
        self.guard(self.builder.rebuild()).await
    }
}

#[async_trait]
impl UserStore for MongoStore {
    async fn create_users(&self, names: &[Username], at: Timestamp) -> Result<Vec<(User, bool)>, StoreError> {
        self.guard(self.users.create(names, at)).await
    }

    async fn find_or_create(&self, users: &[NewUser], at: Timestamp) -> Result<Vec<(User, bool)>, StoreError> {
        self.guard(self.users.find_or_create(users, at)).await
    }

    async fn with_external_ids(&self, ids: &[ExternalId]) -> Result<Vec<Option<UserId>>, StoreError> {
        self.read(self.users.with_external_ids(ids)).await
    }

    async fn set_external_id(&self, user: UserId, id: &ExternalId) -> Result<Option<User>, StoreError> {
        self.guard(self.users.set_external_id(user, id)).await
    }

    async fn set_profile(&self, user: UserId, profile: &Profile) -> Result<(), StoreError> {
        self.guard(self.users.set_profile(user, profile)).await
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.read(self.users.by_id(id)).await
    }

    async fn users(&self, ids: &[UserId]) -> Result<Vec<Option<User>>, StoreError> {
        self.read(self.users.by_ids(ids)).await
    }

    async fn users_named(&self, name: &str) -> Result<Vec<User>, StoreError> {
        self.read(self.users.named(name)).await
    }

    async fn list_users(&self, after: Option<UserId>, limit: usize) -> Result<Vec<User>, StoreError> {
        self.read(self.users.list(after, limit)).await
    }

    async fn settings(&self, users: &[UserId]) -> Result<Vec<Settings>, StoreError> {
        self.read(self.settings.of(users)).await
    }

    async fn change_settings(
        &self,
        user: UserId,
        change: SettingsChange,
        at: Timestamp,
    ) -> Result<Option<Settings>, StoreError> {
        let changed = self.guard(self.settings.change(user, change, at)).await;
        if changed.is_err() {
            self.settings.record_unknown_outcome();
        }
        changed
    }

    async fn people(&self, ids: &[UserId]) -> Result<Vec<(Option<User>, Settings)>, StoreError> {
        self.read(self.users.people(ids)).await
    }
}

#[async_trait]
impl AccessStore for MongoStore {
    async fn access(&self, user: UserId) -> Result<Option<Access>, StoreError> {
        self.read(self.users.access(user)).await
    }

    async fn revoke(&self, user: UserId, before: Timestamp) -> Result<Option<Access>, StoreError> {
        self.guard(self.access.revoke(user, before)).await
    }

    async fn set_ban(&self, user: UserId, ban: Option<Ban>) -> Result<Option<Access>, StoreError> {
        self.guard(self.access.set_ban(user, ban.as_ref())).await
    }

    fn access_changes(&self) -> BoxStream<'static, Vec<UserId>> {
        self.access.changes()
    }
}

#[async_trait]
impl PresenceStore for MongoStore {
    /// If this fails, the next [`heartbeat`](PresenceStore::heartbeat) makes up for it.
    async fn set_presence(&self, changes: &[PresenceChange]) -> Result<(), StoreError> {
        self.guard(self.presence.set(changes)).await
    }

    async fn heartbeat(&self, now: Timestamp) -> Result<(), StoreError> {
        self.guard(self.presence.heartbeat(now, self.change_poller.claim()))
            .await
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn others_live(&self) -> bool {
        self.presence.others_live()
    }
}
