//! `/admin/users` and `/admin/connections`: shutting users out, and looking at and ending their connections.

use std::sync::Arc;

use axum::Json;
use axum::body::HttpBody;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, Path, Request, State};
use serde::de::DeserializeOwned;
use shared::admin::{BanUser, Disconnected, UserAccess, UserConnections};
use shared::{ErrorCode, UserId, WireError};

use super::extract::{self, Admin, Body};
use crate::error::HttpError;
use crate::transport::context::Context;

/// `POST /admin/users/{id}/revoke`.
pub async fn revoke(
    State(context): State<Arc<Context>>,
    path: Result<Path<String>, PathRejection>,
    _: Admin,
) -> Result<Json<UserAccess>, HttpError> {
    Ok(Json(context.chat.revoke(user(&context, path).await?).await?))
}

/// `POST /admin/users/{id}/ban`.
pub async fn ban(
    State(context): State<Arc<Context>>,
    path: Result<Path<String>, PathRejection>,
    _: Admin,
    OptionalBody(request): OptionalBody<BanUser>,
) -> Result<Json<UserAccess>, HttpError> {
    Ok(Json(context.chat.ban(user(&context, path).await?, request).await?))
}

/// `POST /admin/users/{id}/unban`.
pub async fn unban(
    State(context): State<Arc<Context>>,
    path: Result<Path<String>, PathRejection>,
    _: Admin,
) -> Result<Json<UserAccess>, HttpError> {
    Ok(Json(context.chat.unban(user(&context, path).await?).await?))
}

/// `GET /admin/users/{id}/connections`.
pub async fn connections(
    State(context): State<Arc<Context>>,
    path: Result<Path<String>, PathRejection>,
    _: Admin,
) -> Result<Json<UserConnections>, HttpError> {
    let named = |id| context.node.connection(id);
    let connections = context.chat.connections_of(user(&context, path).await?, named).await?;
    Ok(Json(UserConnections {
        node: context.node.to_string(),
        connections,
    }))
}

/// `DELETE /admin/connections/{id}`.
pub async fn disconnect(
    State(context): State<Arc<Context>>,
    path: Result<Path<String>, PathRejection>,
    _: Admin,
) -> Result<Json<Disconnected>, HttpError> {
    let id = extract::path(path)?;
    match context.node.parse(&id) {
        Some(connection) if context.chat.disconnect(connection) => Ok(Json(Disconnected { id })),
        _ => {
            let message = format!("{} has no connection of this id; it knows its own only", context.node);
            Err(WireError::new(ErrorCode::NotFound, message).into())
        }
    }
}

async fn user(context: &Context, path: Result<Path<String>, PathRejection>) -> Result<UserId, WireError> {
    extract::user(context, "id", &extract::path(path)?).await
}

/// A JSON body; one that is missing is one without fields.
pub struct OptionalBody<T>(T);

impl<T: DeserializeOwned + Default> FromRequest<Arc<Context>> for OptionalBody<T> {
    type Rejection = HttpError;

    async fn from_request(request: Request, context: &Arc<Context>) -> Result<Self, HttpError> {
        if request.body().is_end_stream() {
            return Ok(Self(T::default()));
        }
        let Body(body) = Body::from_request(request, context).await?;
        Ok(Self(body))
    }
}
