//! Users: creating, finding and listing them, each as the caller may see them.

use std::collections::BTreeSet;

use shared::user::{CreateUser, CreatedUser, CreatedUsers, UserList};
use shared::{ExternalId, InvalidId, User, UserId, limits};
use unicode_normalization::UnicodeNormalization;

use super::Chat;
use super::error::Error;
use crate::auth::Caller;
use crate::clock;
use crate::delivery::privacy;
use crate::domain::{AvatarUrl, DisplayName, Identity, NewUser, Profile, Username};
use crate::storage::StoreError;

impl<R> Chat<R> {
    /// Creates the users of these names, or finds the ones that exist.
    ///
    /// # Errors
    /// There are too few or too many names, one can't be given, the server is stopping, or the store failed.
    pub async fn create_users(&self, names: Vec<String>) -> Result<CreatedUsers, Error> {
        if names.is_empty() || names.len() > limits::USERS_PER_REQUEST {
            return Err(Error::Invalid(format!(
                "usernames has {} names; 1 to {} are allowed",
                names.len(),
                limits::USERS_PER_REQUEST
            )));
        }
        let check = |name: String| Username::new(name.clone()).map_err(|cause| Error::Username { name, cause });
        let names = names.into_iter().map(check).collect::<Result<Vec<_>, _>>()?;
        let _admitted = self.admission.admit()?;
        let mut known = Vec::with_capacity(names.len());
        for name in &names {
            known.push(self.decomposed(name.as_str()).await?);
        }
        let new: Vec<Username> = names
            .into_iter()
            .zip(&known)
            .filter_map(|(name, known)| known.is_none().then_some(name))
            .collect();
        let mut users = self.reader.store.create_users(&new, clock::now()).await?.into_iter();
        let users = known.into_iter().filter_map(|known| match known {
            Some(user) => Some((user, false)),
            None => users.next(),
        });
        let users = users.map(|(user, created)| CreatedUser { user, created }).collect();
        Ok(CreatedUsers { users })
    }

    /// Creates the users of these external ids, or finds the ones that exist.
    ///
    /// # Errors
    /// There are too few or too many, one can't be given, the server is stopping, or the store failed.
    pub async fn create_external_users(&self, users: Vec<CreateUser>) -> Result<CreatedUsers, Error> {
        if users.is_empty() || users.len() > limits::USERS_PER_REQUEST {
            return Err(Error::Invalid(format!(
                "users has {} entries; 1 to {} are allowed",
                users.len(),
                limits::USERS_PER_REQUEST
            )));
        }
        let entries = users.into_iter().enumerate().map(|(place, user)| checked(place, user));
        let entries = entries.collect::<Result<Vec<Entry>, Error>>()?;
        let _admitted = self.admission.admit()?;
        let store = &self.reader.store;
        // Whoever sends the id of such a user would mean the other one.
        let ids: Vec<UserId> = entries.iter().filter_map(Entry::looks_like).collect();
        if let Some(taken) = store.users(&ids).await?.into_iter().flatten().next() {
            return Err(Error::Invalid(format!(
                "users: the externalId {} is the _id of another user",
                taken.id
            )));
        }
        let new: Vec<NewUser> = entries.iter().filter_map(Entry::new_user).cloned().collect();
        let mut created = store.find_or_create(&new, clock::now()).await?.into_iter();
        let mut users = Vec::with_capacity(entries.len());
        for (place, entry) in entries.into_iter().enumerate() {
            let (user, created) = match entry {
                Entry::Known(user, id) => (self.link(place, user, &id).await?, false),
                Entry::New(_) => match created.next() {
                    Some(created) => created,
                    None => break,
                },
            };
            users.push(CreatedUser { user, created });
        }
        Ok(CreatedUsers { users })
    }

    /// Gives a user who is here an external id.
    async fn link(&self, place: usize, user: UserId, id: &ExternalId) -> Result<User, Error> {
        let wrong = |why: &str| Err(Error::Invalid(format!("users[{place}]: {why}")));
        match self.reader.store.set_external_id(user, id).await? {
            None => wrong("no user has this _id"),
            Some(user) if user.external_id.as_ref() == Some(id) => Ok(user),
            Some(user) if user.external_id.is_some() => wrong("this user has another externalId"),
            Some(_) => wrong("another user has this externalId"),
        }
    }

    /// The user of an old database whose name looks like this one and is written in another way, if no user has it as it is.
    async fn decomposed(&self, name: &str) -> Result<Option<User>, StoreError> {
        let store = &self.reader.store;
        let other: String = name.nfd().collect();
        if other == name || !store.users_named(name).await?.is_empty() {
            return Ok(None);
        }
        Ok(store.users_named(&other).await?.into_iter().next())
    }

    /// Everyone of this name.
    ///
    /// # Errors
    /// Reading failed.
    pub async fn users_named(&self, caller: Caller, name: &str) -> Result<UserList, Error> {
        let mut users = Vec::new();
        for name in spellings(name) {
            users.extend(self.read(caller.user, self.reader.store.users_named(&name)).await?);
        }
        let users = self.as_seen(caller, users).await?;
        Ok(UserList { users, next: None })
    }

    /// Whether a caller may list all users.
    ///
    /// # Errors
    /// Only administrators may.
    pub fn may_list_users(&self, caller: Caller) -> Result<(), Error> {
        match caller.admin {
            true => Ok(()),
            false => Err(Error::Forbidden(
                "only an administrator may list all users; name one with ?username=".to_owned(),
            )),
        }
    }

    /// A page of all users, in the order of their ids, for [those who may](Self::may_list_users).
    ///
    /// # Errors
    /// Reading failed.
    pub async fn list_users(&self, caller: Caller, after: Option<UserId>, limit: usize) -> Result<UserList, Error> {
        // One more than asked for shows whether there is a next page.
        let mut users = self
            .read(caller.user, self.reader.store.list_users(after, limit + 1))
            .await?;
        let more = users.len() > limit;
        users.truncate(limit);
        let next = if more { users.last().map(|user| user.id) } else { None };
        Ok(UserList { users, next })
    }

    /// The user with this id.
    ///
    /// # Errors
    /// There is none, or reading failed.
    pub async fn user(&self, caller: Caller, id: UserId) -> Result<User, Error> {
        fail::fail_point!("chat::find_user");
        let found = self.read(caller.user, self.reader.store.user(id)).await?;
        let mut seen = self.as_seen(caller, found.into_iter().collect()).await?;
        seen.pop().ok_or(Error::UnknownUser(id))
    }

    /// Users as the caller may see them: an administrator sees them as they are.
    async fn as_seen(&self, caller: Caller, users: Vec<User>) -> Result<Vec<User>, Error> {
        if caller.admin {
            return Ok(users);
        }
        let seen = privacy::as_seen(&*self.reader.store, caller.user, users);
        self.read(caller.user, seen).await
    }
}

/// A user of another system, as a client names it.
enum Entry {
    New(NewUser),
    /// One who is here, and the id to be given.
    Known(UserId, ExternalId),
}

impl Entry {
    fn new_user(&self) -> Option<&NewUser> {
        match self {
            Self::New(user) => Some(user),
            Self::Known(..) => None,
        }
    }

    /// The id here that the external one could be taken for, if that is not the user's own.
    fn looks_like(&self) -> Option<UserId> {
        match self {
            Self::New(user) => user.identity.looks_like(),
            Self::Known(user, id) => id.as_str().parse().ok().filter(|like| like != user),
        }
    }
}

/// Checks what a client sent in this place.
fn checked(place: usize, user: CreateUser) -> Result<Entry, Error> {
    let wrong = |cause: &dyn std::fmt::Display| Error::Invalid(format!("users[{place}]: {cause}"));
    let external_id = ExternalId::new(user.external_id).map_err(|cause| wrong(&cause))?;
    let username = match (user.username, user.id) {
        (Some(username), None) => username,
        (None, Some(id)) => {
            let id = id.parse().map_err(|cause: InvalidId| wrong(&cause))?;
            return Ok(Entry::Known(id, external_id));
        }
        _ => return Err(wrong(&"an entry needs either username or _id")),
    };
    let profile = Profile {
        display_name: user
            .display_name
            .map(DisplayName::new)
            .transpose()
            .map_err(|cause| wrong(&cause))?,
        avatar_url: user
            .avatar_url
            .map(AvatarUrl::new)
            .transpose()
            .map_err(|cause| wrong(&cause))?,
    };
    Ok(Entry::New(NewUser {
        identity: Identity::External(external_id),
        username: Username::new(username).map_err(|cause| wrong(&cause))?,
        profile,
    }))
}

/// The ways to write a name that look the same. Names given here are composed; those of old databases need not be.
fn spellings(name: &str) -> BTreeSet<String> {
    [name.to_owned(), name.nfc().collect(), name.nfd().collect()].into()
}
