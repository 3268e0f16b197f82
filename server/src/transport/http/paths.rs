//! Where things are, as clients write it: below `BASE_PATH`, at `SOCKET_PATH`, in whichever case, with or without a slash at the
//! end, as Express took it. All of that becomes the one path that the routes have.

use axum::http::uri::PathAndQuery;
use axum::http::{Request, Uri};

use crate::transport::tcp::engine;

/// Words of the routes. None of them can be an id.
const WORDS: [&str; 11] = [
    "chat",
    "history",
    "conversations",
    "sync",
    "users",
    "me",
    "settings",
    "admin",
    "rebuild",
    "healthz",
    "readyz",
];

/// What probes ask, wherever the rest is.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

/// Stands before a path at which nothing is, so that no route takes it.
const NOWHERE: &str = "/.";

/// Where things are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    base: String,
    socket: String,
}

impl Paths {
    /// All but Socket.IO is below `base`, which is empty or begins with a slash and ends without one, as `socket` does.
    pub fn new(base: &str, socket: Option<&str>) -> Self {
        Self {
            base: base.to_owned(),
            socket: socket.map_or_else(|| format!("{base}{}", engine::PATH), str::to_owned),
        }
    }

    /// Where Socket.IO listens.
    pub fn socket(&self) -> &str {
        &self.socket
    }

    /// The same request with the path that the routes have.
    pub fn route<B>(&self, mut request: Request<B>) -> Request<B> {
        if let Some(path) = self.path(request.uri().path()) {
            replace(request.uri_mut(), &path);
        }
        request
    }

    /// The path of a route, unless it is this one.
    fn path(&self, path: &str) -> Option<String> {
        let routed = match path.strip_prefix(&self.socket) {
            Some(rest) if rest.is_empty() || rest.starts_with('/') && is_of_socket(rest) => {
                format!("{}{rest}", engine::PATH)
            }
            _ => self.of_http(path),
        };
        (routed != path).then_some(routed)
    }

    fn of_http(&self, path: &str) -> String {
        let rest = match path.strip_prefix(&self.base) {
            Some("") => "/",
            Some(rest) if rest.starts_with('/') => rest,
            _ if PROBES.contains(&path) => path,
            // Of no use to anybody: `OPTIONS *`.
            _ if !path.starts_with('/') => return path.to_owned(),
            _ => return format!("{NOWHERE}{path}"),
        };
        if rest.starts_with(engine::PATH) {
            return format!("{NOWHERE}{path}");
        }
        let shortened = rest.strip_suffix('/').filter(|rest| !rest.is_empty()).unwrap_or(rest);
        let words: Vec<String> = shortened.split('/').map(word).collect();
        words.join("/")
    }
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

/// A path as a setting: of segments, none of them empty, without a slash at the end.
pub fn setting(text: &str) -> Result<String, String> {
    let path = text.strip_suffix('/').unwrap_or(text);
    let is_path = path.starts_with('/') && path.parse::<PathAndQuery>().is_ok();
    if path.is_empty() || is_path && !path.contains(['?', '#', '%', '{']) && !path.contains("//") {
        Ok(path.to_owned())
    } else if path.starts_with('/') {
        Err(format!(
            "`{text}` is no path; between its slashes stand letters, digits and such as `-` and `_`, no blank and none of ? # % {{"
        ))
    } else {
        Err(format!("`{text}` is no path; it begins with a slash, such as /api"))
    }
}

/// As [`setting`], for what can't be everywhere.
pub fn setting_of_one(text: &str) -> Result<String, String> {
    match setting(text)?.as_str() {
        "" => Err("it can't be the root, where the other routes are; write a path such as /socket.io".to_owned()),
        path => Ok(path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routed(paths: &Paths, uri: &str) -> String {
        let request = Request::builder().uri(uri).body(()).unwrap();
        paths.route(request).uri().to_string()
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
            assert_eq!(routed(&paths, asked), route, "{asked}");
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
            assert_eq!(routed(paths, asked), route, "{asked}");
        }
        assert_eq!(as_asked(&"/./socket.io/".parse().unwrap()), "/socket.io/");
        assert_eq!(as_asked(&"/.well-known".parse().unwrap()), "/.well-known");
    }

    #[test]
    fn what_is_no_path_is_refused() {
        assert_eq!((setting("/"), setting("")), (Ok(String::new()), Ok(String::new())));
        assert_eq!(setting("/a/b/"), Ok("/a/b".to_owned()));
        for wrong in ["a", "/a//b", "/a?b", "/a b", "http://a/b", "/{a}"] {
            let error = setting(wrong).expect_err(wrong);
            // What is right about it is not called wrong.
            assert_eq!(error.contains("begins with"), !wrong.starts_with('/'), "{error}");
        }
        assert!(setting_of_one("/").is_err());
    }
}
