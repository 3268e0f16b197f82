//! The secret of the tokens where no key is configured: a file that is created once.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::config::{Config, Secret};

/// Name of the file in the data directory.
pub const FILE: &str = "jwt_secret";

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The data directory can't be had.
    #[error("{path} can't be created ({1}); name a directory that this process may create or write to", path = .0.display())]
    DataDir(PathBuf, io::Error),
    /// Its file can't be read or created.
    #[error("the secret could not be read or created: {0}")]
    File(#[from] io::Error),
}

/// The secret in the data directory, which is created if it isn't there.
///
/// # Errors
/// [`SecretError`].
pub fn generated(config: &Config) -> Result<Secret, SecretError> {
    from_file(&config.data_dir)
}

/// Only a file without white space around the secret means the same to everybody who reads it.
fn from_file(dir: &Path) -> Result<Secret, SecretError> {
    let path = dir.join(FILE);
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
            made.map_err(|error| SecretError::DataDir(dir.to_owned(), error))?;
            create(dir, &path).map_err(named)?;
        }
        Err(error) => return Err(named(error).into()),
        Ok(_) => {}
    }
    let text = fs::read_to_string(&path).map_err(named)?;
    match text.trim() {
        "" => Err(named(io::Error::other(
            "the file is empty; remove it to have a new secret created",
        ))
        .into()),
        secret => {
            if secret.len() < text.len() {
                cut(&path, &text);
            }
            Ok(secret.into())
        }
    }
}

/// Takes the white space off the end of the file. Earlier versions ended it with a newline and signed tokens without: so the
/// secret that counts stays the same, and a program that reads the whole file signs with it from now on. In place, so that
/// the file keeps its owner and who may read it; in one step, so that no crash leaves part of it.
fn cut(path: &Path, text: &str) {
    let path_shown = path.display();
    if text.starts_with(char::is_whitespace) {
        tracing::warn!(path = %path_shown, "the file has white space around the secret, which is no part of it");
        return;
    }
    let cut = OpenOptions::new().write(true).open(path).and_then(|file| {
        file.set_len(text.trim_end().len() as u64)?;
        file.sync_all()
    });
    match cut {
        Ok(()) => tracing::info!(path = %path_shown, "the newline after the secret was taken off: it is no part of it"),
        Err(error) => tracing::warn!(
            path = %path_shown, %error,
            "the file ends with a newline, which is no part of the secret: a program that reads it has to leave it out"
        ),
    }
}

/// Writes a new secret under a name of its own and moves it into place, so that no crash can leave half of one and
/// two servers that start together agree. The name is drawn by lot: process ids are the same in many containers, and who
/// wrote over the draft of another one would write over its secret.
#[expect(clippy::disallowed_methods, reason = "a secret is chance")]
fn create(dir: &Path, path: &Path) -> io::Result<()> {
    // Only its owner may read it, and it is removed if it does not get into place.
    let mut draft = tempfile::Builder::new().prefix(&format!("{FILE}.")).tempfile_in(dir)?;
    let secret: [u8; 32] = rand::random();
    let digits: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    // Without a newline: other programs read the whole file.
    draft.write_all(digits.as_bytes())?;
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

    #[test]
    fn the_file_is_the_secret_also_for_those_who_read_all_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        let secret = from_file(dir.path()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), secret.expose());
        // As earlier versions wrote it.
        fs::write(&path, format!("{}\n", secret.expose())).unwrap();
        assert_eq!(from_file(dir.path()).unwrap(), secret);
        assert_eq!(fs::read_to_string(&path).unwrap(), secret.expose());
        fs::write(&path, " one with spaces \r\n").unwrap();
        assert_eq!(from_file(dir.path()).unwrap().expose(), "one with spaces");
    }

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
