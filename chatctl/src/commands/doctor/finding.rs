//! One thing that was looked at: how it is, and what to change.

use serde::Serialize;

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Mark {
    /// As it should be.
    Good,
    /// It works, and may not be what is wanted.
    Doubt,
    /// Wrong.
    Bad,
    /// It was not looked at.
    Open,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// What was looked at.
    pub(super) what: &'static str,
    pub(super) mark: Mark,
    /// How it is.
    pub(super) found: String,
    /// What to change, if something should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) change: Option<&'static str>,
}

impl Finding {
    pub(super) fn good(what: &'static str, found: impl Into<String>) -> Self {
        Self::new(what, Mark::Good, found, None)
    }

    pub(super) fn doubt(what: &'static str, found: impl Into<String>, change: &'static str) -> Self {
        Self::new(what, Mark::Doubt, found, Some(change))
    }

    pub(super) fn bad(what: &'static str, found: impl Into<String>, change: &'static str) -> Self {
        Self::new(what, Mark::Bad, found, Some(change))
    }

    pub(super) fn open(what: &'static str, found: impl Into<String>) -> Self {
        Self::new(what, Mark::Open, found, None)
    }

    fn new(what: &'static str, mark: Mark, found: impl Into<String>, change: Option<&'static str>) -> Self {
        Self {
            what,
            mark,
            found: found.into(),
            change,
        }
    }
}
