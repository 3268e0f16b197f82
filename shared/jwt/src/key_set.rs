//! The keys of an identity provider: a JSON Web Key Set (RFC 7517), read by what `jsonwebtoken` knows of it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::key::{Curve, Key};

/// Most keys of a set.
pub const MAX_KEYS: usize = 100;

/// Largest set that is read, in bytes.
pub const MAX_BYTES: usize = 256 * 1024;

/// The keys of an identity provider.
#[derive(Debug, Clone, Default)]
pub struct KeySet {
    /// Those that check tokens.
    pub keys: Vec<Key>,
    /// Why others of the set are not used.
    pub skipped: Vec<String>,
}

/// Why a text is no key set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSet {
    /// Not the right JSON.
    #[error("it is no key set, which is JSON: {{\"keys\":[…]}}")]
    Json,
    /// Too many keys.
    #[error("it has more than {MAX_KEYS} keys")]
    TooMany,
}

impl KeySet {
    /// Reads a set. A key that is for something else, or that is not known here, is skipped, as the RFC says; so is one that is no
    /// public key, since whoever reads the set could sign with it.
    ///
    /// # Errors
    /// [`InvalidSet`].
    pub fn read(json: &[u8]) -> Result<Self, InvalidSet> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Map<String, Value>>,
        }
        let Set { keys } = serde_json::from_slice(json).map_err(|_| InvalidSet::Json)?;
        if keys.len() > MAX_KEYS {
            return Err(InvalidSet::TooMany);
        }
        let mut set = Self::default();
        for (index, fields) in keys.into_iter().enumerate() {
            let id = fields.get("kid").and_then(Value::as_str).map(str::to_owned);
            let label = match &id {
                Some(id) => format!("the provider's key {id:?}"),
                None => format!("the provider's key {} (without kid)", index + 1),
            };
            match key(fields, label.clone()) {
                Ok(key) => set.keys.push(key.named(id)),
                Err(why) => set.skipped.push(format!("{label}: {why}")),
            }
        }
        Ok(set)
    }
}

fn key(fields: Map<String, Value>, label: String) -> Result<Key, String> {
    if fields.get("kty").and_then(Value::as_str) == Some("oct") {
        return Err("a symmetric key (oct), which whoever reads the set could sign with".to_owned());
    }
    if fields.contains_key("d") {
        return Err("a private key, which whoever reads the set could sign with".to_owned());
    }
    let jwk: Jwk = serde_json::from_value(Value::Object(fields)).map_err(|error| error.to_string())?;
    if let Some(other) = jwk
        .common
        .public_key_use
        .as_ref()
        .filter(|what| **what != PublicKeyUse::Signature)
    {
        return Err(format!("for another use ({other:?})"));
    }
    let operations = jwk.common.key_operations.as_ref();
    if operations.is_some_and(|operations| !operations.contains(&KeyOperations::Verify)) {
        return Err("its key_ops do not have verify".to_owned());
    }
    let key = of_parameters(&jwk.algorithm, label)?;
    let Some(named) = jwk.common.key_algorithm else {
        return Ok(key);
    };
    match Algorithm::try_from(named) {
        Ok(algorithm) if key.is_for(algorithm) => Ok(key.only(algorithm)),
        _ => Err(format!(
            "its algorithm ({named}) is not one of its kind that is known here"
        )),
    }
}

fn of_parameters(parameters: &AlgorithmParameters, label: String) -> Result<Key, String> {
    let bytes = |text: &str| {
        URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| "its numbers are not base64url".to_owned())
    };
    let key = match parameters {
        AlgorithmParameters::RSA(rsa) => Key::rsa_of(&bytes(&rsa.n)?, &bytes(&rsa.e)?, label),
        AlgorithmParameters::EllipticCurve(point) => {
            let curve = match point.curve {
                EllipticCurve::P256 => Curve::P256,
                EllipticCurve::P384 => Curve::P384,
                _ => return Err("its curve is not known here".to_owned()),
            };
            let (x, y) = (bytes(&point.x)?, bytes(&point.y)?);
            if x.len() != curve.bytes() || y.len() != curve.bytes() {
                return Err("its point is not of its curve".to_owned());
            }
            Key::elliptic(curve, &[&[4], &*x, &*y].concat(), label)
        }
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
            Key::edwards(&bytes(&pair.x)?, label)
        }
        _ => return Err("its kind is not known here; RSA, P-256, P-384 and Ed25519 are".to_owned()),
    };
    key.map_err(|error| error.to_string())
}
