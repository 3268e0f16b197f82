//! `/users`: creating, finding and listing, and a user's own settings.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use shared::presence::CurrentSettings;
use shared::user::{CreateUsers, CreatedUsers, UserList};
use shared::{SettingsChange, User, UserId, limits};

use super::extract::{self, Admin, Body, Member};
use crate::auth::Caller;
use crate::error::{self, HttpError};
use crate::transport::context::Context;

/// `POST /users`: creates the users of these names or external ids, or finds the ones that exist.
pub async fn create(
    State(context): State<Arc<Context>>,
    _: Admin,
    Body(request): Body<CreateUsers>,
) -> Result<Json<CreatedUsers>, HttpError> {
    let chat = &context.chat;
    Ok(Json(match (request.username, request.usernames, request.users) {
        (Some(username), None, None) => chat.create_users(vec![username]).await?,
        (None, Some(usernames), None) => chat.create_users(usernames).await?,
        (None, None, Some(users)) => chat.create_external_users(users).await?,
        _ => return Err(error::invalid_request("the body needs one of username, usernames and users").into()),
    }))
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
    State(context): State<Arc<Context>>,
    caller: Caller,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<UserList>, HttpError> {
    let Query(query) = query.map_err(|cause| error::invalid_request(error::shortened(&cause.body_text())))?;
    let chat = &context.chat;
    if query.username.is_none() {
        chat.may_list_users(caller)?;
    }
    let after = query.after.as_deref();
    let after = after.map(|text| extract::id::<UserId>("after", text)).transpose()?;
    let limit = extract::limit(query.limit.as_deref())?.unwrap_or(limits::DEFAULT_PAGE);
    Ok(Json(match query.username {
        // All of them, whatever else was asked for.
        Some(name) => chat.users_named(caller, &name).await?,
        None => chat.list_users(caller, after, limit).await?,
    }))
}

/// `GET /users/me`: the token's own user.
pub async fn me(State(context): State<Arc<Context>>, caller: Caller) -> Result<Json<User>, HttpError> {
    Ok(Json(context.chat.user(caller, caller.user).await?))
}

/// `GET /users/me/settings`.
pub async fn settings(
    State(context): State<Arc<Context>>,
    Member(caller): Member,
) -> Result<Json<CurrentSettings>, HttpError> {
    Ok(Json(context.chat.settings(caller.user).await?))
}

/// `PATCH /users/me/settings`.
pub async fn change_settings(
    State(context): State<Arc<Context>>,
    Member(caller): Member,
    Body(change): Body<SettingsChange>,
) -> Result<Json<CurrentSettings>, HttpError> {
    Ok(Json(context.chat.change_settings(caller.user, change, None).await?))
}

/// `GET /users/{id}`.
pub async fn get(
    State(context): State<Arc<Context>>,
    path: Result<Path<String>, PathRejection>,
    caller: Caller,
) -> Result<Json<User>, HttpError> {
    let id = extract::user(&context, "id", &extract::path(path)?).await?;
    Ok(Json(context.chat.user(caller, id).await?))
}
