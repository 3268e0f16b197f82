//! Which tokens are taken: the settings `JWT_…`, which the server and `chatctl` read alike.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{ArgAction, Args};
use shared::values::{Secret, flag, number};

use crate::claim_path::ClaimPath;
use crate::key::Key;
use crate::key_set::KeySet;
use crate::pem;
use crate::secrets::Secrets;

/// Largest file of secrets or of PEM that is read, in bytes.
const MAX_FILE_BYTES: u64 = 256 * 1024;

/// Which tokens are taken.
#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// Secrets of tokens (HS256, HS384, HS512), of 32 bytes or more, separated by commas: all are taken, the first signs
    ///
    /// Without this setting and the next three a random one is created once, in DATA_DIR/jwt_secret.
    #[arg(long, env = "JWT_SECRET", hide_env_values = true, value_parser = jwt_secret)]
    pub jwt_secret: Option<Secret>,

    /// File with such secrets, one in each line, instead of JWT_SECRET; read again when it changes, and on SIGHUP
    #[arg(long, env = "JWT_SECRET_FILE")]
    pub jwt_secret_file: Option<PathBuf>,

    /// Public keys of tokens (RSA, P-256, P-384, Ed25519) as PEM, or the file that has them; read again likewise
    #[arg(long, env = "JWT_PUBLIC_KEY")]
    pub jwt_public_key: Option<String>,

    /// Key set of an identity provider (JWKS): its https URL, or a file
    ///
    /// It is fetched again every JWT_JWKS_REFRESH seconds, and for a token whose key is not in it, once in 10 seconds. While the
    /// provider is away, what was fetched last is used.
    // A URL can have a password or the key of an API in it.
    #[arg(long, env = "JWT_JWKS_URL", hide_env_values = true, value_parser = KeySetSource::from_str)]
    pub jwt_jwks_url: Option<KeySetSource>,

    /// Seconds until the key set is fetched again (1 to 86400): so long a key that was removed there is still taken
    #[arg(long, env = "JWT_JWKS_REFRESH", default_value_t = 300, value_parser = number(1..=86_400_u32))]
    pub jwt_jwks_refresh: u32,

    /// Let JWT_JWKS_URL lead to loopback, private and link-local addresses, and through the proxy of HTTPS_PROXY
    #[arg(
        long, env = "JWT_JWKS_ALLOW_PRIVATE", action = ArgAction::Set, default_value_t = false, num_args = 0..=1,
        default_missing_value = "true", value_parser = flag
    )]
    pub jwt_jwks_allow_private: bool,

    /// Issuers (iss) whose tokens are taken, separated by commas; without it, all
    #[arg(long, env = "JWT_ISSUER", value_parser = List::from_str)]
    pub jwt_issuer: Option<List>,

    /// Audiences (aud) of which a token has to name one, separated by commas; without it, none
    #[arg(long, env = "JWT_AUDIENCE", value_parser = List::from_str)]
    pub jwt_audience: Option<List>,

    /// Seconds that the clocks of issuer and server may be apart (0 to 600)
    #[arg(long, env = "JWT_LEEWAY", default_value_t = 0, value_parser = number(0..=600_u32))]
    pub jwt_leeway: u32,

    /// Claim that names the user, or a path with dots to it, such as `https://chat.example.com/claims.id`
    #[arg(long, env = "JWT_USER_CLAIM", default_value = "userId")]
    pub jwt_user_claim: ClaimPath,

    /// Claim, or path to it, and the value that makes the bearer an administrator, also in a list; without it role=admin, not in a list
    #[arg(long, env = "JWT_ADMIN", value_parser = AdminClaim::from_str)]
    pub jwt_admin: Option<AdminClaim>,

    /// Refuse tokens that never end (without exp)
    #[arg(
        long, env = "JWT_REQUIRE_EXP", action = ArgAction::Set, default_value_t = true, num_args = 0..=1,
        default_missing_value = "true", value_parser = flag
    )]
    pub jwt_require_exp: bool,
}

/// A secret, of a flag: an empty one in the environment counts as none.
fn jwt_secret(text: &str) -> Result<Secret, &'static str> {
    match text.trim() {
        "" => Err("the secret must not be empty; leave JWT_SECRET unset to have one created"),
        _ => Ok(text.into()),
    }
}

/// Texts, separated by commas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List(pub Vec<String>);

impl FromStr for List {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<String> = text.split(',').map(|part| part.trim().to_owned()).collect();
        match parts.iter().any(String::is_empty) {
            true => Err("write one or more texts, separated by commas"),
            false => Ok(Self(parts)),
        }
    }
}

/// The claim that makes an administrator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminClaim {
    /// Where it is.
    pub claim: ClaimPath,
    /// What it has to be, or to contain.
    pub value: String,
}

impl Default for AdminClaim {
    fn default() -> Self {
        Self {
            claim: ClaimPath::new("role"),
            value: "admin".to_owned(),
        }
    }
}

impl FromStr for AdminClaim {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.rsplit_once('=').map(|(claim, value)| (claim.trim(), value.trim())) {
            Some((claim, value)) if !claim.is_empty() && !value.is_empty() => Ok(Self {
                claim: ClaimPath::new(claim),
                value: value.to_owned(),
            }),
            _ => Err("write a claim and its value, such as role=admin"),
        }
    }
}

impl std::fmt::Display for AdminClaim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}", self.claim, self.value)
    }
}

/// Where a key set is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySetSource {
    /// At this URL, with https.
    Url(String),
    /// In this file.
    File(PathBuf),
}

impl FromStr for KeySetSource {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WHAT: &str = "write an https:// URL or the path of a file";
        match text.split_once("://") {
            _ if text.trim().is_empty() => Err(WHAT),
            None => Ok(Self::File(text.into())),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") && !rest.is_empty() => {
                Ok(Self::Url(text.trim().to_owned()))
            }
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("http") => Err(
                "keys that come over http:// can be changed on the way; write an https:// URL or the path of a file",
            ),
            Some((scheme, path)) if scheme.eq_ignore_ascii_case("file") && path.starts_with('/') => {
                Ok(Self::File(path.into()))
            }
            Some(_) => Err(WHAT),
        }
    }
}

/// A setting whose value turned out to be wrong when it was used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} is wrong: {why}")]
pub struct WrongSetting {
    /// The variable.
    pub name: &'static str,
    /// What is wrong, and what is allowed.
    pub why: String,
}

impl Settings {
    /// The key set of `JWT_JWKS_URL`, if that is a file.
    ///
    /// # Errors
    /// [`WrongSetting`].
    pub fn key_set_file(&self) -> Result<Option<KeySet>, WrongSetting> {
        let Some(KeySetSource::File(path)) = &self.jwt_jwks_url else {
            return Ok(None);
        };
        let wrong = |error: &dyn std::fmt::Display| WrongSetting {
            name: "JWT_JWKS_URL",
            why: at(path, error),
        };
        let text = read(path).map_err(|error| wrong(&error))?;
        KeySet::read(text.as_bytes()).map(Some).map_err(|error| wrong(&error))
    }

    /// All that is wrong with the keys that are set, not only the first of it.
    pub fn faults(&self) -> Vec<WrongSetting> {
        let wrong = [
            self.secrets().err(),
            self.public_keys().err(),
            self.key_set_file().err(),
        ];
        wrong.into_iter().flatten().collect()
    }

    /// Whether no key is set, so that a secret is generated.
    pub fn need_generated_secret(&self) -> bool {
        self.jwt_secret.is_none()
            && self.jwt_secret_file.is_none()
            && self.jwt_public_key.is_none()
            && self.jwt_jwks_url.is_none()
    }

    /// The files that keys come from, but the key set's.
    pub fn key_files(&self) -> Vec<&Path> {
        let public = self.jwt_public_key.as_deref().filter(|key| !key.contains(pem::BEGIN));
        let public = public.map(Path::new);
        self.jwt_secret_file.as_deref().into_iter().chain(public).collect()
    }

    /// The secrets of `JWT_SECRET` or `JWT_SECRET_FILE`, if one is set.
    ///
    /// # Errors
    /// [`WrongSetting`].
    pub fn secrets(&self) -> Result<Option<Secrets>, WrongSetting> {
        let wrong = |name, why: &dyn ToString| WrongSetting {
            name,
            why: why.to_string(),
        };
        match (&self.jwt_secret, &self.jwt_secret_file) {
            (Some(_), Some(_)) => Err(wrong("JWT_SECRET_FILE", &"JWT_SECRET is set, too; keep one of the two")),
            (Some(secret), None) => Secrets::of_variable(secret.expose())
                .map(Some)
                .map_err(|error| wrong("JWT_SECRET", &error)),
            (None, Some(path)) => {
                let text = read(path).map_err(|error| wrong("JWT_SECRET_FILE", &at(path, &error)))?;
                let secrets = Secrets::of_file(&text);
                secrets
                    .map(Some)
                    .map_err(|error| wrong("JWT_SECRET_FILE", &at(path, &error)))
            }
            (None, None) => Ok(None),
        }
    }

    /// The keys of `JWT_PUBLIC_KEY`; none if it is not set.
    ///
    /// # Errors
    /// [`WrongSetting`].
    pub fn public_keys(&self) -> Result<Vec<Key>, WrongSetting> {
        const NAME: &str = "JWT_PUBLIC_KEY";
        let wrong = |why| WrongSetting { name: NAME, why };
        match &self.jwt_public_key {
            None => Ok(Vec::new()),
            Some(text) if text.contains(pem::BEGIN) => {
                pem::public_keys(text, NAME).map_err(|error| wrong(error.to_string()))
            }
            Some(path) => {
                let path = Path::new(path);
                let text = read(path).map_err(|error| wrong(at(path, &error)))?;
                pem::public_keys(&text, &format!("{NAME} ({})", path.display()))
                    .map_err(|error| wrong(at(path, &error)))
            }
        }
    }
}

fn at(path: &Path, error: &dyn std::fmt::Display) -> String {
    format!("{}: {error}", path.display())
}

/// A file of text.
fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
    match read as u64 > MAX_FILE_BYTES {
        true => Err(io::Error::other(format!("it is larger than {MAX_FILE_BYTES} bytes"))),
        false => Ok(text),
    }
}
