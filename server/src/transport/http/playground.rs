//! The users of the playground, and tokens for them: `POST /playground/tokens`.
//!
//! Whoever gets such a token is one of two users who are there for that, and nobody else. Where nobody asked for the playground, it
//! is there for programs of this machine alone: not through a proxy, and not for a page of the internet that a browser on
//! this machine shows, whatever name that page gave this machine. `SECURITY.md` says what is left.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, Uri, header};
use jwt::Rules;
use jwt::sign::Signer;
use serde::Serialize;
use shared::user::CreateUser;
use shared::{ErrorCode, Timestamp, User, WireError};

use crate::auth::keys;
use crate::config::{Config, Playground, UserIdKind};
use crate::error::{self, HttpError};
use crate::transport::context::Context;

/// The two users: their external ids, which name them, and the names that are shown. A user whom somebody else gave the same
/// username is another one.
const USERS: [(&str, &str); 2] = [("playground-ada", "Ada"), ("playground-grace", "Grace")];

/// How long a token holds.
const LIFETIME: Duration = Duration::from_secs(15 * 60);

/// What a proxy adds to requests. One that adds none of these is taken for this machine.
const OF_PROXIES: [&str; 7] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
    "via",
    "cf-connecting-ip",
];

/// The users of the playground.
#[derive(Serialize)]
pub struct Players {
    users: Vec<Player>,
}

/// One of them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Player {
    user: User,
    token: String,
    expires_at: Timestamp,
}

/// `POST /playground/tokens`: the two users, each with a token.
pub async fn tokens(State(context): State<Arc<Context>>, headers: HeaderMap) -> Result<Json<Players>, HttpError> {
    is_there(&context, &headers)?;
    if is_of_another_page(&headers) {
        let message = "tokens of the playground are for its own page";
        return Err(WireError::new(ErrorCode::Forbidden, message).into());
    }
    context
        .mint
        .count()
        .map_err(|refused| error::too_many_players(&refused))?;
    let signer = signer(&context.config).await?;
    let entry = |(id, name): (&str, &str)| CreateUser {
        username: Some(id.to_owned()),
        id: None,
        external_id: id.to_owned(),
        display_name: Some(name.to_owned()),
        avatar_url: None,
    };
    let created = context.chat.create_external_users(USERS.map(entry).into()).await?;
    let players = created.users.into_iter().zip(USERS).map(|(created, (id, _))| {
        let own = created.user.id.to_string();
        let named = if signer.rules().external_users { id } else { &own };
        let (claims, exp) = signer.claims(named, false, LIFETIME);
        Ok(Player {
            user: created.user,
            token: signer.sign(&claims).map_err(|error| cannot_sign(&error))?,
            expires_at: Timestamp::from_millis(exp.saturating_mul(1_000)),
        })
    });
    let users = players.collect::<Result<_, WireError>>()?;
    Ok(Json(Players { users }))
}

/// Answers as if there was no playground, unless it is there for whoever sent these headers.
///
/// # Errors
/// It is not, and why.
pub fn is_there(context: &Context, headers: &HeaderMap) -> Result<(), WireError> {
    let why = match context.config.playground() {
        Playground::Open => return Ok(()),
        Playground::Off => "the playground is off; PLAYGROUND=true serves it",
        Playground::OfThisMachine if is_of_this_machine(headers) => return Ok(()),
        Playground::OfThisMachine => {
            "the playground is for this machine, at its own name (localhost) and without a proxy; PLAYGROUND=true serves it to all"
        }
    };
    Err(WireError::new(ErrorCode::NotFound, why))
}

/// Whether a request came straight from this machine, and was sent to it by a name that nobody else can have. A page that had its own
/// name lead here sends that name.
fn is_of_this_machine(headers: &HeaderMap) -> bool {
    let through_proxy = OF_PROXIES.iter().any(|name| headers.contains_key(*name));
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let uri = host.and_then(|host| host.parse::<Uri>().ok());
    let name = uri.as_ref().and_then(Uri::host).unwrap_or_default();
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = bare
        .parse::<std::net::IpAddr>()
        .is_ok_and(|address| address.is_loopback());
    !through_proxy && (is_loopback || bare.eq_ignore_ascii_case("localhost"))
}

/// Whether a browser says that another page asks. Other programs say nothing.
fn is_of_another_page(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin");
    let origin = headers.get(header::ORIGIN).is_some_and(|origin| {
        let origin = origin.to_str().unwrap_or_default();
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        origin.split_once("://").map(|(_, host)| host) != host
    });
    site || origin
}

/// Signs with the first secret as it is now.
async fn signer(config: &Config) -> Result<Signer, WireError> {
    let rules = Rules {
        external_users: config.tokens.user_ids == UserIdKind::External,
        ..Rules::new(&config.tokens.keys)
    };
    let config = config.clone();
    let secret = tokio::task::spawn_blocking(move || keys::signing_secret(&config)).await;
    match secret {
        Ok(Ok(Some(secret))) => Ok(Signer::of_secret(secret.expose(), rules)),
        Ok(Ok(None)) => Err(cannot_sign(&"there is no secret")),
        Ok(Err(error)) => Err(cannot_sign(&error)),
        Err(error) => Err(cannot_sign(&error)),
    }
}

fn cannot_sign(why: &dyn std::fmt::Display) -> WireError {
    tracing::warn!(%why, "playground: no token could be signed");
    error::failed()
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        });
        pairs.collect()
    }

    #[test]
    fn only_this_machine_by_its_own_name_is_this_machine() {
        for host in [
            "localhost",
            "LOCALHOST:5000",
            "127.0.0.1:5000",
            "127.8.8.8",
            "[::1]:5000",
            "[::1]",
        ] {
            assert!(is_of_this_machine(&headers(&[("host", host)])), "{host}");
            for name in OF_PROXIES {
                assert!(!is_of_this_machine(&headers(&[("host", host), (name, "x")])), "{name}");
            }
        }
        for host in [
            "",
            "evil.example:5000",
            "10.0.0.1",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "[fe80::1]",
        ] {
            assert!(!is_of_this_machine(&headers(&[("host", host)])), "{host}");
        }
        assert!(!is_of_this_machine(&HeaderMap::new()));
    }

    #[test]
    fn pages_of_other_origins_get_no_tokens() {
        let host = ("host", "localhost:5000");
        for (name, value) in [
            ("origin", "http://evil.example"),
            ("origin", "http://localhost:3000"),
            ("origin", "http://localhost"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-site", "none"),
        ] {
            assert!(is_of_another_page(&headers(&[host, (name, value)])), "{name}: {value}");
        }
        let own = [
            host,
            ("origin", "http://localhost:5000"),
            ("sec-fetch-site", "same-origin"),
        ];
        assert!(!is_of_another_page(&headers(&own)) && !is_of_another_page(&headers(&[host])));
    }
}
