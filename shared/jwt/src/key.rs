//! A key that checks tokens, and the algorithms it is for.

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, crypto};
use pkcs1::der::Decode as _;
use serde_json::{Map, Value};

use crate::refusal::Refusal;

/// What a token claims.
pub type Claims = Map<String, Value>;

/// The algorithms of RSA keys.
const RSA: [Algorithm; 6] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// How many bits an RSA key may have. Fewer are factored one day, more the library does not take.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=4_096;

/// The curves that keys may be of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    /// P-256, for ES256.
    P256,
    /// P-384, for ES384.
    P384,
}

impl Curve {
    /// Its one algorithm.
    pub fn algorithm(self) -> Algorithm {
        match self {
            Self::P256 => Algorithm::ES256,
            Self::P384 => Algorithm::ES384,
        }
    }

    /// The bytes of a coordinate.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
        }
    }
}

/// A key that checks tokens. Its `Debug` does not show it.
#[derive(Debug, Clone)]
pub struct Key {
    label: String,
    id: Option<String>,
    decoding: DecodingKey,
    validation: Validation,
}

/// Why something is no key. The texts say what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// RSA of another size.
    #[error("an RSA key of {0} bits; {first} to {last} are allowed", first = RSA_BITS.start(), last = RSA_BITS.end())]
    RsaBits(usize),
    /// Bytes that are no key of their kind.
    #[error("no valid key of its kind ({0})")]
    Malformed(&'static str),
}

impl Key {
    /// A secret, for HS256, HS384 and HS512.
    pub fn secret(secret: &str, label: String) -> Self {
        let algorithms = [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];
        Self::new(DecodingKey::from_secret(secret.as_bytes()), &algorithms, label)
    }

    /// An RSA key, as PKCS #1 writes it.
    ///
    /// # Errors
    /// [`InvalidKey`].
    pub fn rsa(der: &[u8], label: String) -> Result<Self, InvalidKey> {
        let key = pkcs1::RsaPublicKey::from_der(der).map_err(|_| InvalidKey::Malformed("RSA"))?;
        check_rsa(key.modulus.as_bytes())?;
        Ok(Self::new(DecodingKey::from_rsa_der(der), &RSA, label))
    }

    /// An RSA key by its numbers, the highest byte first.
    ///
    /// # Errors
    /// [`InvalidKey`].
    pub fn rsa_of(modulus: &[u8], exponent: &[u8], label: String) -> Result<Self, InvalidKey> {
        check_rsa(modulus)?;
        let decoding = DecodingKey::from_rsa_raw_components(modulus, exponent);
        Ok(Self::new(decoding, &RSA, label))
    }

    /// A point of a curve, as SEC 1 writes it.
    ///
    /// # Errors
    /// [`InvalidKey`].
    pub fn elliptic(curve: Curve, point: &[u8], label: String) -> Result<Self, InvalidKey> {
        let key = Self::new(DecodingKey::from_ec_der(point), &[curve.algorithm()], label);
        key.check(curve.algorithm(), "an elliptic curve")
    }

    /// The 32 bytes of an Ed25519 key.
    ///
    /// # Errors
    /// [`InvalidKey`].
    pub fn edwards(bytes: &[u8], label: String) -> Result<Self, InvalidKey> {
        // The library would panic at fewer, and look at the first ones of more.
        if bytes.len() != 32 {
            return Err(InvalidKey::Malformed("Ed25519"));
        }
        let key = Self::new(DecodingKey::from_ed_der(bytes), &[Algorithm::EdDSA], label);
        key.check(Algorithm::EdDSA, "Ed25519")
    }

    fn new(decoding: DecodingKey, algorithms: &[Algorithm], label: String) -> Self {
        let mut validation = Validation::new(algorithms[0]);
        validation.algorithms = algorithms.to_vec();
        // The claims are read and compared in one place: `claims`.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        Self {
            label,
            id: None,
            decoding,
            validation,
        }
    }

    /// The library reads a key when it is used; a wrong one is to be found before.
    fn check(self, algorithm: Algorithm, kind: &'static str) -> Result<Self, InvalidKey> {
        match crypto::verify("", b"", &self.decoding, algorithm) {
            Ok(_) => Ok(self),
            Err(_) => Err(InvalidKey::Malformed(kind)),
        }
    }

    /// The same key, for one of its algorithms only.
    pub(crate) fn only(mut self, algorithm: Algorithm) -> Self {
        self.validation.algorithms = vec![algorithm];
        self
    }

    /// The same key with the id that tokens name it by.
    pub(crate) fn named(mut self, id: Option<String>) -> Self {
        self.id = id;
        self
    }

    /// The id that tokens name it by (`kid`), if it has one.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// What to call it before people. It holds nothing secret.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The algorithms it is for.
    pub fn algorithms(&self) -> &[Algorithm] {
        &self.validation.algorithms
    }

    /// Whether it is for this algorithm.
    pub fn is_for(&self, algorithm: Algorithm) -> bool {
        self.validation.algorithms.contains(&algorithm)
    }

    /// The claims of a token that is signed with this key.
    ///
    /// # Errors
    /// [`Refusal::Signature`], or what else is wrong with it.
    pub fn claims(&self, token: &str) -> Result<Claims, Refusal> {
        let read = jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation);
        match read {
            Ok(data) => Ok(data.claims),
            Err(error) => Err(match error.kind() {
                ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => Refusal::Algorithm,
                ErrorKind::Json(_) | ErrorKind::Base64(_) | ErrorKind::Utf8(_) | ErrorKind::InvalidToken => {
                    Refusal::Malformed
                }
                _ => Refusal::Signature,
            }),
        }
    }
}

pub(crate) fn check_rsa(modulus: &[u8]) -> Result<(), InvalidKey> {
    let bytes = modulus
        .iter()
        .position(|byte| *byte != 0)
        .map_or(&[][..], |at| &modulus[at..]);
    let bits = bytes.len() * 8 - bytes.first().map_or(0, |byte| byte.leading_zeros() as usize);
    match RSA_BITS.contains(&bits) {
        true => Ok(()),
        false => Err(InvalidKey::RsaBits(bits)),
    }
}
