//! The secret and the tokens it signs.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{EncodingKey, Header};
use shared::settings::Settings;
use shared::{Claims, Role, UserId};

/// The id in an administrator's token that belongs to no user.
pub const NOBODY: UserId = UserId::from_bytes([0; 12]);

/// What signs tokens. Its `Debug` does not show it.
pub struct Secret {
    key: EncodingKey,
    origin: String,
}

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It is nowhere.
    #[error(
        "no secret found, neither in JWT_SECRET ({0}) nor in {path}: start the server here first, or set its DATA_DIR or JWT_SECRET",
        path = .1.display()
    )]
    Missing(&'static str, PathBuf),
    /// An empty secret signs nothing.
    #[error("the secret in {0} is empty: set the one that the server was started with")]
    Empty(String),
    /// The file is there and can't be read.
    #[error("the secret in {} can't be read", .0.display())]
    Unreadable(PathBuf, #[source] io::Error),
}

impl Secret {
    /// Looks where the server looks: `JWT_SECRET` (environment, `.env`), then the file it creates in its data folder. An
    /// empty `JWT_SECRET` counts as none there, too.
    pub fn load(settings: &Settings) -> Result<Self, SecretError> {
        if let Some(secret) = settings.get("JWT_SECRET") {
            return Self::new(secret.to_string_lossy().trim(), "JWT_SECRET".to_owned());
        }
        let folder = settings.get("DATA_DIR").unwrap_or_else(|| "data".into());
        let path = PathBuf::from(folder).join("jwt_secret");
        match std::fs::read_to_string(&path) {
            Ok(secret) => Self::new(secret.trim(), path.display().to_string()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let variable = match settings.is_empty("JWT_SECRET") {
                    true => "which is empty",
                    false => "environment, .env",
                };
                Err(SecretError::Missing(variable, path))
            }
            Err(error) => Err(SecretError::Unreadable(path, error)),
        }
    }

    fn new(secret: &str, origin: String) -> Result<Self, SecretError> {
        if secret.is_empty() {
            return Err(SecretError::Empty(origin));
        }
        let key = EncodingKey::from_secret(secret.as_bytes());
        Ok(Self { key, origin })
    }

    /// Where it was found.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// A token of `user` that holds from now on for `lifetime`, and when it ends (seconds since the Unix epoch).
    pub fn sign(&self, user: UserId, role: Option<Role>, lifetime: Duration) -> (String, i64) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        let claims = Claims {
            user_id: user,
            exp: seconds(now.saturating_add(lifetime)),
            nbf: None,
            // A user whose tokens were revoked is let in with later ones.
            iat: Some(seconds(now)),
            role,
        };
        let token = jsonwebtoken::encode(&Header::default(), &claims, &self.key).expect("HS256 signs any claims");
        (token, claims.exp)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_the_secret() {
        let secret = Secret::new("do not show me", "a test".to_owned()).unwrap();
        assert!(!format!("{secret:?}").contains("show"));
    }

    #[test]
    fn an_empty_secret_is_refused() {
        assert!(matches!(
            Secret::new("", "a test".to_owned()),
            Err(SecretError::Empty(_))
        ));
    }
}
