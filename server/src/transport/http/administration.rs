//! Who may reach administration (`/admin/…`), before anybody is asked for a token: those who come by the way that is for it.
//!
//! With `ADMIN_LISTEN` it is served there and nowhere else. Without it programs of this machine reach it where the server listens:
//! they connect from this machine, call it by a name of this machine, and come through no proxy, as far as requests show that. A proxy
//! beside the server that passes bytes on and not requests can't be told from a program: with such a one `ADMIN_LISTEN` is needed.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderName, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use shared::{ErrorCode, WireError};

use super::paths;
use crate::error::HttpError;
use crate::transport::context::Context;
use crate::transport::tcp::connection::{CloseHandle, Connection};

/// What proxies add to the requests that they pass on, beside what begins with [`FORWARDED`].
const OF_PROXIES: [HeaderName; 6] = [
    header::FORWARDED,
    header::VIA,
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("x-client-ip"),
    HeaderName::from_static("true-client-ip"),
    HeaderName::from_static("cf-connecting-ip"),
];

/// Of the client, of the host and scheme that it asked for, and of more.
const FORWARDED: &str = "x-forwarded-";

/// Lets a request for administration on, or answers as if there was none.
pub async fn guard(State(context): State<Arc<Context>>, request: Request, next: Next) -> Response {
    let handle = request.extensions().get::<CloseHandle>();
    let connection = handle.and_then(CloseHandle::connection);
    let has_own_place = context.config.listen.admin_listen.is_some();
    let may = connection.is_some_and(|connection| match has_own_place {
        true => connection.is_for_administration(),
        false => is_of_this_machine(&connection, &request),
    });
    if may {
        return next.run(request).await;
    }
    let message = format!(
        "there is no {} {:.128} here: administration is served at ADMIN_LISTEN, or without that to programs of the server's machine",
        request.method(),
        paths::as_asked(request.uri())
    );
    HttpError(WireError::new(ErrorCode::NotFound, message)).into_response()
}

fn is_of_this_machine(connection: &Connection, request: &Request) -> bool {
    let headers = request.headers();
    let named = headers
        .get(header::HOST)
        .and_then(|host| Authority::try_from(host.as_bytes()).ok());
    // Where the request names a host itself, that goes before the header.
    let asked = request.uri().authority();
    let hosts = named.iter().chain(asked);
    let is_of_a_proxy = |name: &HeaderName| OF_PROXIES.contains(name) || name.as_str().starts_with(FORWARDED);
    connection.is_from_here()
        && named.is_some()
        && hosts.into_iter().all(|host| is_name_of_this_machine(host.host()))
        // What nginx speaks to a server unless it is told otherwise, and no tool does.
        && request.version() > Version::HTTP_10
        && !headers.keys().any(is_of_a_proxy)
}

fn is_name_of_this_machine(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = |address: IpAddr| address.to_canonical().is_loopback();
    host.eq_ignore_ascii_case("localhost") || bare.parse().is_ok_and(is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine_are_known() {
        for name in [
            "localhost",
            "LOCALHOST",
            "127.0.0.1",
            "127.9.9.9",
            "[::1]",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(is_name_of_this_machine(name), "{name}");
        }
        for name in ["chat.example", "10.0.0.1", "localhost.example", "0.0.0.0", ""] {
            assert!(!is_name_of_this_machine(name), "{name}");
        }
    }
}
