//! The client's files: `GET /socket.io/socket.io.js` and its like.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use shared::{ErrorCode, WireError};

use crate::error::HttpError;
use crate::transport::client_files::NAMES;
use crate::transport::context::Context;
use crate::transport::tcp::answers::HeldOnce;
use crate::transport::tcp::unserved;

/// `GET /socket.io/socket.io.js` and its like: the client, where `CLIENT_DIST` says that it is.
pub async fn file(
    State(context): State<Arc<Context>>,
    file: Result<Path<String>, PathRejection>,
) -> Result<Response, HttpError> {
    // One whose name is no text is not there either.
    let file = file.map(|Path(file)| file).unwrap_or_default();
    if !NAMES.contains(&&*file) {
        let message = format!("there is no GET {}/{:.128}", context.config.paths().socket(), file);
        return Err(WireError::new(ErrorCode::NotFound, message).into());
    }
    let Some((name, content)) = context.client_files.find(&file) else {
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
    let mut answer = (headers, content).into_response();
    answer.extensions_mut().insert(HeldOnce);
    Ok(answer)
}
