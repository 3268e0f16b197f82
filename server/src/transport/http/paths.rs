//! From what clients write to the one path that a route has: below `BASE_PATH`, at `SOCKET_PATH`, in whichever case, with or
//! without a slash at the end, as Express took it.

use axum::http::uri::PathAndQuery;
use axum::http::{Request, Uri};

use crate::config::paths::{Paths, SOCKET_IO};

/// Words of the routes. None of them can be an id.
const WORDS: [&str; 19] = [
    "chat",
    "history",
    "conversations",
    "sync",
    "users",
    "me",
    "settings",
    "admin",
    "rebuild",
    "revoke",
    "ban",
    "unban",
    "connections",
    "docs",
    "pages",
    "playground",
    "tokens",
    "healthz",
    "readyz",
];

/// What probes ask, wherever the rest is.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

/// Stands before a path at which nothing is, so that no route takes it.
const NOWHERE: &str = "/.";

/// The same request with the path that the routes have.
pub fn route<B>(paths: &Paths, mut request: Request<B>) -> Request<B> {
    if let Some(path) = routed(paths, request.uri().path()) {
        replace(request.uri_mut(), &path);
    }
    request
}

/// The path of a route, unless it is this one.
fn routed(paths: &Paths, path: &str) -> Option<String> {
    let routed = match path.strip_prefix(paths.socket()) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') && is_of_socket(rest) => {
            format!("{}{rest}", SOCKET_IO)
        }
        _ => of_http(paths, path),
    };
    (routed != path).then_some(routed)
}

fn of_http(paths: &Paths, path: &str) -> String {
    let rest = match path.strip_prefix(paths.base()) {
        Some("") => "/",
        Some(rest) if rest.starts_with('/') => rest,
        _ if PROBES.contains(&path) => path,
        // Of no use to anybody: `OPTIONS *`.
        _ if !path.starts_with('/') => return path.to_owned(),
        _ => return format!("{NOWHERE}{path}"),
    };
    if rest.starts_with(SOCKET_IO) {
        return format!("{NOWHERE}{path}");
    }
    let shortened = rest.strip_suffix('/').filter(|rest| !rest.is_empty()).unwrap_or(rest);
    let words: Vec<String> = shortened.split('/').map(word).collect();
    words.join("/")
}
/// Below the path of Socket.IO there are files of the client and nothing else.
fn is_of_socket(rest: &str) -> bool {
    rest.matches('/').count() == 1
}

fn word(segment: &str) -> String {
    let lower = segment.to_ascii_lowercase();
    match WORDS.contains(&&*lower) {
        true => lower,
        false => segment.to_owned(),
    }
}

fn replace(uri: &mut Uri, path: &str) {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut parts = uri.clone().into_parts();
    // What was a path is one still.
    parts.path_and_query = format!("{path}{query}").parse::<PathAndQuery>().ok();
    if let Ok(replaced) = Uri::from_parts(parts) {
        *uri = replaced;
    }
}

/// A path as its client wrote it, for an answer that nothing is there.
pub fn as_asked(uri: &Uri) -> &str {
    let path = uri.path();
    path.strip_prefix(NOWHERE)
        .filter(|rest| rest.starts_with('/'))
        .unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent_to(paths: &Paths, uri: &str) -> String {
        let request = Request::builder().uri(uri).body(()).unwrap();
        route(paths, request).uri().to_string()
    }

    #[test]
    fn paths_are_read_as_express_reads_them() {
        let paths = Paths::new("", None);
        for (asked, route) in [
            ("/chat/history/A/B", "/chat/history/A/B"),
            ("/Chat/HISTORY/Ab/B/?limit=3", "/chat/history/Ab/B?limit=3"),
            ("/Users/Me/Settings/", "/users/me/settings"),
            ("/", "/"),
            ("/users//", "/users/"),
            ("/ReadyZ/", "/readyz"),
            ("/socket.io/?EIO=4", "/socket.io/?EIO=4"),
            ("/socket.io?EIO=4", "/socket.io?EIO=4"),
            ("/socket.io/socket.io.js", "/socket.io/socket.io.js"),
            ("/socket.io/a/b", "/./socket.io/a/b"),
            ("http://host/Users/", "http://host/users"),
        ] {
            assert_eq!(sent_to(&paths, asked), route, "{asked}");
        }
    }

    #[test]
    fn things_are_where_they_were_set() {
        let paths = Paths::new("/api", None);
        assert_eq!(paths.socket(), "/api/socket.io");
        let other = Paths::new("/api", Some("/ws"));
        for (paths, asked, route) in [
            (&paths, "/api/socket.io/?EIO=4", "/socket.io/?EIO=4"),
            (&paths, "/api/Users/", "/users"),
            (&paths, "/api", "/"),
            (&paths, "/apis/users", "/./apis/users"),
            (&paths, "/users", "/./users"),
            (&paths, "/socket.io/", "/./socket.io/"),
            (&paths, "/healthz", "/healthz"),
            (&other, "/ws/?EIO=4", "/socket.io/?EIO=4"),
            (&other, "/ws/socket.io.js", "/socket.io/socket.io.js"),
            (&other, "/wss", "/./wss"),
            (&other, "/api/socket.io/", "/./api/socket.io/"),
        ] {
            assert_eq!(sent_to(paths, asked), route, "{asked}");
        }
        assert_eq!(as_asked(&"/./socket.io/".parse().unwrap()), "/socket.io/");
        assert_eq!(as_asked(&"/.well-known".parse().unwrap()), "/.well-known");
    }
}
