//! Signing tokens, which only `chatctl` and whoever has the keys does.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, AlgorithmFamily, EncodingKey, Header};
use serde_json::{Map, Value};

use crate::claims::Rules;
use crate::pem::{self, Kind, PemError};
use crate::settings::AdminClaim;

/// What signs tokens that a server with these rules takes. Its `Debug` does not show the key.
pub struct Signer {
    key: EncodingKey,
    algorithm: Algorithm,
    key_id: Option<String>,
    rules: Rules,
}

/// Why a key does not sign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The key can't be read.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// The key is for other algorithms.
    #[error("a key of this kind signs with {0}")]
    Algorithm(String),
    /// The library does not sign with it.
    #[error("the key does not sign: {0}")]
    Key(String),
}

impl Signer {
    /// Signs with a secret, by HS256.
    pub fn of_secret(secret: &str, rules: Rules) -> Self {
        Self {
            key: EncodingKey::from_secret(secret.as_bytes()),
            algorithm: Algorithm::HS256,
            key_id: None,
            rules,
        }
    }

    /// Signs with a private key in PEM, by the first algorithm of its kind.
    ///
    /// # Errors
    /// [`SignError::Pem`].
    pub fn of_pem(text: &str, rules: Rules) -> Result<Self, SignError> {
        let (key, kind) = pem::private_key(text)?;
        let algorithm = match kind {
            Kind::Rsa => Algorithm::RS256,
            Kind::Elliptic(curve) => curve.algorithm(),
            Kind::Edwards => Algorithm::EdDSA,
        };
        Ok(Self {
            key,
            algorithm,
            key_id: None,
            rules,
        })
    }

    /// The same by another algorithm.
    ///
    /// # Errors
    /// [`SignError::Algorithm`], which names those that the key is for.
    pub fn by(mut self, name: &str) -> Result<Self, SignError> {
        let algorithm: Option<Algorithm> = name.parse().ok();
        let family = self.algorithm.family();
        let is_of_kind = match family {
            // Each curve has an algorithm of its own.
            AlgorithmFamily::Ec => algorithm == Some(self.algorithm),
            _ => algorithm.is_some_and(|algorithm| algorithm.family() == family),
        };
        let Some(algorithm) = algorithm.filter(|_| is_of_kind) else {
            let allowed = match family {
                AlgorithmFamily::Ec => format!("{:?}", self.algorithm),
                family => {
                    let names: Vec<String> = family.algorithms().iter().map(|one| format!("{one:?}")).collect();
                    names.join(", ")
                }
            };
            return Err(SignError::Algorithm(allowed));
        };
        self.algorithm = algorithm;
        Ok(self)
    }

    /// The same with the key's id in the head.
    #[must_use]
    pub fn named(mut self, key_id: Option<String>) -> Self {
        self.key_id = key_id;
        self
    }

    /// What the server's rules ask of its tokens.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// [`Rules::claims`] of its own rules.
    pub fn claims(&self, user: &str, admin: bool, lifetime: Duration) -> (Map<String, Value>, i64) {
        self.rules.claims(user, admin, lifetime)
    }

    /// A token of these claims.
    ///
    /// # Errors
    /// [`SignError::Key`].
    pub fn sign(&self, claims: &Map<String, Value>) -> Result<String, SignError> {
        let mut header = Header::new(self.algorithm);
        header.kid.clone_from(&self.key_id);
        jsonwebtoken::encode(&header, claims, &self.key).map_err(|error| SignError::Key(error.to_string()))
    }
}

impl Rules {
    /// The claims of a token of `user` that holds from now on for `lifetime`, with what the rules ask for, and when it ends (seconds
    /// since 1970).
    pub fn claims(&self, user: &str, admin: bool, lifetime: Duration) -> (Map<String, Value>, i64) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        let exp = seconds(now.saturating_add(lifetime));
        let mut claims = Map::new();
        claims.insert(self.user.as_str().to_owned(), user.into());
        claims.insert("iat".to_owned(), seconds(now).into());
        claims.insert("exp".to_owned(), exp.into());
        if let Some(issuer) = self.issuers.first() {
            claims.insert("iss".to_owned(), issuer.as_str().into());
        }
        if let Some(audience) = self.audiences.first() {
            claims.insert("aud".to_owned(), audience.as_str().into());
        }
        if admin {
            let AdminClaim { claim, value } = &self.admin;
            claims.insert(claim.as_str().to_owned(), value.as_str().into());
        }
        (claims, exp)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}
