//! What signs the tokens of this program: the server's secret, or a private key that was named.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use jwt::sign::{SignError, Signer};
use jwt::{Rules, settings::WrongSetting};
use shared::settings::{Settings, SettingsError};
use shared::{Role, User, UserId};

use super::external_names::ExternalNames;

/// The id in an administrator's token that belongs to no user.
pub const NOBODY: UserId = UserId::from_bytes([0; 12]);

/// What signs tokens. Its `Debug` does not show it.
pub struct Secret {
    signer: Signer,
    origin: String,
    names: ExternalNames,
}

/// Why there is nothing to sign with.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It is nowhere.
    #[error(
        "no secret found, neither in JWT_SECRET ({0}) nor in {path}: start the server here first, or set its DATA_DIR or JWT_SECRET",
        path = .1.display()
    )]
    Missing(&'static str, PathBuf),
    /// The server has public keys only.
    #[error(
        "{0} is set and no JWT_SECRET: a server with these settings takes tokens that a private key has signed, and the private key is \
         not here; `chatctl token --key FILE` signs with one, or set JWT_SECRET as well, for administration"
    )]
    PublicOnly(&'static str),
    /// An empty secret signs nothing.
    #[error("the secret in {0} is empty: set the one that the server was started with")]
    Empty(String),
    /// The file is there and can't be read.
    #[error("the secret in {} can't be read", .0.display())]
    Unreadable(PathBuf, #[source] io::Error),
    /// The private key can't be read.
    #[error("the key in {} can't be read", .0.display())]
    UnreadableKey(PathBuf, #[source] io::Error),
    /// The private key can't be used.
    #[error("{path}: {1}", path = .0.display())]
    Key(PathBuf, SignError),
    /// A setting of tokens is wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Likewise, found out when it was used.
    #[error(transparent)]
    Wrong(#[from] WrongSetting),
}

/// The settings of tokens, as a server that is started here would read them.
///
/// # Errors
/// One of them is wrong.
pub fn server_settings(settings: &Settings) -> Result<jwt::Settings, SettingsError> {
    #[derive(Parser)]
    struct Server {
        #[command(flatten)]
        tokens: jwt::Settings,
    }
    settings.parse::<Server>(&["server".into()]).map(|server| server.tokens)
}

/// The secret that a server generates, where it keeps it.
///
/// # Errors
/// [`SecretError::Missing`] and others.
pub fn generated_secret(settings: &Settings) -> Result<(String, PathBuf), SecretError> {
    let folder = settings.get("DATA_DIR").unwrap_or_else(|| "data".into());
    let path = PathBuf::from(folder).join("jwt_secret");
    match fs::read_to_string(&path) {
        Ok(secret) if secret.trim().is_empty() => Err(SecretError::Empty(path.display().to_string())),
        Ok(secret) => Ok((secret.trim().to_owned(), path)),
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

impl Secret {
    /// Looks where the server looks: `JWT_SECRET` or `JWT_SECRET_FILE` (environment, `.env`), whose first secret signs, then the file it
    /// creates in its data folder. An empty `JWT_SECRET` counts as none there, too.
    ///
    /// # Errors
    /// [`SecretError`].
    pub fn load(settings: &Settings) -> Result<Self, SecretError> {
        let tokens = server_settings(settings)?;
        let rules = Rules::new(&tokens);
        let secret = Self::first(settings, &tokens, rules)?;
        Ok(secret.naming(settings))
    }

    fn first(settings: &Settings, tokens: &jwt::Settings, rules: Rules) -> Result<Self, SecretError> {
        if let Some(secrets) = tokens.secrets()? {
            let origin = match tokens.jwt_secret {
                Some(_) => "JWT_SECRET",
                None => "JWT_SECRET_FILE",
            };
            let first = secrets.all.first().map_or("", |secret| secret.expose());
            return Self::new(first, origin.to_owned(), rules);
        }
        if !tokens.need_generated_secret() {
            return Err(SecretError::PublicOnly(match tokens.jwt_public_key {
                Some(_) => "JWT_PUBLIC_KEY",
                None => "JWT_JWKS_URL",
            }));
        }
        let (secret, path) = generated_secret(settings)?;
        Self::new(&secret, path.display().to_string(), rules)
    }

    /// What signs with the private key in a file.
    ///
    /// # Errors
    /// [`SecretError`].
    pub fn of_key(path: &Path, rules: Rules) -> Result<Self, SecretError> {
        let text = fs::read_to_string(path).map_err(|error| SecretError::UnreadableKey(path.to_owned(), error))?;
        let signer = Signer::of_pem(&text, rules).map_err(|error| SecretError::Key(path.to_owned(), error))?;
        Self::of_signer(signer, path)
    }

    /// What a signer signs, once it is known that it does.
    fn of_signer(signer: Signer, path: &Path) -> Result<Self, SecretError> {
        let (claims, _) = signer.claims("", false, Duration::ZERO);
        signer
            .sign(&claims)
            .map_err(|error| SecretError::Key(path.to_owned(), error))?;
        Ok(Self {
            signer,
            origin: path.display().to_string(),
            names: ExternalNames::default(),
        })
    }

    fn new(secret: &str, origin: String, rules: Rules) -> Result<Self, SecretError> {
        if secret.is_empty() {
            return Err(SecretError::Empty(origin));
        }
        let signer = Signer::of_secret(secret, rules);
        Ok(Self {
            signer,
            origin,
            names: ExternalNames::default(),
        })
    }

    /// The same, whose tokens name users as a server that is started here wants it (`USER_IDS`).
    #[must_use]
    pub fn naming(self, settings: &Settings) -> Self {
        Self {
            names: ExternalNames::new(settings),
            ..self
        }
    }

    /// The same with this in the head of its tokens.
    ///
    /// # Errors
    /// The key is for other algorithms.
    pub fn with_head(self, algorithm: Option<&str>, key_id: Option<String>) -> Result<Self, SecretError> {
        let Self { signer, origin, names } = self;
        let path = PathBuf::from(&origin);
        let signer = match algorithm {
            Some(name) => signer.by(name),
            None => Ok(signer),
        };
        let signer = signer.map_err(|error| SecretError::Key(path.clone(), error))?;
        let secret = Self::of_signer(signer.named(key_id), &path)?;
        Ok(Self { names, ..secret })
    }

    /// Whether its tokens name users by the ids of another system.
    pub fn names_external(&self) -> bool {
        self.names.are_used()
    }

    /// The server has shown this user: from now on tokens name them as it wants it.
    pub(super) fn learn(&self, user: &User) {
        self.names.add(user);
    }

    /// How a token names this user.
    pub fn name_of(&self, user: UserId) -> String {
        self.names.of(user)
    }

    /// Where it was found.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// What signs.
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// A token of `user` that holds from now on for `lifetime`, and when it ends (seconds since the Unix epoch).
    pub fn sign(&self, user: UserId, role: Option<Role>, lifetime: Duration) -> (String, i64) {
        let (claims, exp) = self.signer.claims(&self.name_of(user), role.is_some(), lifetime);
        let token = self
            .signer
            .sign(&claims)
            .expect("it has signed before, or is a secret, which signs anything");
        (token, exp)
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
        let secret = Secret::new("do not show me", "a test".to_owned(), Rules::default()).unwrap();
        assert!(!format!("{secret:?}").contains("show"));
    }

    #[test]
    fn an_empty_secret_is_refused() {
        assert!(matches!(
            Secret::new("", "a test".to_owned(), Rules::default()),
            Err(SecretError::Empty(_))
        ));
    }
}
