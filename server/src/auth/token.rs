//! Whether a token is taken: its signature, then what it says.

use jwt::{Header, Key, Keys, Provider, Refusal, Rules, Verified};

use super::AuthError;
use crate::clock;

/// Checks tokens.
pub struct Verifier {
    keys: Keys,
    rules: Rules,
}

impl Verifier {
    /// A verifier of tokens that are signed with one of these keys, and say what the settings ask for.
    pub fn new(own: Vec<Key>, settings: &jwt::Settings) -> Self {
        Self {
            keys: Keys {
                own,
                provider: Provider::None,
            },
            rules: Rules::new(settings),
        }
    }

    /// What a token says that is good now.
    ///
    /// # Errors
    /// Why it is not.
    pub async fn verify(&self, token: &str) -> Result<Verified, AuthError> {
        let now = clock::now().millis().div_euclid(1_000);
        let read = Header::read(token).and_then(|header| {
            let (claims, _) = self.keys.claims(token, &header)?;
            self.rules.read(&claims, now)
        });
        read.map_err(|refusal| match refusal {
            Refusal::Expired => AuthError::Expired,
            other => AuthError::Invalid(other),
        })
    }
}
