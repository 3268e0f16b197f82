//! Whether a token is taken: its signature, then what it says.

use std::sync::Arc;

use jwt::{Header, Refusal, Rules, Verified};

use super::AuthError;
use super::key_store::KeyStore;
use crate::clock;

/// Checks tokens.
pub struct Verifier {
    keys: Arc<KeyStore>,
    rules: Rules,
}

impl Verifier {
    /// A verifier of tokens that are signed with one of these keys, and say what the rules ask for.
    pub fn new(keys: Arc<KeyStore>, rules: Rules) -> Self {
        Self { keys, rules }
    }

    /// What a token says that is good now. Its key may have to be asked for first.
    ///
    /// # Errors
    /// Why it is not.
    pub async fn verify(&self, token: &str) -> Result<Verified, AuthError> {
        let header = Header::read(token)?;
        let claims = || Ok(self.keys.current().claims(token, &header)?.0);
        let claims = match claims() {
            Err(Refusal::UnknownKey | Refusal::NoKeysYet) => {
                self.keys.ask().await;
                claims()
            }
            known => known,
        };
        let now = clock::now().millis().div_euclid(1_000);
        Ok(self.rules.read(&claims?, now)?)
    }
}

impl From<Refusal> for AuthError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Expired => Self::Expired,
            Refusal::NoKeysYet => Self::NoKeysYet,
            other => Self::Invalid(other),
        }
    }
}
