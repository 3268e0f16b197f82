//! The files of the client, which the replaced program served: read once, and held once for all who ask.
//!
//! Anybody may ask for them, so nothing of theirs may wait in memory for each who does: many that ask and do not read would
//! take what is kept for clients that are known.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use axum::body::Bytes;

/// The files that the stock server serves.
pub const NAMES: [&str; 10] = [
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
const MAX_FILE_BYTES: u64 = 2 << 20;

/// The files, by their names.
#[derive(Default)]
pub struct ClientFiles(BTreeMap<&'static str, Bytes>);

impl ClientFiles {
    /// Reads those that a folder has.
    ///
    /// # Errors
    /// It does not hold the client, or what can't be read; the text says what it should be.
    pub fn read(folder: &Path) -> Result<Self, String> {
        let mut files = BTreeMap::new();
        for name in NAMES {
            let path = folder.join(name);
            // A pipe would be waited for.
            if !path.is_file() {
                continue;
            }
            let content = read(&path).map_err(|cause| format!("`{}` can't be read: {cause}", path.display()))?;
            if content.len() as u64 > MAX_FILE_BYTES {
                return Err(format!(
                    "`{}` is no file of the client: it has more than {MAX_FILE_BYTES} bytes",
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

    /// The file of this name, if it is there.
    pub fn find(&self, name: &str) -> Option<(&'static str, Bytes)> {
        self.0
            .get_key_value(name)
            .map(|(name, content)| (*name, content.clone()))
    }
}

/// No more than shows that it is too long.
fn read(path: &Path) -> io::Result<Bytes> {
    let mut content = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut content)?;
    Ok(content.into())
}
