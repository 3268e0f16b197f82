//! Whether a token is taken: its signature, then what it says.

use std::sync::Arc;

use jwt::{Header, Keys, Refusal, Rules, Verified};

use super::key_store::KeyStore;
use super::{AuthError, UserIds};
use crate::clock;
use crate::config::UserIdKind;

/// Checks tokens.
pub struct Verifier {
    keys: Arc<KeyStore>,
    rules: Rules,
    user_ids: Arc<UserIds>,
    provisions: bool,
}

impl Verifier {
    /// A verifier of tokens that are signed with one of these keys, and say what the rules ask for.
    pub fn new(keys: Arc<KeyStore>, rules: Rules) -> Self {
        Self {
            keys,
            rules,
            user_ids: Arc::new(UserIds::new(UserIdKind::Internal)),
            provisions: false,
        }
    }

    /// With ids of users as these; and whether users who do not exist are to be created.
    #[must_use]
    pub fn naming(mut self, user_ids: &Arc<UserIds>, provisions: bool) -> Self {
        self.rules.external_users = user_ids.are_external();
        self.user_ids = Arc::clone(user_ids);
        self.provisions = provisions;
        self
    }

    /// The keys as they are now.
    pub fn keys(&self) -> Arc<Keys> {
        self.keys.current()
    }

    /// How tokens name users.
    pub(super) fn user_ids(&self) -> &UserIds {
        &self.user_ids
    }

    /// Whether the user of a good token who does not exist is created.
    pub(super) fn provisions(&self) -> bool {
        self.provisions
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
                let is_told = self.keys.ask(header.key_id.as_deref()).await;
                match claims() {
                    // The provider may have made the key since it was last asked.
                    Err(unknown @ Refusal::UnknownKey) if !is_told => return Err(AuthError::NotKnownYet(unknown)),
                    known => known,
                }
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
            Refusal::NoKeysYet => Self::NotKnownYet(refusal),
            other => Self::Invalid(other),
        }
    }
}
