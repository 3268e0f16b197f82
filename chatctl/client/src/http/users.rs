//! Users over HTTP: finding, listing and creating them.

use shared::limits::MAX_PAGE;
use shared::user::{CreateUser, CreateUsers, CreatedUser, CreatedUsers, UserList};
use shared::{ErrorCode, User, UserId};

use super::super::ClientError;
use super::{Bearer, Http};

impl Http {
    /// The user whom a name or an id means; also an id of another system, where the server takes those.
    pub fn resolve(&self, name_or_id: &str) -> Result<User, ClientError> {
        let user = self.find(name_or_id)?;
        self.secret.learn(&user);
        Ok(user)
    }

    fn find(&self, name_or_id: &str) -> Result<User, ClientError> {
        if let Ok(id) = name_or_id.parse() {
            match self.user(id) {
                // It may be a name that looks like an id.
                Err(ClientError::NoSuchId(_)) => {}
                answer => return answer,
            }
        }
        let query = [("username", name_or_id.to_owned())];
        let mut found: UserList = self.get(Bearer::Admin, "/users", &query)?;
        match found.users.len() {
            0 => match name_or_id.parse() {
                Ok(id) => Err(ClientError::NoSuchId(id)),
                Err(_) => self.named_elsewhere(name_or_id),
            },
            1 => Ok(found.users.remove(0)),
            _ => Err(ClientError::Ambiguous {
                name: name_or_id.to_owned(),
                ids: found.users.iter().map(|user| user.id).collect(),
            }),
        }
    }

    /// The user of this id of another system.
    fn named_elsewhere(&self, id: &str) -> Result<User, ClientError> {
        // So that it is no word of the path, nor anything else that a path could mean.
        let escaped: String = id.bytes().map(|byte| format!("%{byte:02X}")).collect();
        match self.get(Bearer::Admin, &format!("/users/{escaped}"), &[]) {
            Err(ClientError::Answered(error))
                if [ErrorCode::UserNotFound, ErrorCode::InvalidId].contains(&error.code) =>
            {
                Err(ClientError::NoSuchName(id.to_owned()))
            }
            answer => answer,
        }
    }

    /// The user of this id.
    pub fn user(&self, id: UserId) -> Result<User, ClientError> {
        match self.get(Bearer::Admin, &format!("/users/{id}"), &[]) {
            Err(ClientError::Answered(error)) if error.code == ErrorCode::UserNotFound => {
                Err(ClientError::NoSuchId(id))
            }
            answer => answer,
        }
    }

    /// One page of all users, oldest first.
    pub fn users(&self, after: Option<UserId>) -> Result<UserList, ClientError> {
        let mut query = vec![("limit", MAX_PAGE.to_string())];
        query.extend(after.map(|id| ("after", id.to_string())));
        let page: UserList = self.get(Bearer::Admin, "/users", &query)?;
        page.users.iter().for_each(|user| self.secret.learn(user));
        Ok(page)
    }

    /// Creates at most [`shared::limits::USERS_PER_REQUEST`] users, or finds those that exist. Where tokens name users by the ids of
    /// another system, theirs is the name.
    pub fn create_users(&self, names: &[String]) -> Result<Vec<CreatedUser>, ClientError> {
        if self.secret.names_external() {
            let users = names.iter().map(|name| (name.clone(), name.clone()));
            return self.create_external_users(users);
        }
        self.create(&CreateUsers {
            usernames: Some(names.to_vec()),
            ..CreateUsers::default()
        })
    }

    /// Creates as many users of these names and ids of another system, or finds those of the ids.
    pub fn create_external_users(
        &self,
        users: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Vec<CreatedUser>, ClientError> {
        let user = |(username, external_id)| CreateUser {
            username: Some(username),
            id: None,
            external_id,
            display_name: None,
            avatar_url: None,
        };
        self.create(&CreateUsers {
            users: Some(users.into_iter().map(user).collect()),
            ..CreateUsers::default()
        })
    }

    fn create(&self, body: &CreateUsers) -> Result<Vec<CreatedUser>, ClientError> {
        let created: CreatedUsers = self.with_retries(|| self.read(self.post(Bearer::Admin, "/users", body)?))?;
        created
            .users
            .iter()
            .for_each(|created| self.secret.learn(&created.user));
        Ok(created.users)
    }
}
