//! `/users`: creating, finding and listing, and a user's own settings.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use shared::presence::CurrentSettings;
use shared::user::{CreateUsers, CreatedUser, CreatedUsers, UserList};
use shared::{ErrorCode, SettingsChange, User, UserId, WireError, limits};
use unicode_normalization::UnicodeNormalization;

use super::extract::{self, Admin, Body, Member};
use crate::app::App;
use crate::auth::Caller;
use crate::clock;
use crate::delivery::privacy;
use crate::domain::Username;
use crate::error::{self, HttpError};
use crate::storage::StoreError;
use crate::transport::socketio::settings;

/// Largest body that is read: as many names as are allowed, each as long as allowed, with every character escaped.
pub const BODY_BYTES: usize = limits::USERS_PER_REQUEST * limits::USERNAME_CHARS * 12 + 16 * 1024;

/// `POST /users`: creates the users of these names, or finds the ones that exist.
pub async fn create(
    State(app): State<Arc<App>>,
    _: Admin,
    Body(request): Body<CreateUsers>,
) -> Result<Json<CreatedUsers>, HttpError> {
    let names = match (request.username, request.usernames) {
        (Some(username), None) => vec![username],
        (None, Some(usernames)) => usernames,
        _ => return Err(error::invalid_request("the body needs either username or usernames").into()),
    };
    if names.is_empty() || names.len() > limits::USERS_PER_REQUEST {
        let message = format!(
            "usernames has {} names; 1 to {} are allowed",
            names.len(),
            limits::USERS_PER_REQUEST
        );
        return Err(error::invalid_request(message).into());
    }
    let check = |name: String| Username::new(name.clone()).map_err(|cause| error::invalid_username(&name, cause));
    let names = names.into_iter().map(check).collect::<Result<Vec<_>, _>>()?;
    let _admitted = app.admit()?;
    let mut known = Vec::with_capacity(names.len());
    for name in &names {
        known.push(decomposed(&app, name.as_str()).await.map_err(error::store_error)?);
    }
    let new: Vec<Username> = names
        .into_iter()
        .zip(&known)
        .filter_map(|(name, known)| known.is_none().then_some(name))
        .collect();
    let users = app
        .store
        .create_users(&new, clock::now())
        .await
        .map_err(error::store_error)?;
    let mut users = users.into_iter();
    let users = known.into_iter().filter_map(|known| match known {
        Some(user) => Some((user, false)),
        None => users.next(),
    });
    let users = users.map(|(user, created)| CreatedUser { user, created }).collect();
    Ok(Json(CreatedUsers { users }))
}

/// The user of an old database whose name looks like this one and is written in another way, if nobody has it as it is.
async fn decomposed(app: &App, name: &str) -> Result<Option<User>, StoreError> {
    let other: String = name.nfd().collect();
    if other == name || !app.store.users_named(name).await?.is_empty() {
        return Ok(None);
    }
    Ok(app.store.users_named(&other).await?.into_iter().next())
}

/// The ways to write a name that look the same. Names given here are composed; those of old databases need not be.
fn spellings(name: &str) -> BTreeSet<String> {
    [name.to_owned(), name.nfc().collect(), name.nfd().collect()].into()
}

/// Query of `GET /users`.
#[derive(Deserialize)]
pub struct ListQuery {
    username: Option<String>,
    after: Option<String>,
    limit: Option<String>,
}

/// `GET /users`: with `username` everyone of that name; without, for administrators, all users in pages.
pub async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    query: Result<Query<ListQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<UserList>, HttpError> {
    let Query(query) = query.map_err(|cause| error::invalid_request(cause.body_text()))?;
    if let Some(name) = query.username {
        let mut users = Vec::new();
        for name in spellings(&name) {
            users.extend(app.read(caller.user, app.store.users_named(&name)).await?);
        }
        let users = as_seen(&app, caller, users).await?;
        return Ok(Json(UserList { users, next: None }));
    }
    if !caller.admin {
        return Err(extract::forbidden("only an administrator may list all users; name one with ?username=").into());
    }
    let after = query
        .after
        .as_deref()
        .map(|text| extract::id::<UserId>("after", text))
        .transpose()?;
    let limit = super::page::limit(query.limit.as_deref())?.unwrap_or(limits::DEFAULT_PAGE);
    // One more than asked for tells whether there is a next page.
    let mut users = app.read(caller.user, app.store.list_users(after, limit + 1)).await?;
    let more = users.len() > limit;
    users.truncate(limit);
    let next = if more { users.last().map(|user| user.id) } else { None };
    Ok(Json(UserList { users, next }))
}

/// `GET /users/me`: the token's own user.
pub async fn me(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<User>, HttpError> {
    find(&app, caller, caller.user).await
}

/// `GET /users/me/settings`.
pub async fn settings(State(app): State<Arc<App>>, Member(caller): Member) -> Result<Json<CurrentSettings>, HttpError> {
    Ok(Json(settings::current(&app, caller.user).await?))
}

/// `PATCH /users/me/settings`.
pub async fn change_settings(
    State(app): State<Arc<App>>,
    Member(caller): Member,
    Body(change): Body<SettingsChange>,
) -> Result<Json<CurrentSettings>, HttpError> {
    Ok(Json(settings::update(&app, caller.user, change, None).await?))
}

/// `GET /users/{id}`.
pub async fn get(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    caller: Caller,
) -> Result<Json<User>, HttpError> {
    find(&app, caller, extract::id("id", &extract::path(path)?)?).await
}

async fn find(app: &App, caller: Caller, id: UserId) -> Result<Json<User>, HttpError> {
    fail::fail_point!("http::find_user");
    let found = app.read(caller.user, app.store.user(id)).await?;
    let mut seen = as_seen(app, caller, found.into_iter().collect()).await?;
    match seen.pop() {
        Some(user) => Ok(Json(user)),
        None => Err(WireError::new(ErrorCode::UserNotFound, format!("no user has the id {id}")).into()),
    }
}

/// Users as the caller may see them: an administrator sees them as they are.
async fn as_seen(app: &App, caller: Caller, users: Vec<User>) -> Result<Vec<User>, WireError> {
    if caller.admin {
        return Ok(users);
    }
    let seen = privacy::as_seen(&*app.store, caller.user, users);
    app.read(caller.user, seen).await
}
