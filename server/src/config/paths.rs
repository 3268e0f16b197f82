//! Where things are, as it is configured: all but Socket.IO below `BASE_PATH`, Socket.IO at `SOCKET_PATH`.

use axum::http::uri::PathAndQuery;

/// Where Socket.IO listens, unless it is set.
pub const SOCKET_IO: &str = "/socket.io";

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
            socket: socket.map_or_else(|| format!("{base}{SOCKET_IO}"), str::to_owned),
        }
    }

    /// Below which path all but Socket.IO is.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Where Socket.IO listens.
    pub fn socket(&self) -> &str {
        &self.socket
    }
}

/// A path as a setting: of segments, none of them empty, without a slash at the end.
pub fn setting(text: &str) -> Result<String, String> {
    let path = text.strip_suffix('/').unwrap_or(text);
    let is_path = path.starts_with('/') && path.parse::<PathAndQuery>().is_ok();
    if path.is_empty() || is_path && !path.contains(['?', '#', '%', '{']) && !text.contains("//") {
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

    #[test]
    fn what_is_no_path_is_refused() {
        assert_eq!((setting("/"), setting("")), (Ok(String::new()), Ok(String::new())));
        assert_eq!(setting("/a/b/"), Ok("/a/b".to_owned()));
        for wrong in ["a", "/a//b", "/a//", "//", "/a?b", "/a b", "http://a/b", "/{a}"] {
            let error = setting(wrong).expect_err(wrong);
            // What is right about it is not called wrong.
            assert_eq!(error.contains("begins with"), !wrong.starts_with('/'), "{error}");
        }
        assert!(setting_of_one("/").is_err());
    }
}
