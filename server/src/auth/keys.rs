//! The keys that tokens are checked with, as the settings name them.

use jwt::Key;
use jwt::settings::WrongSetting;
use shared::limits::SECRET_BYTES;

use super::secret::{self, SecretError};
use crate::config::Config;

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A setting names none.
    #[error(transparent)]
    Setting(#[from] WrongSetting),
    /// The generated secret can't be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// The secrets and public keys of the settings; without any, and without an identity provider, the generated secret.
///
/// # Errors
/// [`KeysError`].
pub fn load(config: &Config) -> Result<Vec<Key>, KeysError> {
    let settings = &config.tokens.keys;
    if settings.need_generated_secret() {
        let secret = secret::generated(config)?;
        warn_if_short(Some(secret.expose().len()).filter(|bytes| *bytes < SECRET_BYTES));
        return Ok(vec![Key::secret(secret.expose(), "the generated secret".to_owned())]);
    }
    let mut keys = Vec::new();
    if let Some(secrets) = settings.secrets()? {
        for doubt in &secrets.doubts {
            tracing::warn!("{doubt}");
        }
        warn_if_short(secrets.too_short());
        let labelled = (1..).zip(&secrets.all);
        keys.extend(labelled.map(|(number, secret)| Key::secret(secret.expose(), format!("secret {number}"))));
    }
    keys.extend(settings.public_keys()?);
    Ok(keys)
}

fn warn_if_short(bytes: Option<usize>) {
    if let Some(bytes) = bytes {
        tracing::warn!(
            bytes,
            "a secret (JWT_SECRET) is short enough to be guessed, and with it anybody's tokens are signed; use {SECRET_BYTES} bytes or \
             more, such as `openssl rand -hex 32` prints: tokens that were signed before are refused then"
        );
    }
}
