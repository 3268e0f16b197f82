//! Creating and finding users.
//!
//! New names are unique by an index on `usernameKey`, a copy of the name that only documents written here have.
//! Existing users are found by `username`, whichever program wrote them.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use bson::oid::ObjectId;
use bson::raw::{RawDocument, RawDocumentBuf, cstr};
use bson::{Document, doc};
use mongodb::error::ErrorKind;
use mongodb::{Collection, Database};
use shared::{Settings, Timestamp, User, UserId};
use tokio::time::Instant;

use super::access::access;
use super::batches::Batches;
use super::document;
use super::error::{DUPLICATE_KEY, INVALID_DOCUMENT, bounded, foreign_index, retrying, store_error};
use super::indexes::{USERNAME_KEY, USERNAME_UNIQUE};
use super::timeouts::{READ_TIMEOUT, WRITE_TIMEOUT};
use super::{names, query};
use crate::domain::{Access, Username};
use crate::storage::StoreError;
use crate::supervisor::Supervisor;

/// How long creating is tried.
const CREATE_TIMEOUT: Duration = Duration::from_secs(10);

/// What one look-up finds of a user: it reads the whole document.
#[derive(Clone, Default)]
struct Found {
    user: Option<User>,
    settings: Settings,
    access: Access,
}

/// The collection of users.
pub(super) struct Users {
    pub(super) users: Collection<RawDocumentBuf>,
    lookup: Batches<UserId, Found>,
}

impl Users {
    pub(super) fn new(database: &Database, parts: &Supervisor) -> Self {
        Self {
            users: database.collection(names::USERS),
            lookup: Batches::start("user-lookup", parts, {
                let users = database.collection(names::USERS);
                move |ids| find(users.clone(), ids)
            }),
        }
    }

    /// See [`crate::storage::UserStore::create_users`].
    pub(super) async fn create(&self, names: &[Username], at: Timestamp) -> Result<Vec<(User, bool)>, StoreError> {
        // Made once: a user found under this id was created here, even if the answer was lost.
        let mut minted: HashMap<&str, UserId> = HashMap::new();
        for name in names {
            minted.entry(name.as_str()).or_insert_with(|| new_id(at));
        }
        if minted.is_empty() {
            return Ok(Vec::new());
        }
        let found = retrying(Instant::now() + CREATE_TIMEOUT, || self.find_or_insert(&minted)).await?;
        let mut seen = HashSet::new();
        let users = names.iter().map(|name| {
            let name = name.as_str();
            let user = found.get(name).cloned();
            let user = user.ok_or_else(|| StoreError::Failed("a user was not found under the name it has".into()))?;
            let created = minted.get(name) == Some(&user.id) && seen.insert(name);
            Ok((user, created))
        });
        users.collect()
    }

    /// One attempt: all the names' users, or an error that says whether another attempt can help.
    async fn find_or_insert(&self, minted: &HashMap<&str, UserId>) -> Result<HashMap<String, User>, StoreError> {
        let names: Vec<&str> = minted.keys().copied().collect();
        let filter = doc! { "username": { "$in": &names } };
        let mut found: HashMap<String, User> = HashMap::new();
        for user in self.read(filter, 0).await? {
            found.entry(user.username.clone()).or_insert(user);
        }
        let mut missing: Vec<User> = minted
            .iter()
            .filter(|(name, _)| !found.contains_key(**name))
            .map(|(name, id)| User::new(*id, (*name).to_owned()))
            .collect();
        if missing.is_empty() {
            return Ok(found);
        }
        // Ids grow in the order of the names given; the map has lost it.
        missing.sort_by_key(|user| user.id);
        let insert = self.users.insert_many(missing.iter().map(encode)).ordered(false);
        let inserting = async { Ok(insert.await) };
        match bounded("creating users", WRITE_TIMEOUT, inserting).await? {
            Ok(_) => {
                found.extend(missing.into_iter().map(|user| (user.username.clone(), user)));
                Ok(found)
            }
            Err(error) => Err(self.after_failed_insert(&error, &names, &missing).await),
        }
    }

    async fn after_failed_insert(&self, error: &mongodb::error::Error, names: &[&str], missing: &[User]) -> StoreError {
        let ErrorKind::InsertMany(failed) = error.kind.as_ref() else {
            return store_error(error);
        };
        let write_errors = || failed.write_errors.iter().flatten();
        if write_errors().any(|error| error.code == INVALID_DOCUMENT) {
            return StoreError::Validator;
        }
        if write_errors().any(|error| error.code != DUPLICATE_KEY) {
            return StoreError::Failed("a user was not stored".into());
        }
        let foreign = write_errors().find_map(|error| {
            let index = foreign_index(&error.message, USERNAME_UNIQUE)?;
            Some((missing.get(error.index)?.username.as_str(), index))
        });
        if let Some((name, index)) = foreign {
            // If it is an index on names, another process was faster, and then the name is there.
            match self.read(doc! { "username": name }, 1).await {
                Ok(found) if found.is_empty() => return StoreError::ForeignIndex(index.to_owned()),
                Ok(_) => {}
                Err(error) => return error,
            }
        }
        // Either another process was faster, and the next attempt finds its users; or another program renamed a user that
        // was written here, whose key still holds the old name. Then the key is removed.
        let renamed = doc! {
            USERNAME_KEY: { "$in": names, "$type": "string" },
            "$expr": { "$ne": ["$username", format!("${USERNAME_KEY}")] },
        };
        let release = self.users.update_many(renamed, doc! { "$unset": { USERNAME_KEY: "" } });
        match bounded("releasing names", WRITE_TIMEOUT, release).await {
            Ok(_) => StoreError::Unavailable("a user was created by another process at the same time".into()),
            Err(error) => error,
        }
    }

    pub(super) async fn by_id(&self, id: UserId) -> Result<Option<User>, StoreError> {
        Ok(self.find(id).await?.user)
    }

    /// See [`crate::storage::AccessStore::access`].
    pub(super) async fn access(&self, id: UserId) -> Result<Option<Access>, StoreError> {
        let Found { user, access, .. } = self.find(id).await?;
        Ok(user.map(|_| access))
    }

    async fn find(&self, id: UserId) -> Result<Found, StoreError> {
        let found = self.lookup.read(vec![id]).await?;
        Ok(found.into_iter().next().unwrap_or_default())
    }

    /// See [`crate::storage::UserStore::users`].
    pub(super) async fn by_ids(&self, ids: &[UserId]) -> Result<Vec<Option<User>>, StoreError> {
        Ok(self.people(ids).await?.into_iter().map(|(user, _)| user).collect())
    }

    /// See [`crate::storage::UserStore::people`].
    pub(super) async fn people(&self, ids: &[UserId]) -> Result<Vec<(Option<User>, Settings)>, StoreError> {
        let found = self.lookup.read(ids.to_vec()).await?;
        Ok(found.into_iter().map(|found| (found.user, found.settings)).collect())
    }

    pub(super) async fn named(&self, name: &str) -> Result<Vec<User>, StoreError> {
        self.read(doc! { "username": name }, 0).await
    }

    pub(super) async fn list(&self, after: Option<UserId>, limit: usize) -> Result<Vec<User>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new()); // To MongoDB zero means: no limit.
        }
        let filter = match after {
            Some(after) => doc! { "_id": { "$gt": document::user_key(after) } },
            // Such a comparison matches ObjectIds only, so that other ids don't shorten a page.
            None => doc! { "_id": { "$gte": ObjectId::from_bytes([0; 12]) } },
        };
        self.read(filter, i64::try_from(limit).unwrap_or(i64::MAX)).await
    }

    /// Reads users in the order of their ids; a limit of zero is none.
    pub(super) async fn read(&self, filter: Document, limit: i64) -> Result<Vec<User>, StoreError> {
        let find = self
            .users
            .find(filter)
            .sort(doc! { "_id": 1 })
            .limit(limit)
            .max_time(READ_TIMEOUT);
        query::all("reading users", READ_TIMEOUT, find, document::user).await
    }
}

/// Users, their settings and how it stands with them, which are in the same documents.
async fn find(users: Collection<RawDocumentBuf>, ids: Vec<UserId>) -> Result<Vec<Found>, StoreError> {
    let keys: Vec<_> = ids.iter().copied().map(document::user_key).collect();
    let find = users
        .find(doc! { "_id": { "$in": keys } })
        // With one more than there can be, the first answer is the last.
        .batch_size(u32::try_from(ids.len()).unwrap_or(u32::MAX).saturating_add(1))
        .max_time(READ_TIMEOUT);
    let read = |found: &RawDocument| {
        let user = document::user(found)?;
        let found = Found {
            settings: document::settings(found),
            access: access(found),
            user: None,
        };
        Some((user, found))
    };
    let found = query::all("reading users", READ_TIMEOUT, find, read).await?;
    let found: HashMap<UserId, Found> = found
        .into_iter()
        .map(|(user, found)| {
            (
                user.id,
                Found {
                    user: Some(user),
                    ..found
                },
            )
        })
        .collect();
    Ok(ids
        .iter()
        .map(|id| found.get(id).cloned().unwrap_or_default())
        .collect())
}

pub(super) fn encode(user: &User) -> RawDocumentBuf {
    let mut document = RawDocumentBuf::new();
    document.append(cstr!("_id"), ObjectId::from_bytes(user.id.bytes()));
    document.append(cstr!("username"), user.username.as_str());
    document.append(cstr!("isOnline"), false);
    document.append(cstr!("usernameKey"), user.username.as_str());
    if let Some(id) = &user.external_id {
        document.append(cstr!("externalId"), id.as_str());
    }
    if let Some(name) = &user.display_name {
        document.append(cstr!("displayName"), name.as_str());
    }
    if let Some(url) = &user.avatar_url {
        document.append(cstr!("avatarUrl"), url.as_str());
    }
    document.append(cstr!("__v"), 0_i32);
    document
}

/// An id of the moment `at`, different from every other, and greater than those made before for that moment.
pub(super) fn new_id(at: Timestamp) -> UserId {
    let mut bytes = ObjectId::new().bytes();
    let seconds = at.millis().div_euclid(1_000).clamp(0, u32::MAX.into()) as u32;
    bytes[..4].copy_from_slice(&seconds.to_be_bytes());
    UserId::from_bytes(bytes)
}
