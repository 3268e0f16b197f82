//! An event of the server, before anything is read from it.

use serde_json::Value;

/// An event as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its name.
    pub name: String,
    /// Its first argument.
    pub payload: Value,
    /// From where a client that has heard everything up to here goes on.
    pub cursor: Option<String>,
}
