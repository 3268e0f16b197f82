//! All keys of a server, and which of them a token may be signed with.

use std::str::FromStr as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, AlgorithmFamily};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::key::{Claims, Key};
use crate::key_set::KeySet;
use crate::refusal::Refusal;

/// What the head of a token says of how it is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// With which algorithm. It has no say in how the token is checked: only keys that are for it are tried.
    pub algorithm: Algorithm,
    /// With which key.
    pub key_id: Option<String>,
}

impl Header {
    /// Reads the head of a token, of which nothing is known yet.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn read(token: &str) -> Result<Self, Refusal> {
        #[derive(Deserialize)]
        struct Head {
            alg: String,
            kid: Option<String>,
            crit: Option<IgnoredAny>,
        }
        let head = token.split('.').next().unwrap_or_default();
        let json = URL_SAFE_NO_PAD.decode(head).map_err(|_| Refusal::Malformed)?;
        let head: Head = serde_json::from_slice(&json).map_err(|_| Refusal::Malformed)?;
        if head.crit.is_some() {
            return Err(Refusal::Critical);
        }
        Ok(Self {
            algorithm: Algorithm::from_str(&head.alg).map_err(|_| Refusal::Algorithm)?,
            key_id: head.kid,
        })
    }
}

/// What a token says, head and claims, whoever made it. For people only.
pub fn unverified(token: &str) -> (Option<Claims>, Option<Claims>) {
    let mut parts = token.split('.').map(|part| {
        let json = URL_SAFE_NO_PAD.decode(part).ok()?;
        serde_json::from_slice(&json).ok()
    });
    (parts.next().flatten(), parts.next().flatten())
}

/// The keys of an identity provider, if there is one.
#[derive(Debug, Clone, Default)]
pub enum Provider {
    /// There is none.
    #[default]
    None,
    /// They could not be fetched yet.
    Unknown,
    /// These are they.
    Keys(Arc<KeySet>),
}

/// All keys of a server.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    /// Those of `JWT_SECRET` and `JWT_PUBLIC_KEY`, or the generated secret.
    pub own: Vec<Key>,
    /// Those of `JWT_JWKS_URL`.
    pub provider: Provider,
}

impl Keys {
    /// The claims of a token that one of the keys signed, and the key.
    ///
    /// # Errors
    /// [`Refusal`]; with [`UnknownKey`](Refusal::UnknownKey) and [`NoKeysYet`](Refusal::NoKeysYet) the provider may have the key
    /// by now.
    pub fn claims(&self, token: &str, header: &Header) -> Result<(Claims, &Key), Refusal> {
        let mut refusal = Refusal::Algorithm;
        for key in self.own.iter().filter(|key| key.is_for(header.algorithm)) {
            match key.claims(token) {
                Ok(claims) => return Ok((claims, key)),
                Err(why) => refusal = why,
            }
        }
        let key = match &self.provider {
            // A provider has no secrets.
            _ if header.algorithm.family() == AlgorithmFamily::Hmac => return Err(refusal),
            Provider::None => return Err(refusal),
            Provider::Unknown => return Err(Refusal::NoKeysYet),
            Provider::Keys(set) => pick(&set.keys, header)?,
        };
        Ok((key.claims(token)?, key))
    }
}

/// The key that a head names. Of several with one id there can be one for each algorithm.
fn pick<'a>(keys: &'a [Key], header: &Header) -> Result<&'a Key, Refusal> {
    let named = |key: &&Key| header.key_id.is_none() || key.id() == header.key_id.as_deref();
    if !keys.iter().any(|key| named(&key)) {
        return Err(Refusal::UnknownKey);
    }
    let mut fitting = keys.iter().filter(named).filter(|key| key.is_for(header.algorithm));
    match (fitting.next(), fitting.next()) {
        (Some(key), None) => Ok(key),
        (Some(_), Some(_)) => Err(Refusal::KeyIdMissing),
        (None, _) => Err(Refusal::Algorithm),
    }
}
