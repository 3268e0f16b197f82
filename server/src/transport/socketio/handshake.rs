//! What a client brings when it connects: its token, and the cursor that it goes on from.
//!
//! Clients of the replaced program send their token in many ways. What can only be meant as a good token is taken as one;
//! what is not taken is given a reason for the log, because the client is sent no more than "Authentication error".

use axum::http::{HeaderMap, Uri, header};
use serde::Deserialize;
use serde_json::Value;

use crate::auth::{self, AuthError};

/// What the client's `auth` holds. Other fields are ignored, and a field of the wrong type spoils no other.
#[derive(Default, Deserialize)]
pub struct Handshake {
    #[serde(default)]
    token: Value,
    #[serde(default)]
    since: Value,
}

impl Handshake {
    /// The token: that of `auth`, else that of the header `Authorization`, else that of the address, which is taken only
    /// if the server allows it.
    ///
    /// # Errors
    /// There is none; the reason says what is there instead.
    pub fn token(&self, headers: &HeaderMap, address: &Uri, allow_query: bool) -> Result<String, AuthError> {
        let empty = match &self.token {
            Value::Null => false,
            Value::String(text) => match plain(text) {
                "" => true,
                token => return Ok(token.to_owned()),
            },
            _ => return Err(AuthError::NoToken("auth.token is no text")),
        };
        if let Some(token) = auth::bearer(headers).map(plain).filter(|token| !token.is_empty()) {
            return Ok(token.to_owned());
        }
        match of_address(address) {
            Some(token) if allow_query => return Ok(token),
            Some(_) => {
                return Err(AuthError::NoToken(
                    "the token is in the address as ?token=…, which ends up in logs; it is taken only with \
                     ALLOW_QUERY_TOKEN=true, and better sent as auth: { token }",
                ));
            }
            None => {}
        }
        Err(AuthError::NoToken(if empty {
            "auth.token is empty"
        } else if headers.contains_key(header::AUTHORIZATION) {
            "the header Authorization is not `Bearer <token>`"
        } else {
            "a token is missing; send it as auth: { token }"
        }))
    }

    /// The cursor to go on from, if the client wants to be sent what it missed. A cursor of the wrong type is one that
    /// can't be used, and is answered like that.
    pub fn since(self) -> Option<String> {
        match self.since {
            Value::Null => None,
            Value::String(cursor) => Some(cursor),
            other => Some(other.to_string()),
        }
    }
}

/// A token without white space around it, and without the word that belongs into a header.
pub(super) fn plain(text: &str) -> &str {
    let text = text.trim();
    match text.split_at_checked("bearer ".len()) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer ") => token.trim_start(),
        _ if text.eq_ignore_ascii_case("bearer") => "",
        _ => text,
    }
}

/// The token that stands in an address. No token has a sign that would be written differently there.
fn of_address(address: &Uri) -> Option<String> {
    let query = address.query()?;
    let token = query.split('&').find_map(|pair| pair.strip_prefix("token="))?;
    let token = token.replace("%20", " ").replace('+', " ");
    Some(plain(&token).to_owned()).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use serde_json::json;

    use super::*;

    fn token(auth: Value, header: &'static str, address: &'static str, allow_query: bool) -> Result<String, String> {
        let handshake: Handshake = serde_json::from_value(auth).unwrap_or_default();
        let mut headers = HeaderMap::new();
        if !header.is_empty() {
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static(header));
        }
        let address = Uri::from_static(address);
        handshake
            .token(&headers, &address, allow_query)
            .map_err(|denied| denied.to_string())
    }

    #[test]
    fn what_can_only_be_a_token_is_taken() {
        for auth in ["a.b.c", " a.b.c\n", "Bearer a.b.c", "bearer  a.b.c ", "BEARER a.b.c"] {
            assert_eq!(
                token(json!({"token": auth, "since": 7}), "", "/", false).as_deref(),
                Ok("a.b.c"),
                "{auth:?}"
            );
        }
        let header = "Bearer d.e.f";
        assert_eq!(
            token(json!({"token": "a"}), header, "/?token=g", true).as_deref(),
            Ok("a")
        );
        for auth in [json!(null), json!({}), json!({"token": " "}), json!(7)] {
            assert_eq!(token(auth, header, "/?token=g", true).as_deref(), Ok("d.e.f"));
        }
        for address in [
            "/?token=a.b.c",
            "/?EIO=4&token=Bearer%20a.b.c",
            "/?token=Bearer+a.b.c&t=1",
        ] {
            assert_eq!(token(json!({}), "", address, true).as_deref(), Ok("a.b.c"), "{address}");
        }
    }

    #[test]
    fn what_is_none_is_named() {
        for (auth, header, address, reason) in [
            (json!({}), "", "/", "missing"),
            (json!({"jwt": "a.b.c"}), "", "/?jwt=a", "missing"),
            (json!({"token": ""}), "", "/", "empty"),
            (json!({"token": "Bearer "}), "", "/", "empty"),
            (json!({"token": 7}), "", "/", "no text"),
            (json!({"token": {"token": "a"}}), "Bearer a", "/", "no text"),
            (json!({}), "Basic a", "/", "Bearer <token>"),
            (json!({}), "", "/?token=a", "ALLOW_QUERY_TOKEN"),
        ] {
            let error = token(auth, header, address, false).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn a_cursor_of_another_type_is_one_that_cant_be_used() {
        let since = |auth: Value| serde_json::from_value::<Handshake>(auth).unwrap().since();
        assert_eq!(since(json!({})), None);
        assert_eq!(since(json!({"since": null})), None);
        assert_eq!(since(json!({"since": ""})).as_deref(), Some(""));
        assert_eq!(since(json!({"since": 7})).as_deref(), Some("7"));
    }
}
