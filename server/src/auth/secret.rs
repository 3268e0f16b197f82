//! Where the secret of the tokens comes from: the configuration, or a file that is created once.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use shared::limits;

use crate::config::{Config, Secret};

/// Name of the file in the data directory.
pub const FILE: &str = "jwt_secret";

/// The configured secret, else the one in the data directory, which is created if it isn't there.
pub fn load(config: &Config) -> io::Result<Secret> {
    let secret = match &config.jwt_secret {
        Some(secret) => trimmed(secret),
        None => from_file(&config.data_dir)?,
    };
    let bytes = secret.expose().len();
    if bytes < limits::SECRET_BYTES {
        tracing::warn!(
            bytes,
            "JWT_SECRET is short enough to be guessed; use {} bytes or more",
            limits::SECRET_BYTES
        );
    }
    Ok(secret)
}

/// A secret that is set has no white space around it: whoever set it saw none, and tokens are signed without.
fn trimmed(secret: &Secret) -> Secret {
    let text = secret.expose().trim();
    if text.len() < secret.expose().len() {
        tracing::warn!(
            "white space around JWT_SECRET was cut off; tokens have to be signed with the secret without it"
        );
    }
    text.into()
}

fn from_file(dir: &Path) -> io::Result<Secret> {
    let path = dir.join(FILE);
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(dir, &path).map_err(named)?,
        Err(error) => return Err(named(error)),
        Ok(_) => {}
    }
    let text = fs::read_to_string(&path).map_err(named)?;
    match text.trim() {
        "" => Err(named(io::Error::other(
            "the file is empty; remove it to have a new secret created",
        ))),
        secret => Ok(secret.into()),
    }
}

/// Writes a new secret under a name of its own and links it into place, so that no crash can leave half of one and
/// two servers that start together agree.
fn create(dir: &Path, path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let draft = dir.join(format!("{FILE}.{}", std::process::id()));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)?;
    let secret: [u8; 32] = rand::random();
    let digits: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    writeln!(file, "{digits}")?;
    file.sync_all()?;
    let linked = match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    };
    fs::remove_file(&draft)?;
    linked
}
