//! Fuzz targets of this module: documents with holes, and connection strings.

use bson::raw::RawDocument;

use super::{connection_string, document, uri::Uri};
use crate::storage::size;

/// A document of any program, in any shape.
pub fn documents(data: &[u8]) {
    let Ok(raw) = RawDocument::from_bytes(data) else { return };
    if let Some((message, _)) = document::with_client_id(raw) {
        let json = serde_json::to_vec(&message).expect("a message has a JSON form");
        assert!(json.len() <= size::message_bytes(&message), "pages are bounded by this");
    }
    if let Some(user) = document::user(raw) {
        serde_json::to_vec(&user).expect("a user has a JSON form");
    }
    document::position(raw);
    document::settings(raw);
    document::object_id(raw);
}

/// What stands after a login in a connection string. No password is ever said again.
pub fn connection_strings(data: &[u8]) {
    const PASSWORD: &str = "pAsS-w0rD";
    let Ok(text) = std::str::from_utf8(data) else { return };
    if text.contains(PASSWORD) {
        return;
    }
    let text = format!("mongodb://user:{PASSWORD}@{text}");
    let uri = Uri::of(&text);
    assert!(uri.text.len() <= text.len());
    assert!(uri.passed_over.iter().all(|name| !name.contains(PASSWORD)));
    assert!(!connection_string::hosts(&uri.text).contains(PASSWORD));
    assert!(!connection_string::fault(&text).contains(PASSWORD));
}
