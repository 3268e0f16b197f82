//! The files of the client, which the replaced program served: read once, and held once for all who ask.
//!
//! Anybody may ask for them, so nothing of theirs may wait in memory for each who does: many that ask and do not read would
//! take what is kept for clients that are known.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path as FilePath;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use shared::{ErrorCode, WireError};

use crate::app::App;
use crate::error::HttpError;
use crate::transport::tcp::answers::HeldOnce;
use crate::transport::tcp::unserved;

/// The files that the stock server serves.
const NAMES: [&str; 10] = [
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

/// Largest file, in bytes; those of the package have up to some 310,000.
const MOST: u64 = 2 << 20;

/// The files, by their names.
#[derive(Default)]
pub struct ClientFiles(BTreeMap<&'static str, Bytes>);

impl ClientFiles {
    /// Reads those that a folder has.
    ///
    /// # Errors
    /// It does not hold the client, or what can't be read; the text says what it should be.
    pub fn read(folder: &FilePath) -> Result<Self, String> {
        let mut files = BTreeMap::new();
        for name in NAMES {
            let path = folder.join(name);
            // A pipe would be waited for.
            if !path.is_file() {
                continue;
            }
            let content = read(&path).map_err(|cause| format!("`{}` can't be read: {cause}", path.display()))?;
            if content.len() as u64 > MOST {
                return Err(format!(
                    "`{}` is no file of the client: it has more than {MOST} bytes",
                    path.display()
                ));
            }
            files.insert(name, content);
        }
        match files.contains_key("socket.io.js") || files.contains_key("socket.io.min.js") {
            true => Ok(Self(files)),
            false => Err(format!(
                "`{}` holds no socket.io.js; name the folder dist of the package socket.io-client (node_modules/socket.io-client/dist)",
                folder.display()
            )),
        }
    }

    fn find(&self, name: &str) -> Option<(&'static str, Bytes)> {
        self.0
            .get_key_value(name)
            .map(|(name, content)| (*name, content.clone()))
    }
}

/// No more than tells that it is too long.
fn read(path: &FilePath) -> io::Result<Bytes> {
    let mut content = Vec::new();
    File::open(path)?.take(MOST + 1).read_to_end(&mut content)?;
    Ok(content.into())
}

/// `GET /socket.io/socket.io.js` and its like: the client, where `CLIENT_DIST` says that it is.
pub async fn file(
    State(app): State<Arc<App>>,
    file: Result<Path<String>, PathRejection>,
) -> Result<Response, HttpError> {
    // One whose name is no text is not there either.
    let file = file.map(|Path(file)| file).unwrap_or_default();
    if !NAMES.contains(&&*file) {
        let message = format!("there is no GET {}/{:.128}", app.config.paths().socket(), file);
        return Err(WireError::new(ErrorCode::NotFound, message).into());
    }
    let Some((name, content)) = app.client_files.find(&file) else {
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
