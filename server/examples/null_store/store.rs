//! Users in memory, and no messages.

use std::collections::{BTreeMap, HashSet};

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use parking_lot::Mutex;
use shared::diagnosis::StoreFacts;
use shared::{ExternalId, Message, MessageId, Settings, SettingsChange, Timestamp, User, UserId};

use server::domain::{Access, Ban, Bounds, Changes, Conversation, Cursor, End, Mark, Marked, Position, RemoteChange};
use server::domain::{NewMessage, NewUser, Profile, Username};
use server::storage::{
    AccessStore, AppendError, Appended, ChangesError, FeedStore, InboxEntry, InboxStore, MarkError, MessageName,
    MessageStore, PresenceChange, PresenceStore, Projection, ReceiptStore, Store, StoreError, Summary, UserStore,
};

/// Users in memory, and no messages.
#[derive(Debug, Default)]
pub(crate) struct NullStore {
    /// Held to look up or insert users.
    users: Mutex<BTreeMap<UserId, User>>,
}

#[async_trait]
impl MessageStore for NullStore {
    fn append_lanes(&self) -> usize {
        2
    }

    async fn append(&self, batch: &[NewMessage]) -> Vec<Result<Appended, AppendError>> {
        let appended = |new: &NewMessage| {
            Ok(Appended {
                message: new.to_message(),
                duplicate: false,
            })
        };
        batch.iter().map(appended).collect()
    }

    async fn message(&self, _: Conversation, _: MessageId) -> Result<Option<Message>, StoreError> {
        Ok(None)
    }

    async fn page(&self, _: Conversation, _: Bounds, _: End, _: usize) -> Result<Vec<Message>, StoreError> {
        Ok(Vec::new())
    }

    fn history(&self, _: Conversation) -> BoxStream<'static, Result<Vec<Message>, StoreError>> {
        stream::empty().boxed()
    }

    async fn newest(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(None)
    }
}

#[async_trait]
impl ReceiptStore for NullStore {
    async fn mark(&self, marks: &[Mark]) -> Vec<Result<Marked, MarkError>> {
        marks.iter().map(|_| Err(MarkError::UnknownMessage)).collect()
    }
}

#[async_trait]
impl FeedStore for NullStore {
    fn committed_position(&self) -> i64 {
        0
    }

    fn cursor(&self, committed_position: i64) -> Cursor {
        Cursor::at([0; 6], committed_position)
    }

    async fn changes(&self, _: UserId, since: &Cursor, _: usize) -> Result<Changes, ChangesError> {
        Ok(Changes {
            changes: Vec::new(),
            next: since.clone(),
            more: false,
        })
    }

    fn remote_changes(&self) -> BoxStream<'static, Vec<RemoteChange>> {
        stream::pending().boxed()
    }
}

#[async_trait]
impl InboxStore for NullStore {
    async fn inbox(&self, _: UserId, _: Option<Position>, _: usize) -> Result<Vec<InboxEntry>, StoreError> {
        Ok(Vec::new())
    }

    async fn summaries(&self, pairs: &[(UserId, UserId)]) -> Result<Vec<Summary>, StoreError> {
        let nothing = Summary {
            last: None,
            unread: 0,
            own: None,
            peers: None,
        };
        Ok(vec![nothing; pairs.len()])
    }

    async fn total_unread(&self, _: UserId, _: u32) -> Result<u32, StoreError> {
        Ok(0)
    }

    async fn acquainted(&self, _: UserId, _: &[UserId]) -> Result<HashSet<UserId>, StoreError> {
        Ok(HashSet::new())
    }

    fn projection(&self) -> Projection {
        Projection {
            ready: true,
            building: false,
            done: 0,
            total: 0,
        }
    }

    async fn rebuild(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl UserStore for NullStore {
    async fn create_users(&self, names: &[Username], _: Timestamp) -> Result<Vec<(User, bool)>, StoreError> {
        let mut users = self.users.lock();
        let mut create = |name: &Username| {
            if let Some(user) = users.values().find(|user| user.username == name.as_str()) {
                return (user.clone(), false);
            }
            let id = UserId::from_bytes(bson::oid::ObjectId::new().bytes());
            let user = User::new(id, name.as_str().to_owned());
            users.insert(id, user.clone());
            (user, true)
        };
        Ok(names.iter().map(&mut create).collect())
    }

    async fn find_or_create(&self, _: &[NewUser], _: Timestamp) -> Result<Vec<(User, bool)>, StoreError> {
        Err(StoreError::Failed("users here have no ids of other systems".to_owned()))
    }

    async fn with_external_ids(&self, ids: &[ExternalId]) -> Result<Vec<Option<UserId>>, StoreError> {
        Ok(vec![None; ids.len()])
    }

    async fn set_external_id(&self, user: UserId, _: &ExternalId) -> Result<Option<User>, StoreError> {
        self.user(user).await
    }

    async fn set_profile(&self, _: UserId, _: &Profile) -> Result<(), StoreError> {
        Ok(())
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        Ok(self.users.lock().get(&id).cloned())
    }

    async fn users(&self, ids: &[UserId]) -> Result<Vec<Option<User>>, StoreError> {
        let users = self.users.lock();
        Ok(ids.iter().map(|id| users.get(id).cloned()).collect())
    }

    async fn users_named(&self, name: &str) -> Result<Vec<User>, StoreError> {
        Ok(self
            .users
            .lock()
            .values()
            .filter(|user| user.username == name)
            .cloned()
            .collect())
    }

    async fn list_users(&self, after: Option<UserId>, limit: usize) -> Result<Vec<User>, StoreError> {
        let users = self.users.lock();
        let rest = users.values().filter(|user| after.is_none_or(|after| user.id > after));
        Ok(rest.take(limit).cloned().collect())
    }

    async fn settings(&self, users: &[UserId]) -> Result<Vec<Settings>, StoreError> {
        Ok(vec![Settings::default(); users.len()])
    }

    async fn change_settings(
        &self,
        _: UserId,
        change: SettingsChange,
        _: Timestamp,
    ) -> Result<Option<Settings>, StoreError> {
        Ok(Some(change.apply(Settings::default())))
    }
}

#[async_trait]
impl PresenceStore for NullStore {
    async fn set_presence(&self, _: &[PresenceChange]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn heartbeat(&self, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }

    fn is_shared(&self) -> bool {
        false
    }
}

/// Nobody is ever shut out.
#[async_trait]
impl AccessStore for NullStore {
    async fn access(&self, user: UserId) -> Result<Option<Access>, StoreError> {
        Ok(self.users.lock().contains_key(&user).then(Access::default))
    }

    async fn revoke(&self, user: UserId, _: Timestamp) -> Result<Option<Access>, StoreError> {
        self.access(user).await
    }

    async fn set_ban(&self, user: UserId, _: Option<Ban>) -> Result<Option<Access>, StoreError> {
        self.access(user).await
    }

    fn access_changes(&self) -> BoxStream<'static, Vec<UserId>> {
        stream::pending().boxed()
    }
}

#[async_trait]
impl Store for NullStore {
    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn facts(&self) -> Result<StoreFacts, StoreError> {
        Err(StoreError::Failed("it keeps nothing".to_owned()))
    }

    async fn find(&self, _: &MessageName) -> Result<Option<Message>, StoreError> {
        Ok(None)
    }

    async fn close(&self, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }
}
