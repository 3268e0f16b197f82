//! From raw requests to checked values. What axum's own extractors would refuse in plain text is refused here in the
//! one error format.

use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, DeserializeOwned, Deserializer, MapAccess};
use shared::{ErrorCode, UserId, WireError, limits};

use crate::auth::{self, Caller};
use crate::chat::{self, checked_limit};
use crate::error::{self, HttpError};
use crate::rates::Kind;
use crate::transport::context::Context;
use crate::transport::tcp::answers::Asker;
use crate::transport::tcp::client_address::ClientAddress;

/// Largest body that is read: as many names as are allowed, each as long as allowed, with every character escaped.
pub const MAX_BODY_BYTES: usize = limits::USERS_PER_REQUEST * limits::USERNAME_CHARS * 12 + 16 * 1024;

impl FromRequestParts<Arc<Context>> for Caller {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, context: &Arc<Context>) -> Result<Self, HttpError> {
        let token = auth::bearer(&parts.headers);
        let look = auth::authenticate_http(&context.verifier, &*context.store, token);
        let caller = match ClientAddress::of(parts).filter(|_| token.is_some()) {
            Some(client) => client.try_token(&context.registry, look).await,
            None => look.await,
        }?;
        if !caller.admin {
            let used = context.rates.of(caller.user);
            context.rates.count(&used, Kind::Read).map_err(|refused| {
                context.registry.count_refused_request();
                error::too_many_of_user(Kind::Read, &refused)
            })?;
        }
        if let Some(asker) = parts.extensions.get::<Asker>() {
            asker.is(caller.user);
        }
        Ok(caller)
    }
}

/// An administrator.
pub struct Admin;

impl FromRequestParts<Arc<Context>> for Admin {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, context: &Arc<Context>) -> Result<Self, HttpError> {
        if Caller::from_request_parts(parts, context).await?.admin {
            Ok(Self)
        } else {
            let message = "this needs an administrator's token: one with the claim \"role\":\"admin\"";
            Err(WireError::new(ErrorCode::Forbidden, message).into())
        }
    }
}

/// A caller who is a user of the chat, for what is the caller's own: an administrator need not be one.
pub struct Member(pub Caller);

impl FromRequestParts<Arc<Context>> for Member {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, context: &Arc<Context>) -> Result<Self, HttpError> {
        let caller = Caller::from_request_parts(parts, context).await?;
        // Who is no administrator was looked up already.
        let exists = auth::exists(&*context.store, caller.user);
        if caller.admin && !exists.await.map_err(chat::Error::from)? {
            return Err(chat::Error::UnknownCaller.into());
        }
        Ok(Self(caller))
    }
}

/// A body: a JSON object.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Arc<Context>> for Body<T> {
    type Rejection = HttpError;

    async fn from_request(request: Request, context: &Arc<Context>) -> Result<Self, HttpError> {
        match axum::Json::from_request(request, context).await {
            Ok(axum::Json(Object(body))) => Ok(Self(body)),
            Err(rejection) => Err(HttpError(refused_body(&rejection))),
        }
    }
}

/// What is read from a JSON object and from nothing else: where a struct is asked for, serde takes an array of its fields, too.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Visitor<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(fields)).map(Object)
            }
        }

        deserializer.deserialize_map(Visitor(PhantomData))
    }
}

fn refused_body(rejection: &JsonRejection) -> WireError {
    use axum::http::StatusCode;
    use std::error::Error;
    // The source says what was wrong; the rejection's own text only that something was.
    let cause = rejection
        .source()
        .map_or_else(|| rejection.to_string(), ToString::to_string);
    let cause = error::shortened(&cause);
    match rejection {
        JsonRejection::JsonSyntaxError(_) => {
            WireError::new(ErrorCode::InvalidJson, format!("the body is not JSON: {cause}"))
        }
        JsonRejection::MissingJsonContentType(_) => WireError::new(
            ErrorCode::UnsupportedMediaType,
            "the body must be JSON, with `Content-Type: application/json`",
        ),
        rejection if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            let message = format!("the body is too large; at most {} bytes are read", MAX_BODY_BYTES);
            WireError::new(ErrorCode::PayloadTooLarge, message)
        }
        _ => error::invalid_request(format!("the body has the wrong shape: {cause}")),
    }
}

/// The ids of a path, undecoded. Only bytes that are no text can be refused here, and those are no id.
pub fn path<T>(path: Result<Path<T>, PathRejection>) -> Result<T, WireError> {
    let refused = |cause: PathRejection| WireError::new(ErrorCode::InvalidId, error::shortened(&cause.body_text()));
    path.map(|Path(ids)| ids).map_err(refused)
}

/// An id in a path or a query; `name` says where it stood.
pub fn id<T: FromStr>(name: &str, text: &str) -> Result<T, WireError> {
    text.parse().map_err(|_| error::invalid_id(name, text))
}

/// The users whom texts in a path name; for those who do not exist an id that nobody has.
pub async fn users<const N: usize>(context: &Context, named: [(&str, &str); N]) -> Result<[UserId; N], WireError> {
    let wrong = |name, text| error::invalid_user_id(name, text, context.user_ids.are_external());
    let look = |(name, text)| context.user_ids.look(text).map_err(|_| wrong(name, text));
    let named = named.into_iter().map(look).collect::<Result<Vec<_>, _>>()?;
    let found = context.user_ids.resolve(&*context.store, named).await;
    let mut found = found.map_err(chat::Error::from)?.into_iter();
    // There is one for each.
    Ok(std::array::from_fn(|_| {
        found.next().unwrap_or(UserId::from_bytes([0; 12]))
    }))
}

/// The user whom a text in a path names.
///
/// # Errors
/// `user_not_found`, where the text names none. A user of an id of this chat may still not exist.
pub async fn user(context: &Context, name: &str, text: &str) -> Result<UserId, WireError> {
    let [user] = users(context, [(name, text)]).await?;
    match context.user_ids.is_nobody(user) {
        true => {
            let message = format!("no user has the id {:?}", error::short(text));
            Err(WireError::new(ErrorCode::UserNotFound, message))
        }
        false => Ok(user),
    }
}

/// A page size, if one was asked for.
pub fn limit(text: Option<&str>) -> Result<Option<usize>, WireError> {
    Ok(checked_limit(parameter::<usize>("limit", text)?)?)
}

/// A parameter of a query, if it is there.
pub fn parameter<T>(name: &str, text: Option<&str>) -> Result<Option<T>, WireError>
where
    T: FromStr,
    T::Err: Display,
{
    let parsed = text.map(T::from_str).transpose();
    parsed.map_err(|cause| {
        let text = error::short(text.unwrap_or_default());
        error::invalid_request(format!("{name}: {text:?} is refused: {cause}"))
    })
}
