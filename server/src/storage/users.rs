//! What a store is asked about users: creating and finding them, and their settings.

use async_trait::async_trait;
use shared::{ExternalId, Settings, SettingsChange, Timestamp, User, UserId};

use super::error::StoreError;
use crate::domain::{NewUser, Profile, Username};

/// Creates and finds users, and holds their settings.
#[async_trait]
pub trait UserStore: Send + Sync + 'static {
    /// Creates the users of these names, or finds the ones that exist: one per name, in the order given, with
    /// whether it was created now. A name given twice yields one user, created at most once. Where an old database
    /// holds a name twice, the oldest user of it is found.
    async fn create_users(&self, names: &[Username], at: Timestamp) -> Result<Vec<(User, bool)>, StoreError>;

    /// Finds the users of these identities, or creates those who are missing: in the order given, with whether each was created
    /// now. One that is found stays as it is. A name that is taken becomes one of its
    /// [alternatives](Username::alternatives). One identity given twice, or by several callers at once, yields one user.
    async fn find_or_create(&self, users: &[NewUser], at: Timestamp) -> Result<Vec<(User, bool)>, StoreError>;

    /// The ids of the users with these external ids, in the order given.
    async fn with_external_ids(&self, ids: &[ExternalId]) -> Result<Vec<Option<UserId>>, StoreError>;

    /// Gives a user who has none an external id, and returns the user as it is then; `None` if there is no such user. Where the user
    /// has one, or another user has this one, nothing changes.
    async fn set_external_id(&self, user: UserId, id: &ExternalId) -> Result<Option<User>, StoreError>;

    /// Changes what is shown of a user, as far as it is known; nothing if there is no such user.
    async fn set_profile(&self, user: UserId, profile: &Profile) -> Result<(), StoreError>;

    /// The user with this id.
    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError>;

    /// The users with these ids, in the order given.
    async fn users(&self, ids: &[UserId]) -> Result<Vec<Option<User>>, StoreError>;

    /// Every user with exactly this name, oldest first. Only old databases hold more than one.
    async fn users_named(&self, name: &str) -> Result<Vec<User>, StoreError>;

    /// Up to `limit` users in the order of their ids, beginning after `after`.
    async fn list_users(&self, after: Option<UserId>, limit: usize) -> Result<Vec<User>, StoreError>;

    /// The settings of users, in the order given; the default for each user of whom nothing is stored.
    async fn settings(&self, users: &[UserId]) -> Result<Vec<Settings>, StoreError>;

    /// Changes a user's settings and returns them as they are then; `None` if there is no such user.
    async fn change_settings(
        &self,
        user: UserId,
        change: SettingsChange,
        at: Timestamp,
    ) -> Result<Option<Settings>, StoreError>;

    /// The users with these ids and their settings, in the order given.
    async fn people(&self, ids: &[UserId]) -> Result<Vec<(Option<User>, Settings)>, StoreError> {
        let (users, settings) = tokio::try_join!(self.users(ids), self.settings(ids))?;
        Ok(users.into_iter().zip(settings).collect())
    }
}
