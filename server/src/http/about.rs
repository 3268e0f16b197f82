//! What a stranger finds: what this server is, and the files of the client that the replaced program served.

use std::path::Path as FilePath;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use shared::{ErrorCode, WireError};

use crate::app::App;
use crate::error::HttpError;
use crate::net::unserved;

/// The files that the stock server serves.
const CLIENT_FILES: [&str; 10] = [
    "socket.io.js",
    "socket.io.js.map",
    "socket.io.min.js",
    "socket.io.min.js.map",
    "socket.io.esm.min.js",
    "socket.io.esm.min.js.map",
    "socket.io.msgpack.min.js",
    "socket.io.msgpack.min.js.map",
    "socket.io.esm.js",
    "socket.io.msgpack.js",
];

/// `GET /`: what this is.
pub async fn about(State(app): State<Arc<App>>) -> Json<Value> {
    Json(json!({
        "server": "a one-to-one chat server",
        "socketIo": format!("{}/", app.config.paths().socket()),
        "documents": ["README.md", "shared/PROTOCOL.md"],
        "health": "/readyz",
    }))
}

/// `GET /socket.io/socket.io.js` and its like: the client, where `CLIENT_DIST` says that it is.
pub async fn client_file(State(app): State<Arc<App>>, file: Option<Path<String>>) -> Result<Response, HttpError> {
    let file = file.map(|Path(file)| file).unwrap_or_default();
    let Some(name) = CLIENT_FILES.into_iter().find(|name| *name == file) else {
        let message = format!("there is no GET {}/{:.128}", app.config.paths().socket(), file);
        return Err(WireError::new(ErrorCode::NotFound, message).into());
    };
    let read = match &app.config.client_dist {
        Some(folder) => tokio::fs::read(folder.join(name)).await.ok(),
        None => None,
    };
    let Some(content) = read else {
        unserved::say(unserved::CLIENT_FILE);
        let message = "this server brings no client: load it from https://cdn.socket.io or the package socket.io-client, or set \
                       CLIENT_DIST to the folder dist of that package";
        return Err(WireError::new(ErrorCode::NotFound, message).into());
    };
    let kind = match name.ends_with(".map") {
        true => "application/json; charset=utf-8",
        false => "application/javascript; charset=utf-8",
    };
    // As the stock server has it.
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "public, max-age=0"),
    ];
    Ok((headers, content).into_response())
}

/// Looks whether a folder holds the client.
///
/// # Errors
/// It does not; the text says what it should be.
pub fn check_client(folder: &FilePath) -> Result<(), String> {
    match folder.join("socket.io.js").is_file() || folder.join("socket.io.min.js").is_file() {
        true => Ok(()),
        false => Err(format!(
            "`{}` holds no socket.io.js; name the folder dist of the package socket.io-client (node_modules/socket.io-client/dist)",
            folder.display()
        )),
    }
}
