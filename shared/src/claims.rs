//! What a token says: the claims of the JWT (HS256) that a client brings.

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};

use crate::UserId;

/// The claims this chat reads. Others are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claims {
    /// Who the bearer is.
    pub user_id: UserId,
    /// When the token ends, in seconds since the Unix epoch. A token without it is refused.
    #[serde(deserialize_with = "whole_seconds")]
    pub exp: i64,
    /// When the token begins to hold, likewise.
    #[serde(default, deserialize_with = "some_seconds", skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    /// When it was made, likewise.
    #[serde(default, deserialize_with = "some_seconds", skip_serializing_if = "Option::is_none")]
    pub iat: Option<i64>,
    /// What the bearer may do beyond their own conversations.
    #[serde(default, deserialize_with = "any_role", skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
}

/// A role that a token grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// May create and list users and read every conversation.
    Admin,
    /// A role of some other program that shares the secret; it grants nothing here.
    #[serde(other)]
    Other,
}

/// Whatever another program means by it, in whatever type, spoils no token.
fn any_role<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Role>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Any {
        Text(String),
        Else(IgnoredAny),
    }
    Ok(match Option::<Any>::deserialize(deserializer)? {
        Some(Any::Text(role)) if role == "admin" => Some(Role::Admin),
        Some(Any::Text(_) | Any::Else(_)) => Some(Role::Other),
        None => None,
    })
}

/// RFC 7519 allows decimals in a date; they are cut off.
fn whole_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    f64::deserialize(deserializer).map(|seconds| seconds as i64)
}

/// A date that may be missing, but not be anything else.
fn some_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    whole_seconds(deserializer).map(Some)
}
