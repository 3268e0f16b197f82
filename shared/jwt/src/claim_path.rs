//! Where in a token a claim is: by its name, or by a path into objects.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

/// A claim: one of this name, or else the one that a path with dots leads to. Names can have dots themselves
/// (`https://chat.example.com/claims.id`), so the longest name that is there goes first at each step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimPath(String);

impl ClaimPath {
    /// A claim of this name, or at this path.
    pub fn new(path: &str) -> Self {
        Self(path.to_owned())
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The claim, if it is there.
    pub fn find<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        find(&self.0, claims)
    }
}

impl FromStr for ClaimPath {
    type Err = Infallible;

    fn from_str(path: &str) -> Result<Self, Infallible> {
        Ok(Self::new(path))
    }
}

impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

fn find<'a>(path: &str, claims: &'a Map<String, Value>) -> Option<&'a Value> {
    if let Some(found) = claims.get(path) {
        return Some(found);
    }
    path.rmatch_indices('.').find_map(|(dot, _)| {
        let inner = claims.get(&path[..dot])?.as_object()?;
        find(&path[dot + 1..], inner)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_goes_before_a_path_and_a_longer_name_before_a_shorter_one() {
        let claims = json!({
            "sub": "1",
            "a": {"b": "2", "b.c": "3", "d": {"e": ["4"]}},
            "a.b": "5",
            "https://x.example/claims": {"id": "6"},
            "https://x.example/claims.name": "7",
            "text": "8",
        });
        let find = |path: &str| ClaimPath::new(path).find(claims.as_object().unwrap()).cloned();
        assert_eq!(find("sub"), Some(json!("1")));
        assert_eq!(find("a.b"), Some(json!("5")));
        assert_eq!(find("a.b.c"), Some(json!("3")));
        assert_eq!(find("a.d.e"), Some(json!(["4"])));
        assert_eq!(find("https://x.example/claims.id"), Some(json!("6")));
        assert_eq!(find("https://x.example/claims.name"), Some(json!("7")));
        for missing in [
            "",
            ".",
            "a.",
            ".a",
            "a.x",
            "text.length",
            "https://x.example/claims.other",
            "a.d.e.0",
        ] {
            assert_eq!(find(missing), None, "{missing}");
        }
    }
}
