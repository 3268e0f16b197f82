//! A user to be created who is known by an id: of another system, or by one that is given.

use shared::{ExternalId, User, UserId};

use super::{AvatarUrl, DisplayName, Profile, Username};

/// By what a user is found, or known once created.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Identity {
    /// The id here, of a user that another system has made.
    Id(UserId),
    /// The id in another system.
    External(ExternalId),
}

impl Identity {
    /// The id here that an external one could be taken for.
    pub fn looks_like(&self) -> Option<UserId> {
        match self {
            Self::Id(_) => None,
            Self::External(id) => id.as_str().parse().ok(),
        }
    }
}

/// A user to be found, or else to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUser {
    /// Who it is.
    pub identity: Identity,
    /// The name, if it is free; else one like it.
    pub username: Username,
    /// What is shown.
    pub profile: Profile,
}

impl NewUser {
    /// Its id: the one that it is known by, or else the one that was made for it.
    pub fn id(&self, made: UserId) -> UserId {
        match self.identity {
            Identity::Id(id) => id,
            Identity::External(_) => made,
        }
    }

    /// The user, once it is created with this id and name.
    pub fn created(&self, id: UserId, username: &Username) -> User {
        User {
            external_id: match &self.identity {
                Identity::Id(_) => None,
                Identity::External(id) => Some(id.clone()),
            },
            display_name: self
                .profile
                .display_name
                .as_ref()
                .map(DisplayName::as_str)
                .map(str::to_owned),
            avatar_url: self
                .profile
                .avatar_url
                .as_ref()
                .map(AvatarUrl::as_str)
                .map(str::to_owned),
            ..User::new(id, username.as_str().to_owned())
        }
    }
}
