//! Users who are known by an id: of another system, or by one that another system gave.
//!
//! Ids are unique by an index on `externalId`, which only documents that have one are in, and by that of `_id`. So several
//! processes that create one user at once create one.

use std::collections::HashMap;
use std::time::Duration;

use bson::{Document, doc};
use futures_util::{StreamExt, TryStreamExt, stream};
use mongodb::error::{ErrorKind, WriteFailure};
use shared::{ExternalId, Timestamp, User, UserId};
use tokio::time::Instant;

use super::document::{self, EXTERNAL_ID};
use super::error::{DUPLICATE_KEY, INVALID_DOCUMENT, bounded, index_of, retrying, store_error};
use super::indexes::{EXTERNAL_ID_UNIQUE, USERNAME_KEY, USERNAME_UNIQUE};
use super::timeouts::WRITE_TIMEOUT;
use super::users::{self, Users};
use crate::domain::{AvatarUrl, DisplayName, Identity, NewUser, Profile, Username};
use crate::storage::StoreError;

/// How long creating is tried.
const CREATE_TIMEOUT: Duration = Duration::from_secs(10);

/// Users of one call that are created at a time.
const MAX_CONCURRENT: usize = 16;

impl Users {
    /// See [`crate::storage::UserStore::find_or_create`].
    pub(super) async fn find_or_create(
        &self,
        users: &[NewUser],
        at: Timestamp,
    ) -> Result<Vec<(User, bool)>, StoreError> {
        // One identity given twice is the first one's: else the two would race for the name and what is shown.
        let mut places: HashMap<&Identity, usize> = HashMap::new();
        // Made once: a user found under this id was created here, even if the answer was lost.
        let mut made: Vec<(NewUser, UserId)> = Vec::with_capacity(users.len());
        for user in users {
            places.entry(&user.identity).or_insert_with(|| {
                made.push((user.clone(), users::new_id(at)));
                made.len() - 1
            });
        }
        let mut found: Vec<(User, bool)> = stream::iter(made)
            .map(async |(user, id)| {
                let deadline = Instant::now() + CREATE_TIMEOUT;
                retrying(deadline, || self.find_or_create_one(&user, id)).await
            })
            .buffered(MAX_CONCURRENT)
            .try_collect()
            .await?;
        let each = users.iter().filter_map(|user| {
            let (user, created) = found.get_mut(*places.get(&user.identity)?)?;
            Some((user.clone(), std::mem::take(created)))
        });
        Ok(each.collect())
    }

    /// One attempt, or an error that says whether another one can help.
    async fn find_or_create_one(&self, user: &NewUser, made: UserId) -> Result<(User, bool), StoreError> {
        let filter = match &user.identity {
            Identity::Id(id) => doc! { "_id": document::user_key(*id) },
            Identity::External(id) => doc! { EXTERNAL_ID: { "$eq": id.as_str(), "$type": "string" } },
        };
        if let Some(found) = self.read(filter, 1).await?.pop() {
            let created = found.id == made;
            return Ok((found, created));
        }
        let id = user.id(made);
        for username in user.username.alternatives(id) {
            // Names of old documents are in no unique index.
            if !self.named(username.as_str()).await?.is_empty() {
                continue;
            }
            let new = user.created(id, &username);
            if self.insert(&new, &username).await? {
                return Ok((new, true));
            }
        }
        Err(StoreError::Failed("a user has no name that is free".into()))
    }

    /// Inserts a user. False if the name is taken after all.
    async fn insert(&self, user: &User, username: &Username) -> Result<bool, StoreError> {
        let insert = self.users.insert_one(users::encode(user));
        let inserting = async { Ok(insert.await) };
        let error = match bounded("creating a user", WRITE_TIMEOUT, inserting).await? {
            Ok(_) => return Ok(true),
            Err(error) => error,
        };
        let ErrorKind::Write(WriteFailure::WriteError(failed)) = error.kind.as_ref() else {
            return Err(store_error(&error));
        };
        match (failed.code, index_of(&failed.message)) {
            (INVALID_DOCUMENT, _) => Err(StoreError::Validator),
            (DUPLICATE_KEY, Some(USERNAME_UNIQUE)) => {
                self.release(username).await?;
                Ok(false)
            }
            // Another caller was faster, and the next attempt finds its user.
            (DUPLICATE_KEY, Some("_id_" | EXTERNAL_ID_UNIQUE)) => Err(StoreError::Unavailable(
                "a user was created by another caller at the same time".into(),
            )),
            (DUPLICATE_KEY, Some(index)) => Err(StoreError::ForeignIndex(index.to_owned())),
            _ => Err(store_error(&error)),
        }
    }

    /// Another program may have renamed a user that was written here, whose key still holds the old name. Then the key is removed, and
    /// the name is free for the next who asks.
    async fn release(&self, username: &Username) -> Result<(), StoreError> {
        let renamed = doc! { USERNAME_KEY: username.as_str(), "username": { "$ne": username.as_str() } };
        let release = self.users.update_many(renamed, doc! { "$unset": { USERNAME_KEY: "" } });
        bounded("releasing a name", WRITE_TIMEOUT, release).await.map(drop)
    }

    /// See [`crate::storage::UserStore::with_external_ids`].
    pub(super) async fn with_external_ids(&self, ids: &[ExternalId]) -> Result<Vec<Option<UserId>>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let texts: Vec<&str> = ids.iter().map(ExternalId::as_str).collect();
        let found = self
            .read(doc! { EXTERNAL_ID: { "$in": texts, "$type": "string" } }, 0)
            .await?;
        let found: HashMap<ExternalId, UserId> = found
            .into_iter()
            .filter_map(|user| Some((user.external_id?, user.id)))
            .collect();
        Ok(ids.iter().map(|id| found.get(id).copied()).collect())
    }

    /// See [`crate::storage::UserStore::set_external_id`].
    pub(super) async fn set_external_id(&self, user: UserId, id: &ExternalId) -> Result<Option<User>, StoreError> {
        let filter = doc! { "_id": document::user_key(user), EXTERNAL_ID: { "$exists": false } };
        let change = doc! { "$set": { EXTERNAL_ID: id.as_str() } };
        let deadline = Instant::now() + CREATE_TIMEOUT;
        retrying(deadline, || {
            let update = self.users.update_one(filter.clone(), change.clone());
            async {
                let updating = async { Ok(update.await) };
                let Err(error) = bounded("changing a user", WRITE_TIMEOUT, updating).await? else {
                    return Ok(());
                };
                match error.kind.as_ref() {
                    // Another user has it.
                    ErrorKind::Write(WriteFailure::WriteError(failed)) if failed.code == DUPLICATE_KEY => Ok(()),
                    ErrorKind::Write(WriteFailure::WriteError(failed)) if failed.code == INVALID_DOCUMENT => {
                        Err(StoreError::Validator)
                    }
                    _ => Err(store_error(&error)),
                }
            }
        })
        .await?;
        self.by_id(user).await
    }

    /// See [`crate::storage::UserStore::set_profile`].
    pub(super) async fn set_profile(&self, user: UserId, profile: &Profile) -> Result<(), StoreError> {
        let mut changes = Document::new();
        if let Some(name) = &profile.display_name {
            changes.insert("displayName", DisplayName::as_str(name));
        }
        if let Some(url) = &profile.avatar_url {
            changes.insert("avatarUrl", AvatarUrl::as_str(url));
        }
        if changes.is_empty() {
            return Ok(());
        }
        let filter = doc! { "_id": document::user_key(user) };
        let deadline = Instant::now() + CREATE_TIMEOUT;
        retrying(deadline, || {
            let update = self.users.update_one(filter.clone(), doc! { "$set": changes.clone() });
            async { bounded("changing a user", WRITE_TIMEOUT, update).await.map(drop) }
        })
        .await
    }
}
