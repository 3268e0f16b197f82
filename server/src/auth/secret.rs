//! Where the secret of the tokens comes from: the configuration, or a file that is created once.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
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

/// Writes a new secret under a name of its own and moves it into place, so that no crash can leave half of one and
/// two servers that start together agree. The name is drawn by lot: process ids are the same in many containers, and who
/// wrote over the draft of another one would write over its secret.
fn create(dir: &Path, path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    // Only its owner may read it, and it is removed if it does not get into place.
    let mut draft = tempfile::Builder::new().prefix(&format!("{FILE}.")).tempfile_in(dir)?;
    let secret: [u8; 32] = rand::random();
    let digits: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    writeln!(draft, "{digits}")?;
    draft.as_file().sync_all()?;
    match draft.persist_noclobber(path) {
        Ok(_) => fs::File::open(dir)?.sync_all(),
        Err(other) if other.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(failed) => Err(failed.error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Servers in containers have one process id, as these threads have.
    #[test]
    fn those_who_start_together_agree() {
        for _ in 0..50 {
            let dir = tempfile::tempdir().unwrap();
            let secrets: Vec<String> = std::thread::scope(|scope| {
                let starting: Vec<_> = (0..8).map(|_| scope.spawn(|| from_file(dir.path()).unwrap())).collect();
                let secrets = starting.into_iter().map(|one| one.join().unwrap());
                secrets.map(|secret| secret.expose().to_owned()).collect()
            });
            assert!(secrets.iter().all(|secret| *secret == secrets[0]));
            assert_eq!(from_file(dir.path()).unwrap().expose(), secrets[0], "it stays");
            let files = fs::read_dir(dir.path()).unwrap().count();
            assert_eq!(files, 1, "nothing else is left");
        }
    }
}
