//! Stores that break one promise each, so that it is seen that the model finds it.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use server::domain::{Access, Ban, NewUser, Profile};
use server::domain::{Bounds, Changes, Conversation, Cursor, End, Mark, MarkKind, Marked, Position, RemoteChange};
use server::domain::{NewMessage, Username};
use server::storage::{
    AccessStore, AppendError, Appended, ChangesError, FeedStore, InboxEntry, InboxStore, MarkError, MessageName,
    MessageStore, PresenceChange, PresenceStore, Projection, ReceiptStore, Store, StoreError, Summary, UserStore,
};
use shared::diagnosis::StoreFacts;
use shared::{ExternalId, Message, MessageId, Settings, SettingsChange, Timestamp, User, UserId};

/// What is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Every third message is acknowledged and not stored.
    LosesMessages,
    /// A message that is sent again is stored again.
    ForgetsKeys,
    /// A page of changes lacks its first one.
    SkipsChanges,
    /// Cursors lie one change ahead.
    CursorsAhead,
    /// A mark as read is kept as one of received.
    LosesReading,
    /// One unread message too many is counted.
    MiscountsUnread,
    /// Nobody's read receipts are off.
    ShowsReading,
    /// Strangers are taken for acquaintances.
    KnowsEverybody,
    /// A ban is not stored.
    ForgetsBans,
    /// Nor is a revocation.
    ForgetsRevocations,
}

/// All of them.
pub(crate) const FAULTS: [Fault; 10] = [
    Fault::LosesMessages,
    Fault::ForgetsKeys,
    Fault::SkipsChanges,
    Fault::CursorsAhead,
    Fault::LosesReading,
    Fault::MiscountsUnread,
    Fault::ShowsReading,
    Fault::KnowsEverybody,
    Fault::ForgetsBans,
    Fault::ForgetsRevocations,
];

/// A store with a fault.
pub(crate) struct BrokenStore {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) fault: Fault,
    /// Messages that were given to it.
    pub(crate) appended: AtomicUsize,
}

impl BrokenStore {
    fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }
}

#[async_trait]
impl MessageStore for BrokenStore {
    fn append_lanes(&self) -> usize {
        self.store.append_lanes()
    }

    async fn append(&self, batch: &[NewMessage]) -> Vec<Result<Appended, AppendError>> {
        let mut outcomes = Vec::new();
        for new in batch {
            let mut new = new.clone();
            if self.is(Fault::LosesMessages) && self.appended.fetch_add(1, Ordering::SeqCst) % 3 == 2 {
                outcomes.push(Ok(Appended {
                    message: new.to_message(),
                    duplicate: false,
                }));
                continue;
            }
            if self.is(Fault::ForgetsKeys) {
                new.client_message_id = None;
            }
            outcomes.extend(self.store.append(&[new]).await);
        }
        outcomes
    }

    async fn message(&self, conversation: Conversation, id: MessageId) -> Result<Option<Message>, StoreError> {
        self.store.message(conversation, id).await
    }

    async fn page(
        &self,
        conversation: Conversation,
        bounds: Bounds,
        end: End,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        self.store.page(conversation, bounds, end, limit).await
    }

    fn history(&self, conversation: Conversation) -> BoxStream<'static, Result<Vec<Message>, StoreError>> {
        self.store.history(conversation)
    }

    async fn newest(&self) -> Result<Option<Timestamp>, StoreError> {
        self.store.newest().await
    }
}

#[async_trait]
impl ReceiptStore for BrokenStore {
    async fn mark(&self, marks: &[Mark]) -> Vec<Result<Marked, MarkError>> {
        if !self.is(Fault::LosesReading) {
            return self.store.mark(marks).await;
        }
        let received: Vec<Mark> = marks
            .iter()
            .map(|mark| Mark {
                kind: MarkKind::Delivered,
                ..*mark
            })
            .collect();
        let mut outcomes = self.store.mark(&received).await;
        for (mark, outcome) in marks.iter().zip(&mut outcomes) {
            if let (MarkKind::Read, Ok(marked)) = (mark.kind, outcome) {
                marked.marker.read = marked.marker.delivered;
            }
        }
        outcomes
    }
}

#[async_trait]
impl FeedStore for BrokenStore {
    fn committed_position(&self) -> i64 {
        self.store.committed_position()
    }

    fn cursor(&self, committed_position: i64) -> Cursor {
        self.store
            .cursor(committed_position + i64::from(self.is(Fault::CursorsAhead)))
    }

    async fn changes(&self, user: UserId, since: &Cursor, limit: usize) -> Result<Changes, ChangesError> {
        let mut page = self.store.changes(user, since, limit).await?;
        if self.is(Fault::SkipsChanges) && page.changes.len() > 1 {
            page.changes.remove(0);
        }
        Ok(page)
    }

    fn remote_changes(&self) -> BoxStream<'static, Vec<RemoteChange>> {
        self.store.remote_changes()
    }

    fn claim_delivery(&self, message: MessageId) -> bool {
        self.store.claim_delivery(message)
    }
}

#[async_trait]
impl InboxStore for BrokenStore {
    async fn inbox(&self, user: UserId, after: Option<Position>, limit: usize) -> Result<Vec<InboxEntry>, StoreError> {
        self.store.inbox(user, after, limit).await
    }

    async fn summaries(&self, pairs: &[(UserId, UserId)]) -> Result<Vec<Summary>, StoreError> {
        let mut summaries = self.store.summaries(pairs).await?;
        for summary in &mut summaries {
            summary.unread += u32::from(self.is(Fault::MiscountsUnread) && summary.unread > 1);
        }
        Ok(summaries)
    }

    async fn total_unread(&self, user: UserId, most: u32) -> Result<u32, StoreError> {
        self.store.total_unread(user, most).await
    }

    async fn acquainted(&self, user: UserId, others: &[UserId]) -> Result<HashSet<UserId>, StoreError> {
        match self.is(Fault::KnowsEverybody) {
            true => Ok(others.iter().copied().collect()),
            false => self.store.acquainted(user, others).await,
        }
    }

    fn projection(&self) -> Projection {
        self.store.projection()
    }

    async fn rebuild(&self) -> Result<(), StoreError> {
        self.store.rebuild().await
    }
}

#[async_trait]
impl UserStore for BrokenStore {
    async fn create_users(&self, names: &[Username], at: Timestamp) -> Result<Vec<(User, bool)>, StoreError> {
        self.store.create_users(names, at).await
    }

    async fn find_or_create(&self, users: &[NewUser], at: Timestamp) -> Result<Vec<(User, bool)>, StoreError> {
        self.store.find_or_create(users, at).await
    }

    async fn with_external_ids(&self, ids: &[ExternalId]) -> Result<Vec<Option<UserId>>, StoreError> {
        self.store.with_external_ids(ids).await
    }

    async fn set_external_id(&self, user: UserId, id: &ExternalId) -> Result<Option<User>, StoreError> {
        self.store.set_external_id(user, id).await
    }

    async fn set_profile(&self, user: UserId, profile: &Profile) -> Result<(), StoreError> {
        self.store.set_profile(user, profile).await
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.store.user(id).await
    }

    async fn users(&self, ids: &[UserId]) -> Result<Vec<Option<User>>, StoreError> {
        self.store.users(ids).await
    }

    async fn users_named(&self, name: &str) -> Result<Vec<User>, StoreError> {
        self.store.users_named(name).await
    }

    async fn list_users(&self, after: Option<UserId>, limit: usize) -> Result<Vec<User>, StoreError> {
        self.store.list_users(after, limit).await
    }

    async fn settings(&self, users: &[UserId]) -> Result<Vec<Settings>, StoreError> {
        let mut settings = self.store.settings(users).await?;
        for one in &mut settings {
            one.read_receipts |= self.is(Fault::ShowsReading);
        }
        Ok(settings)
    }

    async fn change_settings(
        &self,
        user: UserId,
        change: SettingsChange,
        at: Timestamp,
    ) -> Result<Option<Settings>, StoreError> {
        self.store.change_settings(user, change, at).await
    }
}

#[async_trait]
impl PresenceStore for BrokenStore {
    async fn set_presence(&self, changes: &[PresenceChange]) -> Result<(), StoreError> {
        self.store.set_presence(changes).await
    }

    async fn heartbeat(&self, now: Timestamp) -> Result<(), StoreError> {
        self.store.heartbeat(now).await
    }

    fn is_shared(&self) -> bool {
        self.store.is_shared()
    }

    fn others_live(&self) -> bool {
        self.store.others_live()
    }
}

#[async_trait]
impl AccessStore for BrokenStore {
    async fn access(&self, user: UserId) -> Result<Option<Access>, StoreError> {
        self.store.access(user).await
    }

    async fn revoke(&self, user: UserId, before: Timestamp) -> Result<Option<Access>, StoreError> {
        if self.is(Fault::ForgetsRevocations) {
            let access = self.store.access(user).await?;
            return Ok(access.map(|access| Access {
                revoked_before: Some(before),
                ..access
            }));
        }
        self.store.revoke(user, before).await
    }

    async fn set_ban(&self, user: UserId, ban: Option<Ban>) -> Result<Option<Access>, StoreError> {
        if self.is(Fault::ForgetsBans) {
            return Ok(self.store.access(user).await?.map(|access| Access { ban, ..access }));
        }
        self.store.set_ban(user, ban).await
    }

    fn access_changes(&self) -> BoxStream<'static, Vec<UserId>> {
        self.store.access_changes()
    }
}

#[async_trait]
impl Store for BrokenStore {
    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }

    async fn facts(&self) -> Result<StoreFacts, StoreError> {
        self.store.facts().await
    }

    async fn find(&self, name: &MessageName) -> Result<Option<Message>, StoreError> {
        self.store.find(name).await
    }

    async fn close(&self, now: Timestamp) -> Result<(), StoreError> {
        self.store.close(now).await
    }
}
