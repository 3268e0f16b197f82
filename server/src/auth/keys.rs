//! The keys that tokens are checked with, as the settings name them.

use std::sync::Arc;

use jwt::settings::WrongSetting;
use jwt::{Key, Keys, Provider};
use shared::limits::SECRET_BYTES;

use super::secret::{self, SecretError};
use crate::config::{Config, Secret};

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

/// The keys of the settings; without any, the generated secret. Those of a provider that has a URL are not known yet.
///
/// # Errors
/// [`KeysError`].
pub fn load(config: &Config) -> Result<Keys, KeysError> {
    let settings = &config.tokens.keys;
    if settings.need_generated_secret() {
        let secret = secret::generated(config)?;
        warn_if_short(Some(secret.expose().len()).filter(|bytes| *bytes < SECRET_BYTES));
        return Ok(Keys {
            own: vec![Key::secret(secret.expose(), "the generated secret".to_owned())],
            provider: Provider::None,
        });
    }
    let mut own = Vec::new();
    if let Some(secrets) = settings.secrets()? {
        for doubt in &secrets.doubts {
            tracing::warn!("{doubt}");
        }
        warn_if_short(secrets.too_short());
        let labelled = (1..).zip(&secrets.all);
        own.extend(labelled.map(|(number, secret)| Key::secret(secret.expose(), format!("secret {number}"))));
    }
    own.extend(settings.public_keys()?);
    let provider = match settings.key_set_file()? {
        Some(set) => {
            for why in &set.skipped {
                tracing::info!("JWT_JWKS_URL: not used: {why}");
            }
            Provider::Keys(Arc::new(set))
        }
        None if settings.jwt_jwks_url.is_some() => Provider::Unknown,
        None => Provider::None,
    };
    Ok(Keys { own, provider })
}

/// The secret that the server would sign with: the first of the settings, or the generated one; nothing where only public keys are set.
///
/// # Errors
/// [`KeysError`].
pub fn signing_secret(config: &Config) -> Result<Option<Secret>, KeysError> {
    let settings = &config.tokens.keys;
    if settings.need_generated_secret() {
        return Ok(Some(secret::generated(config)?));
    }
    let secrets = settings.secrets()?;
    Ok(secrets.and_then(|secrets| secrets.all.into_iter().next()))
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
